"""The backend keeps its word when S3, the network, the database, the disk or the task itself fails."""

from __future__ import annotations

import functools
import itertools
import json
import multiprocessing
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from include.s3_xcom import File, rows
from include.s3_xcom.errors import DiskError, ObjectMissingError, StorageError
from include.s3_xcom.s3 import ranges
from tests.helpers import faults
from tests.helpers.faults import CLEAR, SUCCEEDED, WRONG
from tests.helpers.proxy import BODY, FOREVER, LASTING, TRANSIENT, Proxy

INJECTIONS = int(os.environ.get("FAULT_INJECTIONS", "66"))
KILLS = max(5, INJECTIONS // 10)
PAGE = os.environ.get("FAULT_PAGE")
WORKERS = 4

FRAME = pd.DataFrame({"n": range(100_000), "x": [i / 7 for i in range(100_000)]})

KILLED = "task killed (SIGKILL), its XComs afterwards"

INTRODUCTION = """\
# Faults

Made by `make test-faults`: real pushes and pulls, with a proxy before S3 that breaks connections and answers,
and objects altered behind the backend's back. A fault strikes one request, two, or all from then on, with at
most 3 attempts and timeouts of 1 s. An operation must succeed, or fail with an error that names the XCom and
the `s3://` address; a wrong value, another error, a row without its object or more than 60 s count as wrong.
A task's timeout or SIGTERM, raised at any moment into an operation whose requests hang, must come out as
itself within a second ("failed clearly").

The same tests kill the database before a commit, restart S3 empty, and fill the disk.

| fault | injections | succeeded | failed clearly | wrong |
| --- | --- | --- | --- | --- |
"""


def csv(directory: Path, size: int = 3_000_000) -> File:
    path = directory / "data.csv"
    path.write_bytes(b"1,Hualian\n" * (size // 10))
    return File(path)


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, Counter]]:
    """What came of each fault; written down at the end."""
    found: dict[str, Counter] = {}
    yield found
    order = [*faults.FAULTS, KILLED]
    lines = [
        f"| {fault} | {sum(n.values()):,} | {n[SUCCEEDED]:,} | {n[CLEAR]:,} | {n[WRONG]:,} |\n"
        for fault, n in sorted(found.items(), key=lambda item: order.index(item[0]))
    ]
    print("".join(lines))
    if PAGE:
        Path(PAGE).write_text(INTRODUCTION + "".join(lines))


@pytest.fixture
def proxy(stack, monkeypatch) -> Iterator[Proxy]:
    """Between the backend and S3, with little patience."""
    proxy = Proxy(stack.s3.port)
    for name, value in faults.environment(proxy.port).items():
        monkeypatch.setenv(name, value)
    yield proxy
    proxy.close()


@pytest.mark.airflow_2("interruptions would strike its API server, which tests run within the task's process")
def test_every_operation_under_every_fault_succeeds_or_fails_clearly(stack, table):
    command = [sys.executable, "-m", "tests.helpers.faults", str(stack.s3.port), str(INJECTIONS)]
    workers = [
        subprocess.Popen(
            [*command, str(n), str(WORKERS)], env=stack.airflow.environment, stdout=subprocess.PIPE
        )
        for n in range(WORKERS)
    ]
    outcomes = []
    for worker in workers:
        lines = worker.communicate()[0].splitlines()
        # Airflow 3 logs to where the outcomes go.
        outcomes += [faults.Outcome(**json.loads(line)) for line in lines if line[:1] in (b"{", "{")]
        assert worker.returncode == 0
    for outcome in outcomes:
        table.setdefault(outcome.fault, Counter())[outcome.outcome] += 1
    assert len(outcomes) >= INJECTIONS * 0.9, "too few faults came to strike"
    assert {outcome.fault for outcome in outcomes} == set(faults.FAULTS)
    assert [outcome for outcome in outcomes if outcome.outcome == WRONG] == []
    once = [o for o in outcomes if o.fault in TRANSIENT and o.times == 1]
    # S3's answers to these are documents, which botocore does not ask for again when they are cut short.
    alone = [o for o in once if o.operation not in ("push file", "push file again", "push chunks")]
    assert [outcome for outcome in alone if outcome.outcome != SUCCEEDED] == []
    lasting = [o for o in outcomes if o.fault in faults.ALTERATIONS or o.times == FOREVER]
    lasting = [o for o in lasting if o.fault not in faults.INTERRUPTIONS]
    # The answer to a push may have no body to break.
    sure = [o for o in lasting if not (o.fault in BODY and o.operation.startswith("push"))]
    assert [outcome for outcome in sure if outcome.outcome != CLEAR] == []


def test_a_body_is_taken_up_where_it_broke_off(task, proxy, monkeypatch):
    task.push(FRAME)
    asked = []
    ask = proxy.ask
    monkeypatch.setattr(proxy, "ask", lambda request: asked.append(request) or ask(request))
    with proxy.breaking(TRANSIENT["body cut short"], times=2):
        assert task.pull().equals(FRAME)
    ranges = [re.findall(rb"Range: bytes=(\d+)-", request) for request in asked]
    size = json.loads(task.row())["size"]
    assert ranges[0] == []
    assert [int(start) for [start] in ranges[1:]] == [size // 2, size // 2 + (size - size // 2) // 2]
    assert all(b"If-Match" in request for request in asked)


@pytest.mark.parametrize("fault", ["stall in the middle of a body", "slow trickle"])
def test_no_read_takes_much_longer_than_its_timeouts(task, proxy, fault):
    task.push(FRAME)
    start = time.monotonic()
    with proxy.breaking(TRANSIENT[fault]), pytest.raises(StorageError, match="broke off"):
        task.pull()
    attempts, seconds = int(faults.SETTINGS["MAX_ATTEMPTS"]), int(faults.SETTINGS["READ_TIMEOUT"])
    assert attempts * seconds <= time.monotonic() - start < attempts * seconds + 10


@pytest.fixture(params=[False, True], ids=["by one request", "by several at once"])
def ways(request, monkeypatch) -> None:
    """By which a file of 3,000,000 bytes comes."""
    if request.param:
        monkeypatch.setattr(ranges, "RANGE_BYTES", 100_000)
        monkeypatch.setattr(ranges, "SINGLE_GET_BYTES", 200_000)


@pytest.mark.usefixtures("ways")
def test_a_file_is_saved_as_it_was(task, tmp_path):
    (tmp_path / "data.bin").write_bytes(os.urandom(3_000_001))
    task.push(File(tmp_path / "data.bin"))
    copy = task.pull().download(tmp_path / "copy.bin")
    assert copy.read_bytes() == (tmp_path / "data.bin").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.bin", "data.bin"]


@pytest.mark.usefixtures("ways")
@pytest.mark.parametrize("fault", ["body cut short", "HTTP 403 AccessDenied", "bit flipped on the way"])
def test_a_file_that_does_not_come_whole_leaves_nothing_behind(task, proxy, tmp_path, fault):
    task.push(csv(tmp_path))
    file = task.pull()
    with proxy.breaking({**TRANSIENT, **LASTING}[fault]), pytest.raises(StorageError):
        file.download(tmp_path / "copy.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


FORK = multiprocessing.get_context("fork")


def forked(action: Callable[[], None]) -> multiprocessing.Process:
    """A process forked from this one, as Airflow's executor forks one for a task."""

    def run() -> None:
        from airflow import settings

        settings.engine.dispose()
        action()

    process = FORK.Process(target=run)
    process.start()
    return process


@pytest.mark.airflow_2("tasks have no database to be killed in the middle of")
def test_a_task_killed_at_any_moment_leaves_no_row_without_its_object(new_task, s3, table):
    task = new_task()
    task.push(FRAME, key="first")
    chance = random.Random(0)
    counts: Counter = Counter()
    for kill in range(KILLS):
        busy = FORK.Event()
        process = forked(functools.partial(push_and_pull_for_ever, task, kill, busy))
        busy.wait(30)
        time.sleep(chance.uniform(0, 0.1))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        keys = [key for key in keys_of(task) if key == "first" or key.startswith(f"{kill}-")]
        assert len(keys) > 1
        for key in keys:
            counts[SUCCEEDED if is_right(task.pull(key)) else WRONG] += 1
    table[KILLED] = counts
    assert counts[WRONG] == 0


def push_and_pull_for_ever(task, kill: int, busy: Event) -> None:
    for n in itertools.count():
        task.push(FRAME[: 1000 * n + 1], key=f"{kill}-{n}")
        busy.set()
        task.pull("first")


def is_right(frame: pd.DataFrame) -> bool:
    return frame.equals(FRAME[: len(frame)]) and len(frame) > 0


def keys_of(task) -> list[str]:
    from airflow.models import XCom
    from airflow.utils.session import create_session

    with create_session() as session:
        return [key for (key,) in session.query(XCom.key).filter_by(**task.ids)]


@pytest.mark.airflow_2("tasks have no database")
def test_a_database_that_dies_before_the_commit_leaves_an_orphan_that_the_sweep_deletes(
    stack, task, prefix, s3, monkeypatch
):
    from airflow.models import DagRun, XCom
    from airflow.utils.session import create_session

    from include.s3_xcom.admin.sweep import sweep
    from include.s3_xcom.s3.store import Store

    with create_session() as session:
        # The tests' Postgres commits without waiting for its log; this one takes along those before it.
        session.execute(text("SET LOCAL synchronous_commit = on"))
        session.query(DagRun).filter_by(run_id=task.ids["run_id"]).update({"external_trigger": False})
    put = Store.put

    def put_and_kill(*arguments, **options):
        stored = put(*arguments, **options)
        stack.postgres.stop(signal.SIGKILL)
        return stored

    with monkeypatch.context() as patch:
        patch.setattr(Store, "put", put_and_kill)
        try:
            with pytest.raises(OperationalError):
                task.push(FRAME)
        finally:
            stack.postgres.serve()
    assert XCom.get_one(key="return_value", **task.ids) is None
    assert len(list(s3.objects.filter(Prefix=f"{prefix}/dag_id="))) == 1
    assert sweep(Store.configured(), grace=0, delete=True, force=True).deleted == 1
    assert list(s3.objects.filter(Prefix=f"{prefix}/dag_id=")) == []

    task.push(FRAME)
    assert task.pull().equals(FRAME)


@pytest.mark.usefixtures("ways")
def test_a_full_disk_is_named_and_nothing_half_is_left(task, tmp_path):
    task.push(csv(tmp_path))
    target = tmp_path / "target"
    target.mkdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(DiskError) as raised:
            task.pull().download(target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    message = str(raised.value)
    assert "a dag.task" in message
    assert "s3://xcom/" in message
    assert str(target / "data.csv") in message
    assert "3,000,000 bytes" in message
    assert list(target.iterdir()) == []


def test_a_directory_that_is_not_there_is_named(task, tmp_path):
    task.push(csv(tmp_path))
    file, fetched = task.pull(), task.pull()
    assert fetched.path.exists()
    for each in (file, fetched):
        with pytest.raises(DiskError, match=r"a dag.task.*none/copy.*No such file.*Does the directory exist"):
            each.download(tmp_path / "none/copy.csv")


def test_after_s3_has_lost_everything_pulls_say_so_and_pushes_work(stack, new_task, tmp_path):
    before = new_task()
    before.push(FRAME, key="frame")
    before.push(rows(FRAME[:10]), key="rows")
    before.push(csv(tmp_path), key="file")
    lazy = before.pull("rows"), before.pull("file")
    stack.s3.stop()
    stack.s3.launch()
    stack.s3.wait()
    for action in (lambda: before.pull("frame"), lambda: lazy[0][0], lambda: lazy[1].path):
        with pytest.raises(ObjectMissingError, match="no longer in the bucket"):
            action()
    after = new_task()
    after.push(FRAME)
    assert after.pull().equals(FRAME)
