"""Neither values nor credentials get into a log, an error or the UI, at the level DEBUG of every library."""

from __future__ import annotations

import json
import logging
import pathlib
import secrets
import traceback
import uuid
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest

from include.s3_xcom import File, batches, items, rows
from include.s3_xcom.__main__ import main
from include.s3_xcom.errors import XComError
from tests.helpers.task import Task

CANARY = f"canary{secrets.token_hex(8)}"
CREDENTIALS = {"login": f"login{secrets.token_hex(8)}", "password": f"password{secrets.token_hex(8)}"}
TOKEN = f"token{secrets.token_hex(8)}"

TEXTS = [CANARY] * 10
FRAME = pd.DataFrame({"a": TEXTS, "b": range(10)})


class Telling:
    """An object that cannot be pushed, and says what it holds when it is shown."""

    def __repr__(self) -> str:
        return CANARY

    __str__ = __repr__


class Log(logging.Handler):
    """All that is logged, as text with tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += self.format(record) + "\n"


pytestmark = pytest.mark.servers("localstack", why="it takes a login and a session token that were made up")


@pytest.fixture
def log(monkeypatch) -> Iterator[Log]:
    handler, root = Log(), logging.getLogger()
    monkeypatch.setattr(root, "level", logging.DEBUG)
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    for logger in loggers:
        monkeypatch.setattr(logger, "level", logging.NOTSET)
        logger._cache.clear()
    for logger in (root, *(logger for logger in loggers if not logger.propagate)):
        logger.addHandler(handler)
    yield handler
    for logger in (root, *loggers):
        logger.removeHandler(handler)
        logger._cache.clear()


@pytest.fixture
def guarded(stack, monkeypatch) -> None:
    """A connection whose credentials can be looked for, and a client that has not been made yet."""
    extra = {"endpoint_url": stack.s3.url, "region_name": "us-east-1", "aws_session_token": TOKEN}
    name = f"guarded_{uuid.uuid4().hex}"
    connection = {"conn_type": "aws", **CREDENTIALS, "extra": extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__S3_XCOM__CONN_ID", name)


def assert_silent(text: str) -> None:
    for secret in (CANARY, CREDENTIALS["password"], TOKEN):
        at = text.find(secret)
        assert at < 0, text[max(0, at - 300) : at + 100]


def csv(directory: pathlib.Path) -> File:
    path = directory / "data.csv"
    path.write_text(f"{CANARY},1\n" * 1000)
    return File(path)


VALUES: dict[str, Callable[[pathlib.Path], object]] = {
    "long text": lambda _: CANARY * 100,
    "dict": lambda _: {"a": {"b": TEXTS}},
    "bytes": lambda _: CANARY.encode() * 100,
    "array": lambda _: np.array(TEXTS),
    "frame": lambda _: FRAME,
    "frames in a list": lambda _: [FRAME, FRAME.set_index("a")],
    "file": csv,
    "file in a dict": lambda directory: {"file": csv(directory), "text": CANARY},
    "rows": lambda _: rows(FRAME),
    "batches": lambda _: batches(FRAME, 3),
    "items": lambda _: items([{"a": CANARY}] * 10),
    "items with frames": lambda _: items([FRAME, FRAME]),
}


def use(value: object) -> None:
    """Read it in every way that it has."""
    if isinstance(value, dict):
        value = value.get("file")
    if isinstance(value, File):
        assert CANARY in value.path.read_text()
        assert len(value.read_csv(header=None)) == 1000
    elif hasattr(value, "stored"):
        assert len(list(value)) == len(value)
        assert value[0] is not None
        assert repr(value)


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_in_no_log_and_not_shown(task: Task, guarded, log, tmp_path, name, capfd):
    task.push(VALUES[name](tmp_path))
    use(task.pull())
    task.push(task.pull(), key="again")
    assert_silent(str(task.shown()))
    assert main(["ls", "--dag", task.ids["dag_id"], "--run", task.ids["run_id"]]) == 0
    assert main(["sweep"]) == 0
    assert "botocore" in log.text, "nothing was captured"
    assert_silent(log.text)
    assert_silent("".join(capfd.readouterr()))


UNSUPPORTED = {
    "object": lambda: Telling(),
    "object in a dict": lambda: {"a": [TEXTS, Telling()]},
    "object in a column": lambda: pd.DataFrame({"a": [CANARY, Telling()]}),
    "mixed column": lambda: pd.DataFrame({"a": [CANARY, {"b": Telling()}]}),
    "array of objects": lambda: np.array([CANARY, Telling()], dtype=object),
    "object in an index": lambda: pd.DataFrame({"a": [1]}, index=[Telling()]),
    "path": lambda: pathlib.Path("/") / CANARY,
    "generator": lambda: (x for x in TEXTS),
    "object in items": lambda: items([CANARY, Telling()]),
    "object in rows": lambda: rows(pd.DataFrame({"a": [CANARY, Telling()]})),
    "lone surrogate": lambda: pd.DataFrame({"a": pd.Series([CANARY + "\ud800"], dtype=object)}),
    "longdouble": lambda: pd.DataFrame({"a": np.array([1], dtype=np.longdouble), "b": [CANARY]}),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_value_that_cannot_be_pushed_is_in_no_error(task: Task, guarded, log, name):
    try:
        task.push(UNSUPPORTED[name]())
    except XComError as error:
        assert_silent("".join(traceback.format_exception(error)))
    else:
        assert name == "lone surrogate"
    assert_silent(log.text)


@pytest.mark.parametrize("name", [name for name in VALUES if name != "file"])
@pytest.mark.parametrize("body", [b'["%s' % CANARY.encode(), CANARY.encode()], ids=["JSON", "text"])
def test_what_an_object_wrongly_holds_is_in_no_error(task: Task, guarded, log, s3, tmp_path, name, body):
    task.push(VALUES[name](tmp_path))
    reference = json.loads(task.row())
    body = body.ljust(reference["size"])[: reference["size"]]
    reference["etag"] = s3.Object(reference["key"]).put(Body=body)["ETag"]
    del reference["sha256"]
    task.set_row(json.dumps(reference).encode())
    log.text = ""  # of the request that altered it
    try:
        use(task.pull())
    except XComError as error:
        assert_silent("".join(traceback.format_exception(error)))
    else:
        assert name in ("long text", "bytes"), "any text is a text"
    assert_silent(log.text)


def test_credentials_are_in_no_error_when_s3_refuses_them(task: Task, guarded, log, monkeypatch):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__BUCKET", "another-bucket")
    with pytest.raises(XComError) as raised:
        task.push(FRAME)
    assert_silent("".join(traceback.format_exception(raised.value)))
    assert_silent(log.text)
