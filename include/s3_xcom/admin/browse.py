"""Pages of the bucket's content: DAGs, their runs, and the objects of a run. Each page takes one LIST.

An id is given as its encoded segment of the keys, which may be cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from include.s3_xcom import keys
from include.s3_xcom.keys import KeyId, Owner
from include.s3_xcom.on_airflow import xcom_table
from include.s3_xcom.s3.listings import Listed
from include.s3_xcom.s3.store import Store

FOLDERS, OBJECTS = 1000, 200
"""Entries on one page: folders (DAGs or runs), and objects."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT?[\d:.]*")

_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Folder:
    """A DAG, or one of its runs.

    :param segment: its segment of the keys below it
    """

    segment: str
    id: KeyId


@dataclass(frozen=True)
class Entry:
    """An object.

    :param size: bytes
    :param age: seconds since it was written
    :param expires: seconds until S3 deletes it; None: never
    :param type: type of the value; empty if no XCom refers to the object
    :param is_referenced: whether an XCom refers to it; None: the metadata database does not answer
    :param is_of_file: whether it is a File within the value of another object
    """

    key: str
    owner: Owner
    size: int
    age: float
    expires: float | None
    type: str
    is_referenced: bool | None
    is_of_file: bool


@dataclass(frozen=True)
class Folders:
    """A page of DAGs or runs.

    :param token: token of the next page; None: this is the last one
    """

    folders: list[Folder]
    token: str | None


@dataclass(frozen=True)
class Entries:
    """A page of objects, newest first. The parameters are those of :class:`Folders`."""

    entries: list[Entry]
    token: str | None


def dags(store: Store, starting_with: str = "", token: str | None = None) -> Folders:
    """Return a page of the DAGs that have objects, sorted by their encoded ids.

    :param starting_with: start of the ids
    :param token: token from the page before; None: the first page
    """
    return _folders(store, keys.root(store.settings) + "dag_id=", starting_with, token)


def runs(store: Store, dag: str, starting_with: str = "", token: str | None = None) -> Folders:
    """Return a page of the runs of a DAG that have objects, newest first by the times in their ids.

    :param dag: its segment. The other parameters are those of :func:`dags`
    """
    page = _folders(store, f"{keys.root(store.settings)}dag_id={dag}/run_id=", starting_with, token)
    page.folders.sort(key=_time_of, reverse=True)
    return page


def objects(store: Store, dag: str, run: str, starting_with: str = "", token: str | None = None) -> Entries:
    """Return a page of the objects of a run.

    :param run: its segment
    :param starting_with: start of the ids of their tasks. The other parameters are those of :func:`runs`
    """
    prefix = f"{keys.root(store.settings)}dag_id={dag}/run_id={run}/task_id={keys.encode_id(starting_with)}"
    page = store.page(prefix, token, size=OBJECTS)
    listed = [each for each in page.objects if keys.is_key(each.key, store.settings)]
    known = xcom_table.references_if_known(each.key for each in listed)
    entries = [_entry(store, each, known) for each in listed]
    return Entries(sorted(entries, key=lambda entry: entry.age), page.token)


def _folders(store: Store, prefix: str, starting_with: str, token: str | None) -> Folders:
    page = store.page(prefix + keys.encode_id(starting_with), token, by_folders=True, size=FOLDERS)
    segments = [folder.removeprefix(prefix).rstrip("/") for folder in page.folders]
    return Folders([Folder(each, keys.decode_id(each)) for each in segments if each], page.token)


def _time_of(folder: Folder) -> str:
    """Return the time that Airflow writes into the ids of runs; empty for other ids, which come last."""
    match = _TIME.search(folder.id.text)
    return match[0] if match else ""


def _entry(store: Store, listed: Listed, known: dict | None) -> Entry:
    stem = keys.stem_of(listed.key)
    reference = (known or {}).get(stem)
    is_its_own = reference is not None and reference.key == listed.key
    days = store.settings.retention_days
    return Entry(
        listed.key,
        keys.parse_key(listed.key),
        listed.size,
        listed.age,
        max(0, days * _DAY - listed.age) if days else None,
        str(reference.info) if is_its_own else "",
        None if known is None else stem in known,
        keys.is_of_file(listed.key),
    )


def readable(page: Folders, may_read: Callable[[KeyId], bool]) -> Folders:
    """Keep the DAGs of a page that somebody may read."""
    return Folders([folder for folder in page.folders if may_read(folder.id)], page.token)
