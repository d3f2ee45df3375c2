"""Sequences to expand over, of which each mapped task moves its own element only."""

from __future__ import annotations

from include.s3_xcom import codecs
from include.s3_xcom.codecs import packages
from include.s3_xcom.mapped.batches import Batches, batches
from include.s3_xcom.mapped.items import JSON_CODEC, ZIP_CODEC, Items, items
from include.s3_xcom.mapped.rows import Rows, rows
from include.s3_xcom.mapped.sequence import Mapped
from include.s3_xcom.reference import Reference
from include.s3_xcom.settings import Settings

__all__ = ["CODECS", "Mapped", "batches", "content_type", "items", "pulled", "rows"]

CODECS: dict[str, type[Mapped]] = {"rows": Rows, "batches": Batches, JSON_CODEC: Items, ZIP_CODEC: Items}


def content_type(codec: str) -> str | None:
    """Of the objects of a codec; None if it is none of those here."""
    if codec not in CODECS:
        return None
    return {JSON_CODEC: codecs.JSON, ZIP_CODEC: codecs.ZIP}.get(codec, packages.PARQUET)


def pulled(settings: Settings, reference: Reference) -> Mapped:
    """The sequence that a reference points to. Moves no data.

    :raises BadReferenceError: if the reference does not say where the elements lie
    """
    return CODECS[reference.codec].pulled(settings, reference)
