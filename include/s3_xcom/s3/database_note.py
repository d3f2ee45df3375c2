"""The note in the bucket that names the metadata database whose deployment deletes there.

It is a small JSON object beside the objects' keys, ``<prefix>/database.json``::

    {"database": "PostgreSQL system 7312345678901234567, timeline 1, database airflow",
     "since": "2026-11-27T12:00:00+00:00"}

:mod:`include.s3_xcom.on_airflow.heir` says what it is for.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from include.s3_xcom import keys
from include.s3_xcom.s3.errors import code_of
from include.s3_xcom.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient

_NAME = "database.json"


@dataclass(frozen=True)
class Note:
    """A note that was read, or will be written.

    :param database: identity of the database; None: the first one that deletes here writes its identity
    :param since: time when the note was written, in ISO 8601
    """

    database: str | None
    since: str


def read(s3: BaseClient, settings: Settings) -> Note | None:
    """Return the note; None if there is none.

    :raises botocore.exceptions.ClientError: if S3 refuses to say
    """
    try:
        answer = s3.get_object(**_where(settings))
    except s3.exceptions.ClientError as error:
        if code_of(error) in ("NoSuchKey", "404"):
            return None
        raise
    try:
        return Note(**json.loads(answer["Body"].read()))
    except (ValueError, TypeError):
        return Note("unknown, for somebody else wrote the note", "")


def write(s3: BaseClient, settings: Settings, database: str | None) -> None:
    """Write the note. The parameters are those of :class:`Note`.

    :raises botocore.exceptions.ClientError: if S3 does not take it
    """
    note = Note(database, datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"))
    s3.put_object(
        Body=json.dumps(asdict(note)).encode(),
        ContentType="application/json",
        **settings.encryption_headers,
        **_where(settings),
    )


def write_if_new(s3: BaseClient, settings: Settings) -> None:
    """Write a note without a database if there is no object below the prefix.

    :raises botocore.exceptions.ClientError: if S3 does not take it
    """
    found = s3.list_objects_v2(Bucket=settings.bucket, Prefix=keys.root(settings), MaxKeys=1)
    if not found.get("Contents"):
        write(s3, settings, None)


def _where(settings: Settings) -> dict[str, str]:
    return {"Bucket": settings.bucket, "Key": keys.root(settings) + _NAME}
