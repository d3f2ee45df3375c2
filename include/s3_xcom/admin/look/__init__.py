"""A look at one object: what is in it, by reading little of it.

At most 4 requests and 2 MiB, whatever the size of the object. No class of a user's is loaded, and no pickle.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from include.s3_xcom.admin.look.limited import LimitedFile, TooMuchError
from include.s3_xcom.admin.look.shown import At, Shown
from include.s3_xcom.errors import FormatError, format_errors
from include.s3_xcom.on_airflow.configuration import without_classes
from include.s3_xcom.reference import check
from include.s3_xcom.s3.errors import located

__all__ = ["At", "LimitedFile", "Shown", "look"]

_LOOKS = {
    "arrow": "tables.look_at_arrow",
    "batches": "tables.look",
    "batches.arrow": "elements.look_at_wide_batches",
    "bytes": "texts.look_at_bytes",
    "file": "files.look",
    "items": "elements.look_at_items",
    "items.zip": "elements.look_at_members",
    "json": "trees.look",
    "npy": "arrays.look",
    "parquet": "tables.look",
    "polars": "tables.look_at_arrow",
    "polars.Series": "tables.look_at_arrow",
    "rows": "elements.look_at_rows",
    "table": "tables.look",
    "tagged": "trees.look",
    "text": "texts.look",
    "zip": "files.look_at_archive",
}


def look(file: LimitedFile, at: At) -> Shown:
    """What is shown of an object.

    :param file: the object, of which little is read
    :param at: from where on it is shown
    :raises StorageError: if S3 does not give it
    :raises FormatError: if the object is not what it says it is
    """
    reference = file.reference
    check(reference, file.settings)
    codec = reference.info.codec
    if codec == "pickle":
        return Shown(["It is a pickle. Those are never loaded just to be looked at."])
    with located(reference), without_classes(), format_errors(codec):
        try:
            return _look_of(codec)(file, at)
        except TooMuchError as error:
            return Shown([f"{error} Download it."])


def _look_of(codec: str) -> Callable[[LimitedFile, At], Shown]:
    if codec not in _LOOKS:
        raise FormatError(f"It was stored by the codec {codec!r:.40}, which this version does not know.")
    module, _, name = _LOOKS[codec].partition(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
