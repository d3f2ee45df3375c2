"""Processes that can have no threads, that are forked at any moment, or that die: each keeps to its place."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.s3_xcom import File, batches, items, rows
from include.s3_xcom.errors import DiskError, StorageError
from include.s3_xcom.private_files import PARTIAL
from include.s3_xcom.s3 import parts, ranges, uploads
from tests.helpers import faults
from tests.helpers.outside import CREDENTIALS
from tests.helpers.proxy import TRANSIENT, Proxy

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

FRAME = pd.DataFrame({"n": range(100_000), "x": [i / 7 for i in range(100_000)]})
ENDLESS_STACK = 1 << 46
"""Bytes of a stack that no thread can have, so that none can be started."""


@pytest.fixture(autouse=True)
def _many_requests(monkeypatch) -> None:
    """Objects of a MiB take several requests."""
    monkeypatch.setattr(uploads, "SINGLE_PUT_BYTES", faults.PART_BYTES)
    monkeypatch.setattr(parts, "PART_BYTES", faults.PART_BYTES)
    monkeypatch.setattr(ranges, "RANGE_BYTES", 256 * 1024)
    monkeypatch.setattr(ranges, "SINGLE_GET_BYTES", 512 * 1024)


@pytest.fixture
def unfinished(s3) -> Callable[[], int]:
    """How many uploads have begun and not ended."""
    client = s3.meta.client
    return lambda: len(client.list_multipart_uploads(Bucket=s3.name).get("Uploads", []))


@pytest.fixture
def no_threads(task) -> Iterator[None]:
    """No thread can be started from now on, as at a limit of process ids."""
    task.push([1], "looks the connection up")
    task.pull("looks the connection up")
    before = threading.stack_size(ENDLESS_STACK)
    try:
        with pytest.raises(RuntimeError, match="start new thread"):
            threading.Thread(target=print).start()
        yield
    finally:
        threading.stack_size(before)


def values(csv: File) -> dict[str, Any]:
    return {
        "frame": FRAME,
        "dict": {"a": [1]},
        "file": csv,
        "rows": rows(FRAME[:5000]),
        "batches": batches(FRAME, 10_000),
        "chunks": batches(FRAME[i : i + 10_000] for i in range(0, 100_000, 10_000)),
        "wide batches": batches(pd.DataFrame(np.ones((40, 1000))), 1),
        "items": items([{"a": n} for n in range(5000)]),
        "arrays": items([np.arange(1000) for _ in range(500)]),
    }


KINDS = list(values(File(__file__)))


def whole(value: Any) -> Any:
    """All that a pulled value gives, as something that compares."""
    if isinstance(value, File):
        with value.open() as stream:
            return stream.read()
    if isinstance(value, (list, dict)):
        return value
    if isinstance(value, pd.DataFrame):
        return value.to_csv()
    return [each.tolist() if isinstance(each, np.ndarray) else str(each) for each in value]


@pytest.mark.airflow_2("the test's own API server needs threads on Airflow 3")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("no_threads")
def test_without_threads_everything_is_pushed_pulled_and_deleted(task, s3, csv, kind):
    task.push(values(csv)[kind])
    pulled = task.pull()
    assert whole(pulled) == whole(values(csv)[kind] if kind != "chunks" else batches(FRAME, 10_000))
    if kind == "file":
        assert pulled.path.read_bytes() == csv.path.read_bytes()
    key = task.object_key()
    task.push(1)
    assert key not in {item.key for item in s3.objects.all()}


@pytest.mark.airflow_2("the test's own API server needs threads on Airflow 3")
@pytest.mark.usefixtures("no_threads")
def test_without_threads_a_push_that_fails_leaves_no_parts(task, unfinished):
    def chunks() -> Iterator[pd.DataFrame]:
        for _ in range(10):
            yield FRAME
        assert unfinished() == 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        task.push(batches(chunks()))
    assert unfinished() == 0


AT_EXIT = """
import atexit, dataclasses, sys
from include.s3_xcom import batches, find, read
from include.s3_xcom.s3.store import Store

def look():
    value = read(sys.argv[1])
    print(len(value), store.delete([sys.argv[1].split("/", 3)[3]]))

store = Store(dataclasses.replace(Store.configured().settings, conn_id=""))
_ = store.client  # boto3 itself cannot be loaded at the end
atexit.register(look)
"""


def test_when_python_ends_a_value_can_be_read_and_deleted_still(task, s3, stack):
    task.push(batches(FRAME, 10_000))
    address = f"s3://{stack.s3.bucket}/{task.object_key()}"
    command = [sys.executable, "-W", "ignore", "-c", AT_EXIT, address]
    login = {name.upper(): value for name, value in CREDENTIALS.items()}
    environment = {**os.environ, **login, "AWS_ENDPOINT_URL": stack.s3.url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("100000 []\n"), done.stderr


def fork(action: Callable[[], object]) -> int:
    """Begin an action in a forked process, which ends with 0 if that returns something true."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            end_in_a_minute()
            code = 0 if action() else 2
        finally:
            os._exit(code)
    return child


def end_in_a_minute() -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # Airflow leaves a handler there
    signal.alarm(60)


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_fork(action: Callable[[], object]) -> int:
    """Run an action in a forked process, to its end; return the exit code."""
    return exit_code(fork(action))


LAZY = [kind for kind in KINDS if kind not in ("frame", "dict", "file")]


@pytest.mark.parametrize("kind", [*LAZY, "stream"])
def test_what_was_begun_before_a_fork_goes_on_in_both_processes(task, csv, kind):
    task.push(values(csv)["file" if kind == "stream" else kind])
    pulled = task.pull()
    expected = whole(pulled)

    if kind == "stream":
        with pulled.open() as stream:
            first = stream.read(1000)
            assert in_fork(lambda: first + stream.read() == expected) == 0
            assert first + stream.read() == expected
        return
    iterator = iter(pulled)
    first = whole([next(iterator)]) if kind == "arrays" else [next(iterator)]

    def rest() -> list:
        return whole(iter([*first, *iterator]))

    assert in_fork(lambda: rest() == expected) == 0
    assert rest() == expected


@pytest.mark.parametrize("chunks_before", [0, 20])
def test_a_process_that_is_forked_in_a_generator_and_ends_leaves_the_push_alone(
    task, unfinished, s3, chunks_before
):
    parent = os.getpid()
    codes = []

    def chunks() -> Iterator[pd.DataFrame]:
        for _ in range(chunks_before):
            yield FRAME
        child = os.fork()
        if child == 0:
            end_in_a_minute()
            sys.exit(7)
        codes.append(exit_code(child))
        yield FRAME

    try:
        task.push(batches(chunks()))
    except SystemExit as error:
        assert os.getpid() != parent
        os._exit(error.code)
    finally:
        if os.getpid() != parent:
            os._exit(99)
    assert codes == [7]
    assert len(task.pull().to_frame()) == 100_000 * (chunks_before + 1)
    assert unfinished() == 0


def test_a_process_that_is_forked_in_a_generator_cannot_push_on(task, s3):
    parent = os.getpid()
    codes = []

    def chunks() -> Iterator[pd.DataFrame]:
        child = os.fork()
        if child == 0:
            end_in_a_minute()
        else:
            codes.append(exit_code(child))
        yield FRAME

    try:
        task.push(batches(chunks()))
    except StorageError as error:
        if os.getpid() != parent:
            os._exit(7 if "End a forked process with os._exit()" in str(error) else 8)
        raise
    finally:
        if os.getpid() != parent:
            os._exit(99)
    assert codes == [7]
    assert task.pull().to_frame().equals(FRAME)


def test_files_of_downloads_that_died_are_removed_by_the_next(task, stack, csv, tmp_path, monkeypatch):
    proxy = Proxy(stack.s3.port)
    for name, value in faults.environment(proxy.port).items():
        monkeypatch.setenv(name, value)
    task.push(csv)
    file = task.pull()
    target = tmp_path / "target"
    target.mkdir()
    with proxy.breaking(TRANSIENT["stall before the answer"]):
        child = fork(lambda: file.download(target))
        while not any(target.iterdir()):
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        assert exit_code(child) == -signal.SIGKILL
    (left,) = target.iterdir()
    assert left.name.endswith(PARTIAL)
    somebodys = target / ".download.part"
    somebodys.touch()
    assert task.pull().download(target).read_bytes() == csv.path.read_bytes()
    assert {path.name for path in target.iterdir()} == {"data.csv", ".download.part"}
    proxy.close()


def test_downloads_under_way_are_left_alone(task, csv, tmp_path):
    from include.s3_xcom.private_files import partial_file

    task.push(csv)
    target = tmp_path / "target"
    target.mkdir()
    with partial_file(target / "other.csv") as theirs:
        theirs.write_bytes(b"half")
        file = task.pull()
        assert in_fork(lambda: file.download(target)) == 0
        assert theirs.read_bytes() == b"half"
    assert [path.name for path in target.iterdir()] == ["data.csv"]


def test_a_forked_process_leaves_its_parents_download_alone(tmp_path):
    from include.s3_xcom.private_files import partial_file

    parent = os.getpid()
    try:
        with partial_file(tmp_path / "data.csv") as partial:
            if (child := os.fork()) == 0:
                sys.exit(0)
            os.waitpid(child, 0)
            assert partial.exists()
    finally:
        if os.getpid() != parent:
            os._exit(0)
    assert not partial.exists()


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may be longer than a MB, as on a disk with no more room."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_named_where_elements_are_counted():
    value = batches(iter([FRAME] * 3))
    with pytest.raises(DiskError, match=r"counted before.*: File too large. Make room for .* or set TMPDIR"):
        len(value)


def test_a_folder_for_temporary_files_that_is_not_there_is_named(task, csv, monkeypatch):
    import tempfile

    task.push(csv)
    pulled = task.pull()
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    for act in (lambda: pulled.path, lambda: len(batches(iter([FRAME])))):
        with pytest.raises(DiskError, match=r"No such file or directory\. Does the directory exist"):
            act()


def test_what_a_generator_raises_is_not_the_disks(task):
    def chunks() -> Iterator[pd.DataFrame]:
        yield FRAME
        raise ConnectionResetError("the query's")

    with pytest.raises(ConnectionResetError, match="the query's"):
        len(batches(chunks()))
