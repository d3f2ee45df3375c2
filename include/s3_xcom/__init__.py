"""Large XComs through S3: the machinery beneath :class:`include.s3_xcom_backend.S3XComBackend`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.s3_xcom.files import File

__all__ = ["File"]


def __getattr__(name: str) -> Any:
    # DAG files import from here, and the scheduler parses them again and again.
    if name == "File":
        from include.s3_xcom.files import File

        return File
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
