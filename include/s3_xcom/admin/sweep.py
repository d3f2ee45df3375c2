"""Deletion of objects that no XCom refers to.

It is safe beside running tasks. Objects are listed first and the database is read after that, so an XCom
committed in between is seen. An object younger than the grace period is never deleted: its push may not be
committed yet. No XCom will ever refer to an old orphan, because each push makes a new object.

An object is an orphan if two queries say so: the ids in its key lead to no reference, and no row of the whole
table holds the unique segment of its key. The second alone would do, but it reads the whole table: it is made
once for many suspects, and not at all if there are none.
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
"""Objects checked by one reading of the whole table; they take about 50 MB of memory."""


@dataclass
class Counts:
    """The counts of a sweep.

    :param objects: objects in the bucket below the prefix
    :param bytes: bytes of these objects
    :param young: objects younger than the grace period
    :param orphans: other objects that no XCom refers to
    :param orphan_bytes: bytes of the orphans
    :param deleted: orphans that were deleted
    :param failed: orphans that S3 did not delete
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
    """Find the objects that no XCom refers to, and delete them if asked to.

    It is safe to repeat and to interrupt. One request lists 1,000 objects, another deletes 1,000 orphans.

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
            f"No XCom of this metadata database is in {store.root_address}, "
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
    """Return the objects without a reference in the rows that the ids in their keys lead to."""
    if not items:
        return []
    referenced = xcom_table.references_to(item.key for item in items)
    return [
        item
        for item in items
        # The XCom of an object without ids cannot be searched for.
        if keys.stem_of(item.key) not in referenced and not keys.parse_key(item.key).is_unknown
    ]


def _unreferenced(items: list[Listed]) -> list[Listed]:
    """Return the objects that no row of the whole table refers to."""
    if not items:
        return []
    referenced = xcom_table.referenced_anywhere(item.key for item in items)
    return [item for item in items if item.key not in referenced]
