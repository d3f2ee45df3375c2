"""Sequences to expand over, of which each mapped task moves its own element only."""

from __future__ import annotations

from typing import Any

from include.s3_xcom import codecs
from include.s3_xcom.codecs import packages
from include.s3_xcom.mapped.batches import CODEC, WIDE_CODEC, Batches, batches
from include.s3_xcom.mapped.batches import whole as whole_frame
from include.s3_xcom.mapped.items import JSON_CODEC, ZIP_CODEC, Items, from_object, items
from include.s3_xcom.mapped.rows import Rows, rows
from include.s3_xcom.mapped.sequence import Mapped
from include.s3_xcom.reference import Reference, malformed
from include.s3_xcom.s3.store import Store

__all__ = ["CODECS", "Mapped", "batches", "items", "media_type", "pulled", "rows", "whole"]

CODECS: dict[str, type[Mapped]] = {
    "rows": Rows,
    CODEC: Batches,
    WIDE_CODEC: Batches,
    JSON_CODEC: Items,
    ZIP_CODEC: Items,
}


def media_type(codec: str) -> str:
    """Of the objects of one of the codecs here."""
    others = {JSON_CODEC: codecs.JSON, ZIP_CODEC: codecs.ZIP, WIDE_CODEC: packages.ARROW}
    return others.get(codec, packages.PARQUET)


def whole(codec: str, body: bytes, shape: list[int]) -> Any:
    """What an object holds, read without a layout: the frame, or the list."""
    if codec in (JSON_CODEC, ZIP_CODEC):
        return from_object(codec, body)
    return whole_frame(codec, body, shape[0])


def pulled(store: Store, reference: Reference) -> Mapped:
    """The sequence that a reference points to. Moves no data.

    :raises BadReferenceError: if the reference does not say where the elements lie
    """
    kind = CODECS[reference.info.codec]
    if len(reference.info.shape) != kind.DIMENSIONS:
        raise malformed()
    return kind.pulled(store, reference)
