"""Large XComs through S3: the names that tasks, notebooks and scripts import.

The backend itself is :mod:`include.s3_xcom_backend`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.s3_xcom.files import File
    from include.s3_xcom.mapped import batches, items, rows
    from include.s3_xcom.notebook import find, read

__all__ = ["File", "batches", "find", "items", "read", "rows"]

_MODULES = {
    "File": "files",
    "batches": "mapped",
    "find": "notebook",
    "items": "mapped",
    "read": "notebook",
    "rows": "mapped",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: DAG files import from here, and the scheduler parses them again and again.
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
