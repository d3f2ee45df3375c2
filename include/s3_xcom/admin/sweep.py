"""Deletes objects that no XCom refers to.

Safe beside running tasks. Objects are listed first and the database is read after, so that an XCom whose
commit falls in between is seen. What is younger than the grace period is never touched: its push may not be
committed yet. An old object without an XCom can get none any more, for each push makes a new one.

An object is an orphan if two questions to the database say so: the ids in its key lead to no reference, and
no row of the whole table holds the unique part of its key. The second alone would do, but it reads the whole
table: it is asked once for many suspects, and not at all where there are none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from include.s3_xcom import keys
from include.s3_xcom.errors import SettingError
from include.s3_xcom.on_airflow import heir, xcom_table
from include.s3_xcom.s3.listings import Listed
from include.s3_xcom.s3.store import DELETE_KEYS, Store

GRACE_SECONDS = 24 * 3600

MAX_SUSPECTS = 100_000
"""Objects for which the whole table is read at a time; they take about 50 MB of memory."""


@dataclass
class Counts:
    """The counts of a sweep.

    :param objects: in the bucket below the prefix
    :param young: of these, younger than the grace period
    :param orphans: of the others, those that no XCom refers to
    :param deleted: of the orphans
    :param failed: of the orphans, those that S3 did not delete
    """

    objects: int = 0
    bytes: int = 0
    young: int = 0
    orphans: int = 0
    orphan_bytes: int = 0
    deleted: int = 0
    failed: int = 0


def sweep(
    store: Store,
    *,
    grace: float = GRACE_SECONDS,
    delete: bool = False,
    force: bool = False,
    found: Callable[[Counts, list[Listed]], None] = lambda counts, orphans: None,
) -> Counts:
    """Find, and delete if asked to, the objects that no XCom refers to.

    Safe to repeat and to interrupt. One request lists a thousand objects, one deletes a thousand orphans.

    :param grace: age in seconds below which an object is left alone
    :param delete: False: only find them
    :param force: delete even if the metadata database refers to nothing here
    :param found: called with the counts so far, and the latest orphans
    :raises SettingError: if the metadata database does not answer, refers to nothing here, or is not the one
        that deletes here
    :raises StorageError: if S3 cannot be reached or denies it
    """
    settings = store.settings
    if delete and (refusal := heir.why_not(store)):
        raise SettingError(f"Nothing is deleted. {refusal}")
    if delete and not force and not xcom_table.refers_to_any(settings):
        raise SettingError(
            f"No XCom of this metadata database is in {store.address(keys.root(settings))}, "
            "so nothing is deleted. Is it the right database, bucket and prefix? If so, use --force."
        )
    counts = Counts()
    suspects: list[Listed] = []

    def judge() -> None:
        orphans = _unreferenced(suspects)
        suspects.clear()
        for start in range(0, len(orphans), DELETE_KEYS):
            latest = orphans[start : start + DELETE_KEYS]
            counts.orphans += len(latest)
            counts.orphan_bytes += sum(item.size for item in latest)
            if delete:
                left = store.delete([item.key for item in latest])
                counts.failed += len(left)
                counts.deleted += len(latest) - len(left)
            found(counts, latest)

    for page in store.list(keys.root(settings)):
        ours = [item for item in page if keys.is_key(item.key, settings)]
        old = [item for item in ours if item.age >= grace]
        counts.objects += len(ours)
        counts.bytes += sum(item.size for item in ours)
        counts.young += len(ours) - len(old)
        suspects += _not_found(old)
        found(counts, [])
        if len(suspects) >= MAX_SUSPECTS:
            judge()
    judge()
    return counts


def _not_found(items: list[Listed]) -> list[Listed]:
    """The objects to which no row refers among the rows that the ids in their keys lead to."""
    if not items:
        return []
    referenced = xcom_table.references_to(item.key for item in items)
    return [
        item
        for item in items
        # Without its ids, an XCom cannot be looked for.
        if keys.stem_of(item.key) not in referenced and not keys.parse_key(item.key).is_unknown
    ]


def _unreferenced(items: list[Listed]) -> list[Listed]:
    """The objects that no row of the table refers to."""
    if not items:
        return []
    referenced = xcom_table.referenced_anywhere(item.key for item in items)
    return [item for item in items if item.key not in referenced]
