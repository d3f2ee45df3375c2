"""Dicts, lists and other containers as a tree."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from include.s3_xcom import codecs
from include.s3_xcom.admin.look.limited import AskedFile
from include.s3_xcom.admin.look.shown import At, Node, Shown, cell, cut
from include.s3_xcom.admin.look.texts import of_text
from include.s3_xcom.errors import FormatError

CHILDREN, NODES, DEPTH = 100, 3000, 40
"""Most children of a value, most values in a tree, and levels shown."""


def look(file: AskedFile, at: At) -> Shown:
    """Return what to show of JSON, with or without tags."""
    data, is_all = file.head()
    if not is_all:
        return of_text(data, is_all=False)
    return of_json(data, file.reference.info.codec)


def of_json(data: bytes, codec: str) -> Shown:
    """Return the value to show that some JSON holds.

    :param codec: ``json`` or ``tagged``
    """
    try:
        return Shown(tree=tree(codecs.decode(codec, data, file_within)))
    except FormatError:
        pass  # it is no JSON, or holds a value that is not rebuilt here, such as a class
    try:
        notes = [] if codec == "json" else ["Objects of classes are shown as they are stored."]
        return Shown(notes, tree=tree(json.loads(data)))
    except (ValueError, RecursionError):
        return of_text(data, is_all=True)


def file_within(tag: Mapping[str, Any]) -> str:
    """Return a text for a File within a value, which is stored as a separate object."""
    return f"File {tag['name']}, {tag['size']:,} bytes"


def tree(value: Any, label: str = "") -> Node:
    """Return a value as a tree."""
    return _Planter().plant(value, label, 0)


def of_several(values: Iterable[tuple[str, Any]]) -> list[Node]:
    """Return labelled values as trees that share one limit of size."""
    planter = _Planter()
    return [planter.plant(value, label, 1) for label, value in islice(values, CHILDREN)]


def parts_of(value: Any) -> Iterable[tuple[str, Any]] | None:
    """Return the values that a container holds, each with a label; None if it is no container."""
    if isinstance(value, Mapping):
        return ((key if type(key) is str else repr(key), each) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        names = getattr(value, "_fields", None)
        return zip(names or map(str, range(len(value))), value)
    if isinstance(value, (set, frozenset)) or type(value).__name__ == "deque":
        return (("", each) for each in value)
    return None


class _Planter:
    def __init__(self) -> None:
        self._left = NODES

    def plant(self, value: Any, label: str, depth: int) -> Node:
        self._left -= 1
        parts = parts_of(value)
        if parts is None:
            text = repr(cut(value)) if isinstance(value, str) else cell(value)
            return Node(cut(label), str(value) if text is None else text)
        children = []
        if depth < DEPTH:
            for name, each in islice(parts, CHILDREN):
                if self._left <= 0:
                    break
                children.append(self.plant(each, name, depth + 1))
        what = f"{type(value).__name__} of {len(value):,}"
        return Node(cut(label), what, children, len(value) - len(children))
