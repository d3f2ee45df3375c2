"""Scalars of pandas. Ticks count the unit, which is always nanoseconds before pandas 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from include.s3_xcom.codecs import pandas_releases
from include.s3_xcom.codecs.tagged_json import zones
from include.s3_xcom.codecs.tagged_json.tags import TaggedType, as_list, as_str, singleton, tag

if TYPE_CHECKING:
    from include.s3_xcom.codecs.tagged_json.engine import Encoder


def _timestamp_out(encoder: Encoder, value: pd.Timestamp) -> Any:
    fields = {} if value.tzinfo is None else {"tz": zones.describe(value.tzinfo, None)}
    return tag("pandas.Timestamp", _ticks(value), unit=_unit(value), **fields)


def _timestamp_back(value: int, unit: str, tz: Any = None) -> pd.Timestamp:
    pandas_releases.require_unit(as_str(unit))
    moment = pd.Timestamp(np.datetime64(value, unit))
    return moment if tz is None else moment.tz_localize("UTC").tz_convert(zones.rebuild(tz))


def _timedelta_out(encoder: Encoder, value: pd.Timedelta) -> Any:
    return tag("pandas.Timedelta", _ticks(value), unit=_unit(value))


def _timedelta_back(value: int, unit: str) -> pd.Timedelta:
    pandas_releases.require_unit(as_str(unit))
    return pd.Timedelta(np.timedelta64(value, unit))


def _ticks(value: Any) -> int:
    return int(value.asm8.astype("i8"))


def _unit(value: Any) -> str:
    return getattr(value, "unit", "ns")


def _period_out(encoder: Encoder, value: pd.Period) -> Any:
    return tag("pandas.Period", value.ordinal, freq=value.freqstr)


def _period_back(value: int, freq: str) -> pd.Period:
    return pd.Period(ordinal=value, freq=pandas_releases.freq_of_periods(as_str(freq)))


def _interval_out(encoder: Encoder, value: pd.Interval) -> Any:
    return tag("pandas.Interval", encoder.items(value, [value.left, value.right]), closed=value.closed)


def _interval_back(value: list, closed: str) -> pd.Interval:
    return pd.Interval(*as_list(value), closed=as_str(closed))


TYPES = [
    TaggedType("pandas.Timestamp", (pd.Timestamp,), _timestamp_out, _timestamp_back),
    TaggedType("pandas.Timedelta", (pd.Timedelta,), _timedelta_out, _timedelta_back),
    TaggedType("pandas.Period", (pd.Period,), _period_out, _period_back),
    TaggedType("pandas.Interval", (pd.Interval,), _interval_out, _interval_back),
    singleton("pandas.NaT", pd.NaT),
    singleton("pandas.NA", pd.NA),
]
