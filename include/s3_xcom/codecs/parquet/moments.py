"""Columns of datetimes: in UTC for every tool, with the time zones beside it for Python.

Datetimes without a zone are an array of timestamps. Datetimes of one zone are an array of timestamps in UTC,
with the zone in the specification. Datetimes of several zones, such as the offsets of a zone with summer time
that psycopg2 gives, are structs::

    2024-01-15 12:00+01:00      {"utc": 2024-01-15 11:00, "zone": 0}      zones: [+01:00, +02:00]
    2024-07-15 12:00+02:00      {"utc": 2024-07-15 10:00, "zone": 1}
"""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pyarrow as pa

from include.s3_xcom.codecs.parquet import nested_columns
from include.s3_xcom.codecs.parquet.nested_columns import NotExactError
from include.s3_xcom.codecs.tagged_json import zones

MAX_ZONES = 127
_EPOCH = datetime.datetime(1970, 1, 1)


def encode(items: list, from_pandas: bool, above: tuple[list, ...]) -> tuple[pa.Array, dict[str, Any]]:
    """Return datetimes as timestamps, as :attr:`.ColumnType.encode` says."""
    present = [item for item in items if type(item) is datetime.datetime]
    found = {id(moment.tzinfo): moment.tzinfo for moment in present}
    if list(found.values()) == [None]:
        if any(moment.fold for moment in present):
            raise NotExactError
        return pa.array(items, pa.timestamp("us"), from_pandas=from_pandas), {}
    described = {key: _describe(zone) for key, zone in found.items()}
    distinct = list(dict.fromkeys(described.values()))
    if len(distinct) > MAX_ZONES:
        raise NotExactError
    array = pa.array(items, pa.timestamp("us", "UTC"), from_pandas=from_pandas)
    spec = {"zones": [json.loads(text) for text in distinct]}
    is_utc = all(zone is datetime.timezone.utc for zone in found.values())
    if len(distinct) > 1:
        numbers = {key: distinct.index(text) for key, text in described.items()}
        codes = np.zeros(len(items), "i1")
        codes[array.is_valid().to_numpy(zero_copy_only=False)] = [numbers[id(m.tzinfo)] for m in present]
        array = nested_columns.struct({"utc": array, "zone": pa.array(codes)}, array.buffers()[0])
    if not all(type(zone) is datetime.timezone for zone in found.values()):
        _compare(present, decode(pa.chunked_array([array]), spec))
    elif any(moment.fold for moment in present):
        raise NotExactError
    return array, {} if is_utc else spec


def decode(array: pa.ChunkedArray, spec: dict[str, Any]) -> np.ndarray:
    """Decode what :func:`encode` returned."""
    if pa.types.is_struct(array.type):
        moments, codes = nested_columns.fields(array)
        codes = codes.fill_null(0).to_numpy()
    else:
        moments, codes = array, np.zeros(len(array), "i1")
    has_zone = moments.type.tz is not None
    values = np.full(len(array), None, dtype=object)
    present = ~moments.is_null().to_numpy()
    since = moments.cast(pa.int64()).fill_null(0).to_numpy().view("m8[us]")
    described = spec.get("zones") or [{"library": "datetime", "offset": [0, 0, 0]}]
    for code, zone in enumerate(described):
        chosen = np.flatnonzero(present & (codes == code))
        values[chosen] = _moments(since[chosen], zones.rebuild(zone) if has_zone else None)
    return values


def _moments(since: np.ndarray, zone: datetime.tzinfo | None) -> list[datetime.datetime]:
    """Return datetimes in a zone from times since 1970 in UTC."""
    if zone is None or type(zone) is datetime.timezone:
        # Adding to a datetime counts in local time.
        start = _EPOCH.replace(tzinfo=zone) + (zone.utcoffset(None) if zone else datetime.timedelta(0))
        return list(map(start.__add__, since.tolist()))
    start = _EPOCH.replace(tzinfo=datetime.timezone.utc)
    return [(start + time).astimezone(zone) for time in since.tolist()]


def _describe(zone: datetime.tzinfo | None) -> str:
    """Return a zone as text, if its local time always follows from UTC."""
    if type(zone) is not datetime.timezone and type(zone).__module__ != "zoneinfo":
        raise NotExactError
    if type(zone) is datetime.timezone and zone.utcoffset(None).microseconds:
        raise NotExactError  # Arrow counts offsets in seconds
    return json.dumps(zones.describe(zone, None))


def _compare(moments: list, again: np.ndarray) -> None:
    """Raise NotExactError for local times that a zone lacks, or has twice and does not tell apart."""
    found = [moment for moment in again if moment is not None]
    for moment, other in zip(moments, found):
        if moment.replace(tzinfo=None) != other.replace(tzinfo=None) or moment.fold != other.fold:
            raise NotExactError
