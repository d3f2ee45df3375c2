"""Dates and times of pendulum, which Airflow uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pendulum

from include.s3_xcom.codecs.tagged_json import stdlib
from include.s3_xcom.codecs.tagged_json.tags import TaggedType, as_str, tag

if TYPE_CHECKING:
    from include.s3_xcom.codecs.tagged_json.engine import Encoder


def _datetime_out(encoder: Encoder, value: pendulum.DateTime) -> Any:
    return stdlib.datetime_out(encoder, value, "pendulum.DateTime")


def _datetime_back(value: str, tz: Any = None, fold: int = 0) -> pendulum.DateTime:
    m = stdlib.datetime_back(value, tz, fold)
    fields = (m.year, m.month, m.day, m.hour, m.minute, m.second, m.microsecond)
    return pendulum.DateTime(*fields, tzinfo=m.tzinfo, fold=m.fold)


def _date_out(encoder: Encoder, value: pendulum.Date) -> Any:
    return tag("pendulum.Date", value.isoformat())


def _date_back(value: str) -> pendulum.Date:
    return pendulum.Date.fromisoformat(as_str(value))


def _time_out(encoder: Encoder, value: pendulum.Time) -> Any:
    return stdlib.time_out(encoder, value, "pendulum.Time")


def _time_back(value: str, tz: Any = None, fold: int = 0) -> pendulum.Time:
    t = stdlib.time_back(value, tz, fold)
    return pendulum.Time(t.hour, t.minute, t.second, t.microsecond, tzinfo=t.tzinfo, fold=t.fold)


TYPES = [
    TaggedType("pendulum.DateTime", (pendulum.DateTime,), _datetime_out, _datetime_back),
    TaggedType("pendulum.Date", (pendulum.Date,), _date_out, _date_back),
    TaggedType("pendulum.Time", (pendulum.Time,), _time_out, _time_back),
]
