"""A task's timeout, SIGTERM and all else that a signal handler raises comes through at once, as itself."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from collections.abc import Iterator

import pandas as pd
import pytest
from airflow.exceptions import AirflowException, AirflowTaskTimeout
from airflow.utils.timeout import timeout

from include.s3_xcom import batches, items, rows
from include.s3_xcom.s3 import parts, uploads
from tests.helpers import faults
from tests.helpers.proxy import TRANSIENT, Proxy
from tests.helpers.release import AIRFLOW_3, ANY_CLASS

SOON = 5
"""Seconds. What hangs here would hang for minutes; make test-faults looks closer."""

FRAME = pd.DataFrame({"n": range(100_000), "x": [i / 7 for i in range(100_000)]})


class SoftLimitError(Exception):
    """Of somebody's own."""


@pytest.fixture(autouse=True)
def _no_callbacks_of_the_collector() -> Iterator[None]:
    """Hypothesis counts the time of collections in one: Python drops what a signal handler raises there."""
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks[:] = callbacks


@pytest.fixture
def proxy(stack, monkeypatch) -> Iterator[Proxy]:
    """Between the backend and S3, with settings under which a hanging request takes minutes."""
    proxy = Proxy(stack.s3.port)
    for name, value in faults.environment(proxy.port).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW__S3_XCOM__READ_TIMEOUT", "60")
    monkeypatch.setenv("AIRFLOW__S3_XCOM__MAX_ATTEMPTS", "5")
    monkeypatch.setattr(uploads, "SINGLE_PUT_BYTES", faults.PART_BYTES)
    monkeypatch.setattr(parts, "PART_BYTES", faults.PART_BYTES)
    yield proxy
    proxy.close()


@contextlib.contextmanager
def raised_after(seconds: float, error: BaseException) -> Iterator[None]:
    """Raise an error into the block, as a signal handler does."""

    def handle(*_: object) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def end_of_time() -> None:
    """What the timer of Airflow's ``timeout`` does at its end: for a timeout at a known request."""
    os.kill(os.getpid(), signal.SIGALRM)


def operations(task, csv) -> dict:
    """What uses S3, by name, each with what has to be there before."""

    def open_and_read() -> None:
        with task.pull("file").open() as stream:
            stream.read()

    def clear() -> None:

        task.clear()

    def sweep() -> None:
        from include.s3_xcom.admin.sweep import sweep
        from include.s3_xcom.s3.store import Store

        sweep(Store.configured(), grace=0)

    return {
        "push a frame": (None, lambda: task.push(FRAME)),
        "push a large file": (None, lambda: task.push(csv)),
        "push items": (None, lambda: task.push(items(["text"] * 10))),
        "push again": (lambda: task.push(csv, "file"), lambda: task.push(task.pull("file"))),
        "pull a frame": (lambda: task.push(FRAME), task.pull),
        "pull an element": (lambda: task.push(rows(FRAME[:10])), lambda: task.pull()[3]),
        "iterate over batches": (lambda: task.push(batches(FRAME, 1000)), lambda: list(task.pull())),
        "read a file": (lambda: task.push(csv, "file"), open_and_read),
        "clear": (lambda: task.push([1]), clear),
        "sweep": (lambda: task.push([1]), sweep),
    }


OPERATIONS = (
    *("push a frame", "push a large file", "push items", "push again", "pull a frame", "pull an element"),
    *("iterate over batches", "read a file", "clear", "sweep"),
)


@pytest.mark.parametrize("fault", ["stall before the answer", "stall in the middle of a body"])
@pytest.mark.parametrize("operation", [name for name in OPERATIONS if not (AIRFLOW_3 and name == "clear")])
def test_a_timeout_is_heard_within_a_second_from_each_operation(task, csv, proxy, s3, operation, fault):
    prepare, act = operations(task, csv)[operation]
    if prepare is not None:
        prepare()
    act_has_a_body = operation.startswith(("pull", "iterate", "read"))
    if fault == "stall in the middle of a body" and not act_has_a_body:
        fault = "stall before the answer"
    start = time.monotonic()
    with (
        proxy.breaking(TRANSIENT[fault]),
        pytest.raises(AirflowTaskTimeout, match="too long"),
        timeout(0.5, "too long"),
    ):
        act()
    assert time.monotonic() - start < SOON


@pytest.mark.parametrize(
    "error",
    [
        AirflowException("Task received SIGTERM signal"),
        SoftLimitError("mine"),
        TimeoutError("not the network's"),
        ConnectionResetError("not the network's either"),
        ValueError("x"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("operation", ["push a frame", "pull a frame", "read a file"])
@pytest.mark.parametrize("fault", ["stall before the answer", "stall in the middle of a body"])
def test_whatever_a_signal_handler_raises_comes_through_as_itself(task, csv, proxy, operation, fault, error):
    prepare, act = operations(task, csv)[operation]
    if prepare is not None:
        prepare()
    fault = "stall before the answer" if operation.startswith("push") else fault
    start = time.monotonic()
    with proxy.breaking(TRANSIENT[fault]), pytest.raises(type(error)) as raised, raised_after(0.3, error):
        act()
    assert raised.value is error
    assert time.monotonic() - start < SOON


def test_a_timeout_between_attempts_is_heard_too(task, proxy):
    def push_for_ever() -> None:
        while True:
            task.push([1])

    start = time.monotonic()
    with (
        proxy.breaking(TRANSIENT["HTTP 503 SlowDown"]),
        pytest.raises(AirflowTaskTimeout),
        timeout(0.4, "too long"),
    ):
        push_for_ever()
    assert time.monotonic() - start < SOON


def test_an_interrupted_upload_leaves_no_parts(task, csv, proxy, s3):
    before = {upload.id for upload in s3.multipart_uploads.all()}

    def hang_at_the_second_part(exchange) -> None:
        if b"partNumber=2" in exchange.head:
            end_of_time()
            TRANSIENT["stall before the answer"](exchange)
        else:
            exchange.send(b"".join(exchange.answer()))

    with (
        proxy.breaking(hang_at_the_second_part),
        pytest.raises(AirflowTaskTimeout),
        timeout(60, "too long"),
    ):
        task.push(csv)
    assert {upload.id for upload in s3.multipart_uploads.all()} <= before


def test_the_connection_is_closed(task, proxy):
    ends = []

    def hang(exchange) -> None:
        exchange.request()
        end_of_time()
        ends.append(exchange.connection.recv(1))

    with proxy.breaking(hang), pytest.raises(AirflowTaskTimeout), timeout(60, "too long"):
        task.push(FRAME)
    deadline = time.monotonic() + 1
    while not ends and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ends == [b""]


def test_an_interruption_that_was_caught_before_is_no_news(task, proxy, monkeypatch):
    """A real failure in somebody's clean-up after a timeout is what it is."""
    from include.s3_xcom.errors import StorageError

    monkeypatch.setenv("AIRFLOW__S3_XCOM__MAX_ATTEMPTS", "2")
    with proxy.breaking(TRANSIENT["HTTP 500 InternalError"]):
        try:
            with timeout(0.1, "too long"):
                time.sleep(5)
        except AirflowTaskTimeout:
            with pytest.raises(StorageError):
                task.push([1])


def test_user_code_that_is_interrupted_while_it_serializes_is_not_taken_for_unsupported(task, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", ANY_CLASS)
    with pytest.raises(AirflowTaskTimeout), timeout(0.2, "too long"):
        task.push([Slow()])


class Slow:
    def serialize(self) -> dict:
        return {}

    @staticmethod
    def deserialize(_: dict, __: int) -> Slow:
        time.sleep(5)
        return Slow()
