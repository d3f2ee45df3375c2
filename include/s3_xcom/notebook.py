"""``find`` and ``read``: XComs found by the objects in the bucket, for notebooks and scripts.

They need neither Airflow nor its metadata database. Settings are those of Airflow's configuration if there is
one, otherwise environment variables of the same names (``AIRFLOW__S3_XCOM__BUCKET``). Credentials are those
that boto3 finds by itself; ``AWS_ENDPOINT_URL`` names another S3 server than AWS.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from include.s3_xcom import keys, pull
from include.s3_xcom.errors import BadReferenceError, ObjectMissingError, SettingError
from include.s3_xcom.keys import Owner
from include.s3_xcom.on_airflow.configuration import load_settings
from include.s3_xcom.reference import ObjectInfo, Reference, human_size, is_moment
from include.s3_xcom.s3.listings import Listed
from include.s3_xcom.s3.parallel import Parallel
from include.s3_xcom.s3.store import Store

if TYPE_CHECKING:
    import pandas as pd

RETURN_KEY = "return_value"

ASKED_AT_ONCE = 8
"""Requests for what objects are, sent at the same time."""


class Found:
    """An object in the bucket.

    :ivar address: its s3:// address
    :ivar owner: the XCom it was pushed as: ``dag_id``, ``run_id``, ``task_id``, ``map_index``, ``key``
    :ivar size: bytes
    :ivar modified: time of the push
    """

    def __init__(self, store: Store, listed: Listed) -> None:
        self._store = store
        self.address = store.address(listed.key)
        self.owner: Owner = keys.parse_key(listed.key)
        self.size = listed.size
        self.modified = listed.modified

    def __repr__(self) -> str:
        return f"{self.owner}: {human_size(self.size)}, {self.modified:%Y-%m-%d %H:%M:%S}, {self.address}"

    @functools.cached_property
    def reference(self) -> Reference:
        """Reference made from the object's metadata, which takes one request.

        :raises ObjectMissingError: if it is gone
        """
        return of_object(self._store, self.address.removeprefix(self._store.address() + "/"))

    @property
    def info(self) -> ObjectInfo:
        """Its type and shape. Raises what :attr:`reference` raises."""
        return self.reference.info

    def read(self) -> Any:
        """Return the value, as :func:`read` does."""
        return pull.whole(self._store, self.reference)


class FoundObjects(list[Found]):
    """Objects, newest first."""

    def to_frame(self) -> pd.DataFrame:
        """Return a frame with one row for each object; type and shape take one request each."""
        import pandas as pd

        infos = list(Parallel(lambda found: found.info, ASKED_AT_ONCE, ready=len(self)).run(self))
        return pd.DataFrame(
            {
                **{
                    field.name: [getattr(found.owner, field.name) for found in self]
                    for field in dataclasses.fields(Owner)
                },
                "type": [info.type for info in infos],
                "shape": [" x ".join(map(str, info.shape)) for info in infos],
                "size": [found.size for found in self],
                "modified": pd.to_datetime([found.modified for found in self], utc=True),
                "address": [found.address for found in self],
            }
        )


def find(
    *,
    dag: str | None = None,
    run: str | None = None,
    task: str | None = None,
    map_index: int | None = None,
    key: str | None = None,
) -> FoundObjects:
    """Find the objects of XComs, newest first. One request lists 1,000 objects of the DAG, or the run.

    Objects that no XCom refers to any more are found, too, until the sweep deletes them.

    :param dag: id of a DAG; None: of all
    :param run: id of a run, needs ``dag``; None: of all
    :param task: id of a task; None: of all
    :param map_index: index of a mapped task; None: of all
    :param key: key of the XCom; None: of all
    :raises SettingError: if a setting or credentials are missing
    :raises StorageError: if S3 does not answer
    """
    store = _store()
    if run and not dag:
        raise SettingError("A run needs its dag.")
    wanted = {"dag_id": dag, "run_id": run, "task_id": task, "map_index": map_index, "key": key}
    found = FoundObjects(
        Found(store, listed)
        for page in store.list(keys.prefix_of(store.settings, dag, run))
        for listed in page
        if keys.is_key(listed.key, store.settings)
        and keys.is_of(listed.key, **wanted)
        and not keys.is_of_file(listed.key)
    )
    found.sort(key=lambda each: each.modified, reverse=True)
    return found


def read(
    address: str | None = None,
    *,
    dag: str | None = None,
    run: str | None = None,
    task: str | None = None,
    map_index: int | None = None,
    key: str = RETURN_KEY,
) -> Any:
    """Read the value of one XCom; ``rows`` and ``batches`` as a frame, ``items`` as a list.

    ``read("s3://xcom/xcom/dag_id=TestDag/...")`` or ``read(dag="TestDag", task="Get_Data")``

    The metadata database, which has the object's ETag and SHA-256 as they were pushed, is not asked: the
    value is that of the object in the bucket now, all of one version.

    :param address: s3:// address of an object; it names bucket and prefix
    :param dag: without an address: id of the DAG
    :param run: id of the run; None: the one that pushed last
    :param task: id of the task
    :param map_index: index of a mapped task; may be left out if there is only one
    :param key: key of the XCom
    :raises ObjectMissingError: if there is no such object
    :raises SettingError: if a setting or credentials are missing, or it is not clear which XCom is meant
    :raises StorageError: if S3 does not answer
    :raises FormatError: if no push can have written the object
    """
    if address is not None:
        store, object_key = _at(address)
        return pull.whole(store, of_object(store, object_key))
    if not dag or not task:
        raise SettingError("Give the s3:// address of an object, or dag and task.")
    found = find(dag=dag, run=run, task=task, map_index=map_index, key=key)
    if not found:
        run_words = "" if run is None else f", run {run!r}"
        raise ObjectMissingError(
            f"There is no XCom {key!r} of {dag}.{task}{run_words} in {_store().address()}. Small values are "
            "kept in the metadata database, where only Airflow reads them."
        )
    run_id = _newest(found).owner.run_id
    of_run = [each for each in found if each.owner.run_id == run_id]
    if len({each.owner.map_index for each in of_run}) > 1:
        raise SettingError(
            f"{dag}.{task} is mapped, and has several results in run {run_id!r}. Give map_index."
        )
    return _newest(of_run).read()


def _newest(found: list[Found]) -> Found:
    """Return the first of objects sorted newest first; of several of the same second, the newest."""
    tied = [each for each in found if each.modified == found[0].modified]
    # The time of S3 has only seconds; the machine that pushed has noted its own.
    return tied[0] if len(tied) == 1 else max(tied, key=lambda each: each.reference.pushed or "")


def of_object(store: Store, key: str) -> Reference:
    """Make a reference from an object's metadata. It lacks the layout of a mapped sequence.

    :raises ObjectMissingError: if there is no such object
    """
    head = store.head(key)
    info = ObjectInfo.from_metadata(head["Metadata"])
    pushed = head["Metadata"].get("pushed", "")  # another program may have written it
    return Reference(
        store.settings.bucket,
        key,
        head.get("ContentLength", 0),
        head["ETag"],
        info,
        pushed=pushed if is_moment(pushed) else None,
    )


def _store(**settings: str) -> Store:
    return Store(dataclasses.replace(load_settings(**settings), conn_id=""))


def _at(address: str) -> tuple[Store, str]:
    """Return a store for the bucket and prefix that an address names, and the key.

    :raises BadReferenceError: if it is no address of an XCom
    """
    bucket, _, key = address.removeprefix("s3://").partition("/")
    prefix = key.partition("dag_id=")[0].rstrip("/")
    if not address.startswith("s3://") or not keys.is_any_key(key):
        raise BadReferenceError(
            f"{address} is no address of an XCom. They look like s3://bucket/prefix/dag_id=.../run_id=.../..."
        )
    return _store(bucket=bucket, prefix=prefix), key
