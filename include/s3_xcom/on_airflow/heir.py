"""Identity of the metadata database, which tells the one that deletes in the bucket from its copies.

A copy of the database (the rehearsal of an upgrade, staging restored from production) refers to the objects
of the original. A deletion there, by a task that starts again or by a sweep, must not take them away. So a
note in the bucket names one database by its identity, and no other deletes anything:

PostgreSQL
    The identifier of its system, its timeline, and its name. A dump that is restored elsewhere has another
    system or name; a replica that was promoted, or a restore to a point in time, another timeline. Aurora
    does not say its timeline.
MySQL
    The UUID of its server, and its name.
MariaDB
    Its directory of data, its name, and the time its table ``alembic_version`` was made: it has no UUID.
SQLite
    The path and inode of its file, and the id of this machine.

A copy of the files of a server that was not promoted has the identity of the original.
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CONTROLDATA
https://dev.mysql.com/doc/refman/8.4/en/replication-options.html#sysvar_server_uuid
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.s3_xcom.errors import SettingError
from include.s3_xcom.on_airflow import xcom_table
from include.s3_xcom.s3 import database_note, errors
from include.s3_xcom.s3.database_note import Note

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from include.s3_xcom.s3.store import Store

COMMAND = "python -m include.s3_xcom heir"

_POSTGRES = (
    "SELECT 'PostgreSQL system ' || (SELECT system_identifier FROM pg_control_system()) || "
    "{timeline} || ', database ' || current_database()"
)
_TIMELINE = "', timeline ' || ltrim(left(pg_walfile_name(pg_current_wal_lsn()), 8), '0')"

_QUERIES = {
    "postgresql": _POSTGRES.format(timeline=_TIMELINE),
    "mysql": "SELECT concat('MySQL server ', @@server_uuid, ', database ', database())",
    "mariadb": (
        "SELECT concat('MariaDB in ', @@datadir, ', database ', database(), ' made ', ("
        "SELECT create_time FROM information_schema.tables "
        "WHERE table_schema = database() AND table_name = 'alembic_version'))"
    ),
}

_QUERY_WITHOUT_WAL = _POSTGRES.format(timeline="''")
"""Query for Aurora, whose storage keeps the WAL by itself."""

_NO_WAL = {"0A000", "55000"}
"""SQLSTATEs with which Aurora answers functions of the WAL.

https://github.com/nagios-plugins/nagios-plugins/issues/542
https://github.com/DataDog/integrations-core/issues/20356
"""

_HINTS = {
    "postgresql": (
        " GRANT EXECUTE ON FUNCTION pg_control_system(), pg_walfile_name(pg_lsn), pg_current_wal_lsn() TO "
        "the role of Airflow."
    )
}
"""Advice, by kind of database, for a database that does not answer its query."""

_MACHINE_ID = Path("/etc/machine-id")

_ours: set[str] = set()
"""Addresses of prefixes in which this process's database is known to delete."""


def why_not(store: Store, *, dry: bool = False) -> str:
    """Return why this metadata database may delete nothing in the bucket; empty if it may.

    The bucket is asked once in a process, and again while the answer is no.

    :param dry: write nothing into the bucket
    :raises SettingError: if the database does not answer
    :raises StorageError: if S3 does not answer
    """
    address = store.root_address
    if address in _ours:
        return ""
    mine, note = identity(), read(store)
    if note is not None and note.database is None:
        if dry:
            return ""
        take_over(store, mine)
        note = read(store)  # another database may have written its note at the same moment
    if note is None:
        return (
            f"{address} has no note of the database that deletes there, and this one may be a copy of it. If "
            f"it is none, run `{COMMAND}` where its scheduler runs."
        )
    if note.database != mine:
        return (
            f"This database ({mine}) is not the one that deletes in {address} ({note.database}, since "
            f"{note.since}), but a copy, or another that was given the same prefix by mistake. If it takes "
            f"its place, run `{COMMAND}`; otherwise set another AIRFLOW__S3_XCOM__PREFIX."
        )
    _ours.add(address)
    return ""


def read(store: Store) -> Note | None:
    """Return the note in the bucket. Raises what :func:`why_not` raises."""
    with errors.translated(store.settings, "read the note in", store.root_address):
        return database_note.read(store.client, store.settings)


def note_if_new(store: Store) -> None:
    """Write a note without a database if nothing is below the prefix. Raises what :func:`why_not` raises."""
    with errors.translated(store.settings, "write a note in", store.root_address):
        database_note.write_if_new(store.client, store.settings)


def take_over(store: Store, mine: str) -> None:
    """Note in the bucket that a database deletes there from now on. Raises what :func:`why_not` raises.

    :param mine: identity of the database
    """
    with errors.translated(store.settings, "write the note in", store.root_address):
        database_note.write(store.client, store.settings, mine)


class UnknownDatabaseError(SettingError):
    """A metadata database that cannot be told from its copies."""


def identity() -> str:
    """Return the identity of the metadata database.

    :raises SettingError: if it does not answer
    :raises UnknownDatabaseError: if it does not tell enough
    """
    with xcom_table.answering() as session:
        kind = xcom_table.kind_of(session)
        if kind == "sqlite":
            return _of_file(session.get_bind().url.database)
        if kind in _QUERIES:
            return _ask(session, kind)
    raise UnknownDatabaseError(f"{_CANNOT_BE_TOLD} It is a {kind} database.")


_CANNOT_BE_TOLD = "The metadata database cannot be told from its copies, so nothing is deleted in S3."


def _ask(session: Session, kind: str) -> str:
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    def ask(query: str) -> Any:
        return session.execute(text(query)).scalar()

    try:
        try:
            answer = ask(_QUERIES[kind])
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) not in _NO_WAL:
                raise
            session.rollback()
            answer = ask(_QUERY_WITHOUT_WAL)
    except DBAPIError as error:
        why = f"It answers: {str(error.orig).strip()}.{_HINTS.get(kind, '')}"
        raise UnknownDatabaseError(f"{_CANNOT_BE_TOLD} {why}") from None
    if answer is None:
        raise UnknownDatabaseError(f"{_CANNOT_BE_TOLD} It does not say when it was made.")
    return str(answer)


def _of_file(path: str | None) -> str:
    """Return the identity of a file of SQLite."""
    if not path or not Path(path).is_file():
        raise UnknownDatabaseError(f"{_CANNOT_BE_TOLD} It is no file.")
    file = Path(path).resolve()
    machine = _MACHINE_ID.read_text().strip() if _MACHINE_ID.is_file() else ""
    return f"SQLite file {file.stat().st_ino} at {file} on {machine or platform.node()}"
