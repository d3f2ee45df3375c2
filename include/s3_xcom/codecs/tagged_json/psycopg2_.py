"""Ranges of PostgreSQL, as psycopg2 gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg2 import extras

from include.s3_xcom.codecs.tagged_json.tags import TaggedType, as_list, tag

if TYPE_CHECKING:
    from include.s3_xcom.codecs.tagged_json.engine import Encoder

_KINDS = {
    kind.__name__: kind
    for kind in (
        extras.Range,
        extras.NumericRange,
        extras.DateRange,
        extras.DateTimeRange,
        extras.DateTimeTZRange,
    )
}


def _range_out(encoder: Encoder, value: extras.Range) -> Any:
    ends = encoder.items(value, [value.lower, value.upper])
    # lower_inc and upper_inc say nothing about an infinite side.
    return tag("psycopg2.Range", ends, kind=type(value).__name__, bounds=value._bounds)


def _range_back(value: list, kind: str, bounds: str | None) -> extras.Range:
    return _KINDS[kind](empty=True) if bounds is None else _KINDS[kind](*as_list(value), bounds)


TYPES = [TaggedType("psycopg2.Range", tuple(_KINDS.values()), _range_out, _range_back)]
