"""Prepare Airflow: its database, the UI's user, the connections and the variable.

Safe to repeat: what exists stays as it is, so that edits made in the UI last. Where it differs from .env, a
line that begins with "note:" says so, and how to have what .env says.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time

from airflow.cli import cli_parser
from airflow.cli.commands import db_command
from airflow.models import Connection, Variable
from airflow.utils.session import create_session
from sqlalchemy import text
from werkzeug.security import check_password_hash, generate_password_hash

ENOUGH_DISK_BYTES = 2 * 1000**3

S3_SECONDS = 30
"""Seconds for which S3 is waited for."""


def main() -> None:
    look_at_disk()
    print("Preparing Airflow's database", flush=True)
    airflow("db", "migrate" if hasattr(db_command, "migratedb") else "upgrade")  # its name since 2.7
    user, password = os.environ["INIT_UI_USER"], os.environ["INIT_UI_PASSWORD"]
    name = [f"--firstname={user}", "--lastname=Admin", f"--email={user}@localhost.invalid"]
    airflow("users", "create", "--role", "Admin", f"--username={user}", f"--password={password}", *name)
    compare_password(user, password, set_it="--set-password" in sys.argv)
    add_connection(Connection(conn_id="DB_CONN", uri=os.environ["INIT_DB_CONN"]))
    add_connection(aws_connection())
    add_variable("BASE_DIR", os.environ["INIT_BASE_DIR"], "Where include/ and dags/ lie")
    note_database()


def note_database() -> None:
    """Note this database in the bucket as the one that deletes there, before anybody copies it."""
    from include.s3_xcom.errors import XComError
    from include.s3_xcom.on_airflow import heir
    from include.s3_xcom.s3.store import Store

    until = time.monotonic() + S3_SECONDS
    while True:
        try:
            store = Store.configured(hasty=True)
            heir.note_if_new(store)
            refusal = heir.why_not(store)
        except XComError as error:
            refusal = str(error)
            if time.monotonic() < until:  # LocalStack takes some seconds to start
                time.sleep(1)
                continue
        if refusal:
            print(f"note: XComs that are deleted stay in the bucket. {refusal}", flush=True)
        return


def look_at_disk() -> None:
    free = shutil.disk_usage("/").free
    if free < ENOUGH_DISK_BYTES:
        print(f"note: the disk has {free // 1000**2} MB left. The stack needs 2,000 MB.", flush=True)


def aws_connection() -> Connection:
    """Where S3 is. What is empty is left to boto3: AWS's endpoint, its search for credentials."""
    style, endpoint_url = os.environ["INIT_S3_ADDRESSING_STYLE"], os.environ["INIT_S3_ENDPOINT_URL"]
    has_sts = "//localstack:" in endpoint_url
    extra = {
        "config_kwargs": {"s3": {"addressing_style": style}} if style != "auto" else {},
        "endpoint_url": endpoint_url,
        "region_name": os.environ["INIT_S3_REGION"],
        # For the button that tests the connection, in providers since 2023.
        "service_config": {"sts": {"endpoint_url": endpoint_url}} if has_sts else {},
        "verify": os.environ["INIT_S3_CA_BUNDLE"],
    }
    return Connection(
        conn_id="aws_default",
        conn_type="aws",
        login=os.environ["INIT_AWS_ACCESS_KEY_ID"] or None,
        password=os.environ["INIT_AWS_SECRET_ACCESS_KEY"] or None,
        extra=json.dumps({name: value for name, value in extra.items() if value}),
    )


def compare_password(user: str, password: str, set_it: bool) -> None:
    with create_session() as session:
        query = text("SELECT password FROM ab_user WHERE username = :user")
        stored = session.execute(query, {"user": user}).scalar()
        if stored is None or check_password_hash(stored, password):
            return
        if set_it:
            update = text("UPDATE ab_user SET password = :password WHERE username = :user")
            session.execute(update, {"user": user, "password": generate_password_hash(password)})
            print(f"The password of {user} is set.", flush=True)
            return
    print(
        f"note: UI_PASSWORD in .env is not the password of {user}. To set it: make password",
        flush=True,
    )


def add_connection(connection: Connection) -> None:
    with create_session() as session:
        stored = session.query(Connection).filter_by(conn_id=connection.conn_id).first()
        if stored is None:
            session.add(connection)
            print(f"Connection {connection.conn_id} created", flush=True)
        elif told(stored) != told(connection):
            print(
                f"note: the connection {connection.conn_id} differs from what .env says. Edit it in the UI "
                "(Admin, Connections), or delete it there and run make up again.",
                flush=True,
            )


def told(connection: Connection) -> tuple:
    """What a connection says."""
    parts = (connection.host, connection.schema, connection.login, connection.password, connection.port)
    return (connection.conn_type, *(part or None for part in parts), connection.extra_dejson)


def add_variable(key: str, value: str, description: str) -> None:
    with create_session() as session:
        if session.query(Variable).filter_by(key=key).count():
            return
        session.add(Variable(key, value, description))
    print(f"Variable {key} created", flush=True)


def airflow(*arguments: str) -> None:
    """Run a command of Airflow's own command line, here: each process of it takes seconds to start."""
    options = cli_parser.get_parser().parse_args(arguments)
    options.func(options)


if __name__ == "__main__":
    main()
