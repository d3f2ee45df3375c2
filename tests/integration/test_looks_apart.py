"""The processes that look at objects: what they may take, and how they come and go."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.s3_xcom.admin.look import At, LimitedFile, Shown, apart, look
from include.s3_xcom.admin.pages import downloads
from include.s3_xcom.errors import FormatError
from include.s3_xcom.notebook import of_object
from include.s3_xcom.s3.store import Store
from tests.helpers import hostile

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024


@pytest.fixture
def put(s3, prefix) -> Callable[..., str]:
    """Put an object, and return its key."""

    def put(body: bytes, metadata: dict[str, str], *, suffix: str = ".json") -> str:
        key = f"{prefix}/dag_id=dag/run_id=run/task_id=task/map_index=-1/key-{os.urandom(16).hex()}{suffix}"
        s3.put_object(Key=key, Body=body, Metadata=metadata)
        return key

    return put


def look_at(key: str) -> Shown:
    store = Store.configured(hasty=True)
    return look(LimitedFile(store, of_object(store, key)), At())


def said(key: str) -> str:
    """What a look at an object says."""
    try:
        return str(look_at(key))
    except FormatError as error:
        return str(error)


def helper() -> int:
    """The process id of the helper of this process."""
    return apart._helper._running[0].pid


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def working(count: int) -> list[int]:
    """Wait for so many processes that look, and until they are at work."""
    wait_for(lambda: apart._helper._running and len(children(helper())) == count)
    time.sleep(1)
    return children(helper())


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], Any]) -> Any:
    give_up = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return found


def memory() -> int:
    """How much this process has at most, in bytes."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def test_what_takes_long_is_given_up(put, monkeypatch):
    assert apart.SECONDS == 10
    monkeypatch.setattr(apart, "SECONDS", 1)
    key = put(*hostile.endless())
    assert "It takes more than 1 s to show" in said(key)
    wait_for(lambda: not children(helper()))


def test_a_look_that_crashes_is_an_answer(put):
    key = put(*hostile.endless())
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(said, key)
        [child] = working(1)
        os.kill(child, signal.SIGSEGV)
        assert "more than 512 MiB of memory to show, or is damaged" in answer.result()


def test_a_helper_that_ended_is_replaced(put):
    key = put(b"[1]", {"codec": "json"})
    for _ in range(3):
        assert "list of 1" in said(key)
        os.kill(helper(), signal.SIGKILL)


def test_a_child_knows_little_and_holds_nothing_open(put, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    key = put(b"[1]", {"codec": "json"})
    said(key)
    os.kill(helper(), signal.SIGKILL)
    key = put(*hostile.endless())
    with open(os.devnull) as inherited, ThreadPoolExecutor() as threads:
        os.set_inheritable(inherited.fileno(), True)
        answer = threads.submit(said, key)
        [child] = working(1)
        for process in (child, helper()):
            assert b"secret" not in Path(f"/proc/{process}/environ").read_bytes()
            assert b"airflow" not in Path(f"/proc/{process}/environ").read_bytes().lower()
            assert len(os.listdir(f"/proc/{process}/fd")) <= 5
        assert len(os.listdir(f"/proc/{child}/task")) == 1
        os.kill(child, signal.SIGKILL)
        answer.result()


def test_the_helper_imports_no_airflow():
    code = f"""
import sys
from {apart.__package__} import child
for place in (*child._LOOKS.values(), "tables_as_csv.pieces"):
    child._function(place)
print([name for name in sys.modules if name.partition(".")[0] in ("airflow", "boto3", "botocore")])
print("pandas" in sys.modules)
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.split() == ["[]", "True"]


LOOK_AND_END = """
import json, os, sys
from tests.integration.test_looks_apart import helper, said
assert "list of 1" in said(sys.argv[1])
helpers = [helper()]
read, write = os.pipe()
if os.fork() == 0:
    assert "list of 1" in said(sys.argv[1])
    os.write(write, str(helper()).encode())
    os._exit(0)
os.wait()
helpers.append(int(os.read(read, 100)))
assert "list of 1" in said(sys.argv[1])
helpers.append(helper())
print(json.dumps({"helpers": helpers}), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, None])
def test_a_process_has_a_helper_of_its_own_that_ends_with_it(put, stack, end):
    key = put(b"[1]", {"codec": "json"})
    command = [sys.executable, "-W", "ignore", "-c", LOOK_AND_END, key]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "_AIRFLOW_PROCESS_CONTEXT": "server"},
    )  # fmt: skip
    with process:
        line = next(line for line in process.stdout if line.startswith("{"))
        own, of_fork, own_again = json.loads(line)["helpers"]
        assert own == own_again != of_fork
        assert is_running(own)
        wait_for(lambda: not is_running(of_fork))
        if end:
            process.send_signal(end)
    wait_for(lambda: not is_running(own))


def test_fifty_looks_at_once_leave_the_process_alive_and_small(put, task):
    task.push(pd.DataFrame({"n": range(100_000)}))
    frame = task.object_key()
    ordinary = [put(b'{"a": 1}', {"codec": "json"}), frame] * 20
    bombs = [put(body, metadata) for body, metadata in hostile.unbounded().values()] * 2
    said(frame)
    before, files = memory(), len(os.listdir("/proc/self/fd"))
    keys = [key for pair in zip(ordinary[::4], bombs) for key in pair] + ordinary[10:]
    assert len(keys) == 50
    with ThreadPoolExecutor(50) as threads:
        answers = dict(zip(keys, threads.map(said, keys)))
    assert all("dict of 1" in answers[key] or "99999" in answers[key] for key in ordinary)
    assert sum("more than 512 MiB" in answers[key] for key in set(bombs)) == 4
    assert memory() - before < 64 * MIB
    assert len(os.listdir("/proc/self/fd")) < files + 30  # the connections to S3
    wait_for(lambda: not children(helper()))
    assert "dict of 1" in said(ordinary[0])


def test_who_waits_too_long_is_told_to_try_again(put, monkeypatch):
    monkeypatch.setattr(apart, "WAIT_SECONDS", 0.1)
    endless, key = put(*hostile.endless()), put(b"[1]", {"codec": "json"})
    with ThreadPoolExecutor() as threads:
        slow = [threads.submit(said, endless) for _ in range(2)]
        running = working(2)
        with pytest.raises(apart.BusyError, match="Try again"):
            look_at(key)
        for child in running:
            os.kill(child, signal.SIGKILL)
        assert all("to show" in each.result() for each in slow)
    assert "list of 1" in said(key)


def test_a_download_as_csv_is_bounded_and_ends_with_who_reads_it(put):
    store = Store.configured()
    name = "one string a million times"
    key = put(*hostile.large()[name], suffix=".parquet")
    with pytest.raises(FormatError, match="more than 512 MiB of memory"):
        downloads.as_csv(store, of_object(store, key))
    frame = pd.DataFrame({"t": ["x" * 100] * 400_000})
    sink = hostile.parquet(hostile.pa.Table.from_pandas(frame))
    pieces = downloads.as_csv(store, of_object(store, put(sink, {"codec": "table"}, suffix=".parquet")))
    before = memory()
    assert next(pieces).startswith(b'"t"')
    assert children(helper())
    pieces.close()
    wait_for(lambda: not children(helper()))
    assert memory() - before < 20 * MIB
    assert threading.active_count() < 100
