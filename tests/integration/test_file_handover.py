"""Files: deleted when their XCom is written, others' private copies left alone, users' errors as they are."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from include.s3_xcom import File, items, private_files
from include.s3_xcom.errors import ObjectMissingError, StorageError
from include.s3_xcom.s3.store import Store
from tests.helpers import faults
from tests.helpers.proxy import TRANSIENT, Proxy
from tests.helpers.release import ANY_CLASS


@pytest.fixture
def csv(tmp_path) -> Path:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    return path


def shapes(path: Path) -> list:
    return [File(path, delete=True), {"f": File(path, delete=True)}, [File(path, delete=True)] * 2]


@pytest.mark.parametrize("number", range(3), ids=["alone", "in a dict", "twice in a list"])
def test_a_file_to_delete_goes_when_its_xcom_is_written(task, csv, number):
    task.push(shapes(csv)[number])
    assert not csv.exists()
    pulled = task.pull()
    file = pulled if number == 0 else pulled["f"] if number == 1 else pulled[1]
    assert file.path.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize("number", range(3), ids=["alone", "in a dict", "twice in a list"])
@pytest.mark.airflow_2("tasks have no session")
def test_a_file_to_delete_stays_where_the_push_fails(task, csv, number, monkeypatch):
    value = shapes(csv)[number]
    put, count = Store.put, [number + 1]

    def fail_last(*arguments, **options):
        count[0] -= 1
        if count[0] <= 0:
            raise StorageError("S3 is away")
        return put(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "put", fail_last)
        with pytest.raises(StorageError):
            task.push(value)
    assert csv.exists()
    task.push(value)
    assert not csv.exists()


@pytest.mark.airflow_2("tasks have no session")
def test_a_file_to_delete_stays_where_the_row_is_not_committed(task, csv):
    from airflow import settings
    from airflow.models import XCom
    from sqlalchemy.orm import sessionmaker

    session = sessionmaker(bind=settings.engine)()
    XCom.set(key="return_value", value={"f": File(csv, delete=True)}, session=session, **task.ids)
    session.flush()
    assert csv.exists()
    session.rollback()
    session.commit()
    session.close()
    assert csv.exists()
    task.push(File(csv, delete=True))
    assert not csv.exists()


def test_a_file_that_cannot_be_deleted_is_no_reason_to_fail(task, csv, monkeypatch, caplog):
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    value = File(csv, delete=True)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        task.push(value)
    assert "cannot be deleted here (Operation not permitted)" in caplog.text
    assert task.pull().name == "a.csv"


HOLDER = """
import sys, time
from include.s3_xcom import private_files
class Owner: pass
owner = Owner()
print(private_files.new_directory(owner), flush=True)
time.sleep(60)
"""


def test_private_copies_of_processes_whose_ids_mean_nothing_here_are_left_alone(task, csv, monkeypatch):
    """As another container's are, which shares the temporary folder but not the process ids."""
    as_user = [] if os.geteuid() == 0 else ["--user", "--map-current-user"]
    command = [
        "unshare",
        *as_user,
        "--pid",
        "--fork",
        "--kill-child",
        sys.executable,
        "-W",
        "ignore",
        "-c",
        HOLDER,
    ]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        theirs = Path(holder.stdout.readline().strip())
        assert theirs.is_dir()
        (theirs / "in use").touch()
        task.push(File(csv))
        assert task.pull().path.exists()
        assert (theirs / "in use").exists()
    finally:
        holder.kill()
        holder.wait()
    deadline = time.monotonic() + 5
    while theirs.exists() and time.monotonic() < deadline:  # its process may take a moment to end
        assert task.pull().path.exists()
        time.sleep(0.05)
    assert not theirs.exists()


def test_many_threads_make_private_copies_at_once(task, csv):
    task.push(File(csv))
    found = []

    def fetch(file: File) -> None:
        found.append(file.path.read_text())

    threads = [threading.Thread(target=fetch, args=(task.pull(),)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["a,b\n1,2\n"] * 12


def test_a_forked_process_does_not_remove_its_parents_copy(task, csv):
    task.push(File(csv))
    file = task.pull()
    path = file.path
    pid = os.fork()
    if pid == 0:
        del file
        os._exit(0)
    os.waitpid(pid, 0)
    assert path.exists()


def test_a_directory_that_was_removed_before_it_was_locked_is_made_again(monkeypatch):
    lock, taken = private_files._lock, []

    def take_once(directory, *, wait):
        if wait and not taken:
            taken.append(directory)
            directory.rmdir()
        return lock(directory, wait=wait)

    monkeypatch.setattr(private_files, "_lock", take_once)

    class Owner:
        pass

    owner = Owner()
    made = private_files.new_directory(owner)
    assert made.is_dir()
    assert made not in taken
    del owner
    assert not made.exists()


class UsersError(Exception):
    pass


@pytest.fixture
def counted(monkeypatch) -> dict[str, int]:
    """What Airflow's metrics were told."""
    from airflow.stats import Stats

    seen: dict[str, int] = {}
    monkeypatch.setattr(Stats, "incr", lambda name, n=1, *_: seen.__setitem__(name, seen.get(name, 0) + n))
    return seen


def denied() -> ClientError:
    answer = {"Error": {"Code": "AccessDenied", "Message": "of another bucket"}}
    return ClientError(answer, "GetObject")


@pytest.mark.parametrize(
    "error", [UsersError("mine"), denied(), OSError(28, "no space"), KeyError("x")], ids=repr
)
def test_an_error_of_the_users_own_while_a_file_is_open_is_neither_renamed_nor_counted(
    task, csv, counted, error
):
    task.push(File(csv))
    file = task.pull()

    def use() -> None:
        with file.open() as stream:
            stream.read(1)
            raise error

    with pytest.raises(type(error)) as raised:
        use()
    assert raised.value is error
    assert "s3_xcom.errors" not in counted


def test_an_error_of_the_users_own_class_while_elements_are_encoded_is_not_renamed(task, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", ANY_CLASS)
    with pytest.raises(ClientError, match="of another bucket"):
        task.push(items([Denied()]))


class Denied:
    def serialize(self) -> None:
        raise denied()

    @staticmethod
    def deserialize(data: object, version: int) -> None: ...


def test_the_metric_counts_what_was_read(task, tmp_path, counted):
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(10_000_000))
    task.push(File(path))
    counted.clear()
    with task.pull().open() as stream:
        stream.read(10)
    assert counted["s3_xcom.pull.bytes"] <= 1024 * 1024
    counted.clear()
    with task.pull().open() as stream:
        assert len(stream.read()) == 10_000_000
    assert counted["s3_xcom.pull.bytes"] == 10_000_000


def test_a_failure_of_s3_while_a_file_is_open_is_counted_once(stack, task, tmp_path, counted, monkeypatch):
    proxy = Proxy(stack.s3.port)
    for name, value in faults.environment(proxy.port).items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(5_000_000))
    task.push(File(path))
    file = task.pull()
    counted.clear()
    with proxy.breaking(TRANSIENT["body cut short"]), pytest.raises(StorageError), file.open() as stream:
        stream.read()
    assert counted["s3_xcom.errors"] == 1
    counted.clear()
    Store.configured().delete([task.object_key()])
    with pytest.raises(ObjectMissingError), file.open():
        pass
    assert counted["s3_xcom.errors"] == 1
    proxy.close()
