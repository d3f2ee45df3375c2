"""Deletes objects that no XCom refers to.

Safe beside running tasks. Objects are listed first and the database is read after, so that an XCom whose
commit falls in between is seen. What is younger than the grace period is never touched: its push may not be
committed yet. An old object without an XCom can get none any more, for each push makes a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from include.s3_xcom import inventory, reference, store
from include.s3_xcom.errors import SettingError
from include.s3_xcom.settings import Settings
from include.s3_xcom.store import Listed

GRACE_SECONDS = 24 * 3600


@dataclass
class Counts:
    """What a sweep met.

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
    settings: Settings,
    *,
    grace: float = GRACE_SECONDS,
    delete: bool = False,
    force: bool = False,
    found: Callable[[Counts, list[Listed]], None] = lambda counts, orphans: None,
) -> Counts:
    """Find, and delete if asked to, the objects that no XCom refers to.

    Safe to repeat and to interrupt. One request lists a thousand objects, one more deletes those of them that
    are orphans.

    :param grace: age in seconds below which an object is left alone
    :param delete: False: only find them
    :param force: delete even if the metadata database refers to nothing here
    :param found: told about the progress: the counts so far, and the latest orphans
    :raises SettingError: if the metadata database does not answer, or refers to nothing here
    :raises StorageError: if S3 cannot be reached or denies it
    """
    if delete and not force and not inventory.refers_to_any(settings):
        raise SettingError(
            f"No XCom of this metadata database is in s3://{settings.bucket}/{reference.head_of(settings)}, "
            "so nothing is deleted. Is it the right database, bucket and prefix? If so, use --force."
        )
    counts = Counts()
    for page in store.listed(settings, reference.head_of(settings)):
        mine = [item for item in page if reference.is_key(item.key, settings)]
        old = [item for item in mine if item.age >= grace]
        orphans = _orphans(old)
        counts.objects += len(mine)
        counts.bytes += sum(item.size for item in mine)
        counts.young += len(mine) - len(old)
        counts.orphans += len(orphans)
        counts.orphan_bytes += sum(item.size for item in orphans)
        if delete:
            left = store.delete(settings, [item.key for item in orphans])
            counts.failed += len(left)
            counts.deleted += len(orphans) - len(left)
        found(counts, orphans)
    return counts


def _orphans(items: list[Listed]) -> list[Listed]:
    referenced = inventory.references_to(item.key for item in items)
    return [
        item
        for item in items
        # Without its ids, an XCom cannot be looked for.
        if reference.stem_of(item.key) not in referenced and not reference.parse_key(item.key).is_unknown
    ]
