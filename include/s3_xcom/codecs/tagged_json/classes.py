"""User-defined classes: Enum, namedtuple, dataclass, attrs, and Airflow's serialize()/deserialize().

A class is rebuilt only if ``[core] allowed_deserialization_classes`` admits it.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from include.s3_xcom.codecs.tagged_json.advice import library_advice, unsupported
from include.s3_xcom.codecs.tagged_json.tags import as_list, as_str, tag, type_name
from include.s3_xcom.errors import FormatError, UnsupportedValueError
from include.s3_xcom.interruptions import handled_within
from include.s3_xcom.on_airflow.configuration import is_admitted

if TYPE_CHECKING:
    from include.s3_xcom.codecs.tagged_json.engine import Encoder


def is_scalar(value: Any) -> bool:
    return isinstance(value, enum.Enum)


def encode(encoder: Encoder, value: Any) -> Any:
    """Encode an object of a class as the data from which it is rebuilt.

    :raises UnsupportedValueError: if its class cannot be rebuilt, or is not admitted
    """
    kind = type(value)
    tagger = next((tagger for fits, tagger in _TAGGERS if fits(value)), None)
    if tagger is None or isinstance(value, type) or library_advice(kind) is not None:
        raise unsupported(value)
    name = type_name(kind)
    if kind not in encoder.can_be_pulled:
        _check_importable(kind, name)
        _check_admitted(name)
        encoder.can_be_pulled.add(kind)
    return tagger(encoder, value, name)


def _check_admitted(name: str) -> None:
    if not is_admitted(name):
        raise UnsupportedValueError(
            f"the class {name} is not admitted by [core] allowed_deserialization_classes, so it could not be "
            "pulled. Add it there, on all machines"
        )


def _check_importable(kind: type, name: str) -> None:
    try:
        found = _find(kind.__module__, kind.__qualname__)
    except (AttributeError, ImportError):
        found = None
    if found is not kind:
        raise UnsupportedValueError(
            f"the class {name} cannot be imported by its name. Define it at the top of a module"
        )


def _find(module: str, qualname: str) -> Any:
    found = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found


def load(name: list | type) -> type:
    """Return the class of a stored object by its name; a class is returned as it is.

    Nothing is imported before the class is admitted.
    """
    if isinstance(name, type):
        return name
    module, qualname = map(as_str, as_list(name))
    full_name = f"{module}.{qualname}"
    if not is_admitted(full_name):
        raise FormatError(
            f"the class {full_name} is not admitted by [core] allowed_deserialization_classes. Add it "
            "there if you trust it"
        )
    try:
        found = _find(module, qualname)
    except (AttributeError, ImportError):
        found = None
    if not isinstance(found, type):
        raise FormatError(f"the class {full_name} cannot be imported on this machine")
    return found


def _tag(name: str, value: Any, kind: type, **fields: Any) -> Any:
    return tag(name, value, **{"class": [kind.__module__, kind.__qualname__]}, **fields)


def _tag_enum(encoder: Encoder, value: enum.Enum, name: str) -> Any:
    kind = type(value)
    if kind.__members__.get(value.name) is value:
        return _tag("enum", value.name, kind)
    return _tag("flag", encoder.encode(value.value), kind)  # several members of a Flag


def _tag_named_tuple(encoder: Encoder, value: Any, name: str) -> Any:
    kind = type(value)
    if kind._make(value) != value or getattr(value, "__dict__", None):
        raise UnsupportedValueError(f"a {name} cannot be rebuilt from its fields. Return a plain tuple")
    return _tag("namedtuple", encoder.items(value, value), kind)


def _tag_serializable(encoder: Encoder, value: Any, name: str) -> Any:
    """Encode an object by Airflow's protocol, if ``deserialize(data, version)`` makes an equal one."""
    kind = type(value)
    version = _version(kind, *_NAMES_OF_VERSION)
    with handled_within():
        data = value.serialize()
    (encoded,) = encoder.items(value, [data])  # before deserialize(), which may change the data
    try:
        with handled_within():
            rebuilt = kind.deserialize(data, version)
        same = type(rebuilt) is kind and (kind.__eq__ is object.__eq__ or bool(rebuilt == value))
    except Exception:
        same = False
    if not same:
        raise UnsupportedValueError(
            f"a {name} is not the same when its deserialize(data, version) gets what serialize() returns"
        )
    return _tag("serialized", encoded, kind, version=version)


def _tag_fields(encoder: Encoder, value: Any, name: str) -> Any:
    """Encode a dataclass or attrs object as its fields, if a new object made of them is equal."""
    fields: dict[str, Any] = {}
    try:
        fields.update((field.name, getattr(value, field.name)) for field in _fields(type(value)))
        rebuilt = _rebuild(type(value), fields)
        same = all(_is_same(getattr(rebuilt, name), field) for name, field in fields.items())
    except Exception:
        same = False
    extra = set(getattr(value, "__dict__", ())) - set(fields)
    if not same or extra:
        raise UnsupportedValueError(
            f"a {name} is not the same when made again from its fields. Give it serialize() and deserialize()"
        )
    version = _version(type(value), "__version__")
    return _tag(
        "fields",
        dict(zip(fields, encoder.fields(value, fields))),
        type(value),
        **({"version": version} if version else {}),
    )


_NAMES_OF_VERSION = ("version", "__version__")
"""Attributes with the version of a class with serialize(): the first in 2.5, the second in later releases."""


def _version(kind: type, *attributes: str) -> int:
    """Return the version of a class by Airflow's protocol; 0 if it has none."""
    versions = (getattr(kind, attribute, None) for attribute in attributes)
    return next((number for number in versions if isinstance(number, int)), 0)


def _check_version(kind: type, version: int, *attributes: str) -> None:
    """Refuse an object whose class had a newer version at the push than it has here, as Airflow does.

    :raises FormatError: if it had
    """
    own = _version(kind, *attributes)
    if version > own:
        raise FormatError(
            f"the class {type_name(kind)} has version {own} here, and what was pushed version {version}. "
            "Update it on this machine"
        )


def _is_same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and bool(one == other))


@dataclasses.dataclass(frozen=True)
class _Field:
    name: str
    argument: str | None  # argument of the class; None: there is none


@functools.lru_cache(maxsize=256)
def _fields(kind: type) -> list[_Field]:
    if dataclasses.is_dataclass(kind):
        return [_Field(field.name, field.name if field.init else None) for field in dataclasses.fields(kind)]
    # attrs names the argument of a private attribute without its underscores.
    return [
        _Field(field.name, (getattr(field, "alias", None) or field.name.lstrip("_")) if field.init else None)
        for field in kind.__attrs_attrs__
    ]


def _rebuild(kind: type, values: Mapping[str, Any]) -> Any:
    fields = _fields(kind)
    if {field.name for field in fields} != set(values):
        raise FormatError(f"the class {type_name(kind)} has other fields than when it was pushed")
    with handled_within():
        made = kind(**{field.argument: values[field.name] for field in fields if field.argument})
    for field in fields:
        if field.argument is None:
            object.__setattr__(made, field.name, values[field.name])
    return made


_TAGGERS: list[tuple[Callable[[Any], bool], Callable[[Any, Any, str], Any]]] = [
    (lambda value: isinstance(value, enum.Enum), _tag_enum),
    (lambda value: hasattr(value, "serialize") and hasattr(type(value), "deserialize"), _tag_serializable),
    (
        lambda value: dataclasses.is_dataclass(value) or hasattr(type(value), "__attrs_attrs__"),
        _tag_fields,
    ),
    (lambda value: isinstance(value, tuple) and hasattr(value, "_fields"), _tag_named_tuple),
]


def _load_subclass(base: type, fields: dict[str, Any]) -> Any:
    kind = load(fields["class"])
    if not issubclass(kind, base):
        raise TypeError
    return kind


def _decode_enum(value: str, **fields: Any) -> Any:
    return _load_subclass(enum.Enum, fields)[as_str(value)]


def _decode_flag(value: Any, **fields: Any) -> Any:
    return _load_subclass(enum.Enum, fields)(value)


def _decode_named_tuple(value: list, **fields: Any) -> Any:
    return _load_subclass(tuple, fields)._make(as_list(value))


def _decode_serialized(value: Any, version: int, **fields: Any) -> Any:
    kind = load(fields["class"])
    _check_version(kind, version, *_NAMES_OF_VERSION)
    with handled_within():
        return kind.deserialize(value, version)


def _decode_fields(value: dict, version: int = 0, **fields: Any) -> Any:
    kind = load(fields["class"])
    _check_version(kind, version, "__version__")
    if not (dataclasses.is_dataclass(kind) or hasattr(kind, "__attrs_attrs__")):
        raise TypeError
    return _rebuild(kind, value)


DECODERS: dict[str, Callable[..., Any]] = {
    "enum": _decode_enum,
    "fields": _decode_fields,
    "flag": _decode_flag,
    "namedtuple": _decode_named_tuple,
    "serialized": _decode_serialized,
}
