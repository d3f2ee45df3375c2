"""Large XComs through S3: what tasks import. The backend itself is :mod:`include.s3_xcom_backend`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.s3_xcom.files import File
    from include.s3_xcom.mapped import batches, items, rows

__all__ = ["File", "batches", "items", "rows"]


def __getattr__(name: str) -> Any:
    # DAG files import from here, and the scheduler parses them again and again.
    if name in __all__:
        from include.s3_xcom import files, mapped

        return getattr(files if name == "File" else mapped, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
