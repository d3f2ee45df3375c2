"""Sequences to expand over. Each mapped task moves only its element."""

from __future__ import annotations

from typing import Any

from include.s3_xcom.codecs import registry
from include.s3_xcom.codecs.codec import ARROW, JSON, PARQUET, ZIP, Codec
from include.s3_xcom.errors import format_errors
from include.s3_xcom.mapped.batches import CODEC, WIDE_CODEC, Batches, batches
from include.s3_xcom.mapped.batches import whole as whole_frame
from include.s3_xcom.mapped.items import JSON_CODEC, ZIP_CODEC, Items, from_object, items
from include.s3_xcom.mapped.rows import Rows, rows
from include.s3_xcom.mapped.sequence import EncodedSequence, Mapped
from include.s3_xcom.reference import Reference, malformed
from include.s3_xcom.s3.store import Store

__all__ = ["EncodedSequence", "Mapped", "batches", "items", "rows", "whole"]

_KINDS: dict[str, tuple[type[Mapped], str, str]] = {
    "rows": (Rows, ".parquet", PARQUET),
    CODEC: (Batches, ".parquet", PARQUET),
    WIDE_CODEC: (Batches, ".arrow", ARROW),
    JSON_CODEC: (Items, ".json", JSON),
    ZIP_CODEC: (Items, ".zip", ZIP),
}


def whole(codec: str, body: bytes, shape: list[int]) -> Any:
    """Decode a whole object without its layout into the frame, or the list."""
    with format_errors(codec):
        if codec in (JSON_CODEC, ZIP_CODEC):
            return from_object(codec, body)
        return whole_frame(codec, body, next(iter(shape), None))


def _pulled(store: Store, reference: Reference) -> Mapped:
    """Return the sequence that a reference points to. It moves no data.

    :raises BadReferenceError: if the reference does not say where the elements are
    """
    kind = _KINDS[reference.info.codec][0]
    if len(reference.info.shape) != kind.DIMENSIONS:
        raise malformed()
    return kind.pulled(store, reference)


registry.add(
    *(Codec(name, suffix, media_type, pulled=_pulled) for name, (_, suffix, media_type) in _KINDS.items())
)
