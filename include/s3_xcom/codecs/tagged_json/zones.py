"""Time zones: the library of each, and its name or offset."""

from __future__ import annotations

import datetime
import pickle
from typing import TYPE_CHECKING, Any

from include.s3_xcom.codecs.tagged_json.tags import is_unicode, tag, type_name
from include.s3_xcom.errors import FormatError, UnsupportedValueError

if TYPE_CHECKING:
    from include.s3_xcom.codecs.tagged_json.engine import Encoder


def describe(tz: datetime.tzinfo, moment: datetime.datetime | None) -> dict[str, Any]:
    """Describe a time zone.

    :param moment: the time that carries it; a zone of pytz needs its UTC offset
    :raises UnsupportedValueError: if it cannot be rebuilt from a name or an offset
    """
    library = type(tz).__module__.partition(".")[0]
    described = _LIBRARIES[library][0](tz) if library in _LIBRARIES else None
    if described is None:
        raise UnsupportedValueError(
            f"its time zone, a {type_name(type(tz))}, has no name to be found "
            "again by. Convert it to a zoneinfo.ZoneInfo or to UTC first"
        )
    if library == "pytz" and "name" in described and moment is not None:
        described["utcoffset"] = moment.utcoffset().total_seconds()
        try:
            again = attach(moment.replace(tzinfo=None), described).utcoffset()
        except OverflowError:  # for the first and last years
            again = None
        if again != moment.utcoffset():
            raise UnsupportedValueError(
                "its pytz time zone was set, not localized. Use timezone.localize(datetime), or zoneinfo"
            )
    return described


def attach(moment: datetime.datetime, described: dict[str, Any]) -> datetime.datetime:
    """Return a naive time with the time zone that was described."""
    tz = rebuild(described)
    if "utcoffset" in described:
        return tz.fromutc(moment - datetime.timedelta(seconds=described["utcoffset"]))
    return moment.replace(tzinfo=tz)


def rebuild(described: dict[str, Any]) -> datetime.tzinfo:
    """Rebuild the time zone that was described.

    :raises FormatError: if there is no such zone on this machine
    """
    try:
        _, rebuild_zone = _LIBRARIES[described["library"]]
        return rebuild_zone(described)
    except (KeyError, TypeError, ValueError, OSError, ImportError) as error:
        raise FormatError(
            f"A stored time zone cannot be found on this machine ({type(error).__name__})."
        ) from None


def zone_out(encoder: Encoder, value: datetime.tzinfo) -> Any:
    return tag("tz", describe(value, None))


def other_zone_out(encoder: Encoder, value: Any) -> Any:
    """Encode a zone of dateutil or zoneinfo; return None for their other types, and zones without a name."""
    try:
        return zone_out(encoder, value)
    except UnsupportedValueError:
        return None


# Each library's way out is directly above its way back.


def _describe_datetime(tz: datetime.tzinfo) -> dict[str, Any] | None:
    if type(tz) is not datetime.timezone:
        return None
    offset = tz.utcoffset(None)
    described = {"library": "datetime", "offset": [offset.days, offset.seconds, offset.microseconds]}
    name = tz.tzname(None)
    if datetime.timezone(offset).tzname(None) != name:
        described["name"] = name
    return described if name.encode("utf-8", "ignore").decode() == name else None


def _rebuild_datetime(described: dict[str, Any]) -> datetime.tzinfo:
    offset = datetime.timedelta(*described["offset"])
    if "name" in described:
        return datetime.timezone(offset, described["name"])
    return datetime.timezone(offset) if offset else datetime.timezone.utc


def _describe_zoneinfo(tz: Any) -> dict[str, Any] | None:
    try:
        tz.__reduce__()
    except pickle.PicklingError:  # a zone read from a file has no name, even if it has a key
        return None
    return {"library": "zoneinfo", "name": tz.key} if tz.key else None


def _rebuild_zoneinfo(described: dict[str, Any]) -> datetime.tzinfo:
    from zoneinfo import ZoneInfo

    return ZoneInfo(described["name"])


def _describe_pytz(tz: Any) -> dict[str, Any] | None:
    if tz.zone:
        return {"library": "pytz", "name": tz.zone}
    minutes = getattr(tz, "_minutes", None)  # pytz.FixedOffset has no public attribute for it
    return {"library": "pytz", "minutes": minutes} if minutes is not None else None


def _rebuild_pytz(described: dict[str, Any]) -> datetime.tzinfo:
    import pytz

    if "minutes" in described:
        return pytz.FixedOffset(described["minutes"])
    return pytz.timezone(described["name"])


def _describe_pendulum(tz: Any) -> dict[str, Any] | None:
    if "Fixed" in type(tz).__name__:
        return {"library": "pendulum", "offset": int(tz.utcoffset(None).total_seconds()), "name": tz.name}
    return {"library": "pendulum", "name": tz.name}


def _rebuild_pendulum(described: dict[str, Any]) -> datetime.tzinfo:
    import pendulum
    from pendulum.tz.timezone import FixedTimezone

    name = described["name"]
    if "offset" not in described:
        return pendulum.timezone(name)
    # Zones of pendulum are equal only if they are one object, so the one that pendulum keeps is used if it
    # has one.
    kept = (pendulum.UTC, pendulum.timezone(described["offset"]))
    return next((zone for zone in kept if zone.name == name), FixedTimezone(described["offset"], name))


def _describe_dateutil(tz: Any) -> dict[str, Any] | None:
    kind = type(tz).__name__
    if kind == "tzutc":
        return {"library": "dateutil"}
    if kind == "tzoffset":
        name = tz.tzname(None)
        if name is not None and not is_unicode(name):
            return None
        seconds = tz.utcoffset(None).total_seconds()
        offset = int(seconds) if seconds.is_integer() else seconds
        return {"library": "dateutil", "offset": offset, "name": name}
    return None


def _rebuild_dateutil(described: dict[str, Any]) -> datetime.tzinfo:
    from dateutil import tz

    return tz.tzoffset(described["name"], described["offset"]) if "offset" in described else tz.tzutc()


_LIBRARIES = {
    "datetime": (_describe_datetime, _rebuild_datetime),
    "zoneinfo": (_describe_zoneinfo, _rebuild_zoneinfo),
    "pytz": (_describe_pytz, _rebuild_pytz),
    "pendulum": (_describe_pendulum, _rebuild_pendulum),
    "dateutil": (_describe_dateutil, _rebuild_dateutil),
}
