"""Pushes and pulls of real values while S3 and the network fail. As a program, one worker of several:

python -m tests.helpers.faults <port of S3> <injections of all workers> <its number> <workers>
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import itertools
import json
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow.exceptions import AirflowException, AirflowTaskTimeout

from embedded.localstack import LOGIN
from tests.helpers.outside import bucket_at
from tests.helpers.proxy import FOREVER, LASTING, OF_RANGES, TRANSIENT, Proxy
from tests.helpers.task import make_task

SETTINGS = {"MAX_ATTEMPTS": "3", "CONNECT_TIMEOUT": "1", "READ_TIMEOUT": "1"}
MAX_SECONDS = 60
"""Longer than the attempts and waits of any operation here add up to, with those settings."""

REFUSED = "connection refused"
ALTERATIONS = ("object replaced", "object cut short", "one bit flipped in the object", "object deleted")
INTERRUPTIONS = {
    "execution_timeout in mid-request": (signal.SIGALRM, AirflowTaskTimeout),
    "SIGTERM in mid-request": (signal.SIGTERM, AirflowException),
}
"""What a signal handler raises, as Airflow's do; with it, requests that would take minutes to fail."""

SLOW = ("stall before the answer", "stall in the middle of a body", "slow trickle", "HTTP 503 SlowDown")
PATIENT = {"MAX_ATTEMPTS": "5", "CONNECT_TIMEOUT": "30", "READ_TIMEOUT": "60"}
HEARD_SECONDS = 1 if "FAULT_INJECTIONS" in os.environ else 5
"""In make test, other things run beside; what hangs here would hang for minutes."""
FAULTS = (REFUSED, *TRANSIENT, *LASTING, *OF_RANGES, *ALTERATIONS, *INTERRUPTIONS)
_TURN = (*FAULTS, *INTERRUPTIONS, *INTERRUPTIONS, *INTERRUPTIONS, *INTERRUPTIONS)
"""Interruptions come at any moment of an operation: more of them find more moments."""
SUCCEEDED, CLEAR, WRONG = "succeeded", "failed clearly", "wrong"

PART_BYTES = 5 * 1024 * 1024
"""The smallest that S3 takes: several parts, in little time."""

RANGE_BYTES = 512 * 1024
"""So that small values are read by several requests at once, too."""


@dataclass
class Outcome:
    """What came of one operation under one fault."""

    fault: str
    operation: str
    times: int
    outcome: str
    detail: str = ""


@dataclass
class Values:
    """What is pushed and pulled."""

    numbers: dict = field(default_factory=lambda: {"a": list(range(50_000)), "b": ("x", 1.5)})
    file: bytes = field(default_factory=lambda: b"id,name\n" + b"1,Hualian\n" * 1_200_000)

    @functools.cached_property
    def frame(self) -> Any:
        import pandas as pd

        return pd.DataFrame({"n": range(200_000), "x": [i / 7 for i in range(200_000)]})

    @functools.cached_property
    def wide(self) -> Any:
        """More than a part."""
        import numpy as np
        import pandas as pd

        return pd.DataFrame(np.random.default_rng(0).random((18_000, 60)))

    @functools.cached_property
    def documents(self) -> list:
        """Some blocks of elements."""
        return [{"number": number, "text": f"element {number}" * 10} for number in range(2_000)]

    @functools.cached_property
    def binaries(self) -> list:
        return [bytes([number]) * 3000 for number in range(200)]

    @functools.cached_property
    def of_many_columns(self) -> Any:
        """So many that the batches are those of an Arrow file."""
        import numpy as np
        import pandas as pd

        return pd.DataFrame(np.random.default_rng(1).random((400, 200))).rename(columns=str)


def environment(port: int) -> dict[str, str]:
    """What makes the backend use S3 at a port, with little patience."""
    extra = {"region_name": "us-east-1", "endpoint_url": f"http://127.0.0.1:{port}"}
    connection = {"conn_type": "aws", "login": LOGIN, "password": LOGIN, "extra": extra}
    # Of a name of its own: the client of a process is kept by the connection's name.
    name = f"s3_at_{port}"
    settings = {"CONN_ID": name, **SETTINGS}
    return {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection),
        **{f"AIRFLOW__S3_XCOM__{key}": value for key, value in settings.items()},
    }


@contextlib.contextmanager
def environ(settings: dict[str, str]) -> Iterator[None]:
    """Other settings of the backend for a while."""
    names = {name: f"AIRFLOW__S3_XCOM__{name}" for name in settings}
    before = {name: os.environ[names[name]] for name in settings}
    os.environ.update({names[name]: value for name, value in settings.items()})
    try:
        yield
    finally:
        os.environ.update({names[name]: value for name, value in before.items()})


class Worker:
    """One process: a task instance of its own, and a proxy before S3."""

    def __init__(self, upstream: int, seed: int) -> None:
        from include.s3_xcom.codecs.parquet import tables
        from include.s3_xcom.s3 import parts, ranges, uploads

        uploads.SINGLE_PUT_BYTES = parts.PART_BYTES = PART_BYTES
        ranges.RANGE_BYTES, ranges.SINGLE_GET_BYTES = RANGE_BYTES, 2 * RANGE_BYTES
        tables.STREAMED_BYTES, tables.GROUP_BYTES = RANGE_BYTES, RANGE_BYTES // 4
        self.random = random.Random(seed)
        self.proxy = Proxy(upstream)
        os.environ.update(environment(self.proxy.port))
        self.bucket = bucket_at(f"http://127.0.0.1:{upstream}", os.environ["AIRFLOW__S3_XCOM__BUCKET"])
        date = datetime.datetime.now(datetime.timezone.utc)
        self.task = make_task(f"faults-{seed}", f"manual__{date.isoformat()}", "task", date)
        self.values = Values()
        self.directory = Path(tempfile.mkdtemp(prefix="s3xcom-faults-"))
        (self.directory / "data.csv").write_bytes(self.values.file)
        self.keys = (f"key {n}" for n in itertools.count())

    # What is pushed, by name.

    def make(self, kind: str) -> Any:
        from include.s3_xcom import File, batches, items, rows

        return {
            "dict": lambda: self.values.numbers,
            "frame": lambda: self.values.frame,
            "file": lambda: File(self.directory / "data.csv"),
            "rows": lambda: rows(self.values.frame[:5000]),
            "batches": lambda: batches(self.values.frame, 20_000),
            "chunks": lambda: batches(iter([self.values.wide[:9_000], self.values.wide[9_000:]])),
            "items": lambda: items(self.values.documents),
            "binary": lambda: items(self.values.binaries),
            "arrow": lambda: batches(self.values.of_many_columns, 40),
        }[kind]()

    def push(self, key: str, value: Any) -> None:
        self.task.push(value, key)

    def pull(self, key: str) -> Any:
        return self.task.pull(key)

    def address(self, key: str) -> str | None:
        return self.task.object_key(key) if self.task.row(key) else None

    # Operations: each returns whether what it got is right.

    def push_kind(self, kind: str, key: str) -> Callable[[], bool]:
        value = self.make(kind)
        return lambda: self.push(key, value) is None

    def push_again(self, kind: str, key: str) -> Callable[[], bool]:
        self.push(f"{key} before", self.make(kind))
        return lambda: self.push(key, self.pull(f"{key} before")) is None

    def pull_kind(self, kind: str, key: str) -> Callable[[], bool]:
        self.push(key, self.make(kind))
        return lambda: self.is_right(kind, self.pull(key))

    def pull_element(self, kind: str, number: int, key: str) -> Callable[[], bool]:
        value = self.make(kind)
        self.push(key, value)
        expected = value[number]

        def pull() -> bool:
            found = self.pull(key)[number]
            return found.equals(expected) if hasattr(found, "equals") else found == expected

        return pull

    def pull_columns(self, key: str) -> Callable[[], bool]:
        self.push(key, self.make("batches"))
        return lambda: self.pull(key).to_frame(columns=["x"]).equals(self.values.frame[["x"]])

    def query(self, key: str) -> Callable[[], bool]:
        """A query of the stored object by pyarrow, whose own errors come out of it."""
        self.push(key, self.make("rows"))

        def ask() -> bool:
            table = self.pull(key).dataset().to_table(columns=["n"])
            return table["n"].to_pylist() == list(range(5000))

        return ask

    def stream_file(self, key: str) -> Callable[[], bool]:
        self.push(key, self.make("file"))

        def stream() -> bool:
            with self.pull(key).open() as lines:
                return b"".join(lines) == self.values.file

        return stream

    def is_right(self, kind: str, value: Any) -> bool:
        import pandas as pd

        if kind == "dict":
            return value == self.values.numbers
        if kind == "frame":
            return value.equals(self.values.frame)
        if kind == "file":
            copy = value.download(self.directory / "copy.csv")
            return copy.read_bytes() == self.values.file
        if kind in ("rows", "items", "binary"):
            return list(value) == list(self.make(kind))
        if kind == "chunks":
            return value.to_frame().equals(self.values.wide)
        expected = self.values.of_many_columns if kind == "arrow" else self.values.frame
        return pd.concat(list(value)).equals(expected)

    def inject(self, fault: str, operation: str, times: int) -> Outcome | None:
        """Run an operation under a fault; None if it was over before the fault came to it."""
        key = next(self.keys)
        action = OPERATIONS[operation](self, key=key)
        start = time.monotonic()
        if fault in ALTERATIONS:
            self.alter(fault, key)
            outcome, detail = self.judge(action, key, operation)
        elif fault in INTERRUPTIONS:
            # Before its first request, a pull is at work in the database: SQLAlchemy may catch anything.
            outcome, detail = self.interrupt(
                action, *INTERRUPTIONS[fault], in_s3=not operation.startswith("push")
            )
        else:
            context = (
                self.proxy.down(0.4 if times < FOREVER else MAX_SECONDS)
                if fault == REFUSED
                else self.proxy.breaking({**TRANSIENT, **LASTING, **OF_RANGES}[fault], times)
            )
            with context:
                outcome, detail = self.judge(action, key, operation)
            if not self.proxy.injected:
                return None
        if time.monotonic() - start > MAX_SECONDS:
            outcome, detail = WRONG, f"took {time.monotonic() - start:.0f} s"
        if outcome == SUCCEEDED and operation.startswith("push") and not self.stored_right(operation, key):
            outcome, detail = WRONG, "stored something else"
        left = outcome == CLEAR and operation.startswith("push") and self.address(key) is not None
        # An interruption may come after the commit.
        if left and (fault not in INTERRUPTIONS or not self.stored_right(operation, key)):
            outcome, detail = WRONG, "failed, and left a row"
        return Outcome(fault, operation, times, outcome, detail)

    def interrupt(
        self, action: Callable[[], bool], number: signal.Signals, kind: type[Exception], in_s3: bool
    ) -> tuple[str, str]:
        """Raise an error into an operation at any moment; it must come out as itself, within a second.

        :param in_s3: at any moment since its first request
        """
        raised: list[float] = []
        error = kind("raised into it")

        def handle(*_: object) -> None:
            raised.append(time.monotonic())
            raise error

        before = signal.signal(number, handle)
        delay, done = self.random.uniform(0.01, 0.4), threading.Event()

        def kill() -> None:
            while in_s3 and not self.proxy.injected and not done.wait(0.002):
                pass
            # A signal in the microseconds between Python's last look for one and the system call that waits
            # for the network wakes nobody, and is heard when that ends. So it is sent until it is heard.
            while not raised and not done.wait(delay):
                os.kill(os.getpid(), number)
                done.wait(HEARD_SECONDS)

        killer = threading.Thread(target=kill, daemon=True)
        try:
            with self.proxy.breaking(TRANSIENT[self.random.choice(SLOW)]), environ(PATIENT):
                killer.start()
                right = action()
                done.set()
            return (SUCCEEDED, "") if right else (WRONG, "another value")
        except BaseException as caught:  # which a task's timeout is since Airflow 2.8
            if caught is not error:
                return WRONG, f"{type(caught).__name__}: {caught}"[:300]
            took = time.monotonic() - raised[0]
            return (CLEAR, "") if took < HEARD_SECONDS else (WRONG, f"was heard after {took:.1f} s")
        finally:
            done.set()
            killer.join()
            signal.signal(number, before)

    def judge(self, action: Callable[[], bool], key: str, operation: str) -> tuple[str, str]:
        from include.s3_xcom.errors import XComError

        try:
            return (SUCCEEDED, "") if action() else (WRONG, "another value")
        except XComError as error:
            message = str(error)
            wanted = ("s3://", *self.task.ids.values(), repr(key))
            missing = [word for word in wanted if word not in message]
            return (WRONG, f"does not say {missing}: {message}") if missing else (CLEAR, message)
        except Exception as error:
            kind = type(error).__module__.partition(".")[0]
            is_of_query = operation == QUERY and (kind == "pyarrow" or type(error) is OSError)
            return CLEAR if is_of_query else WRONG, f"{type(error).__name__}: {error}"[:300]

    def stored_right(self, operation: str, key: str) -> bool:
        return self.is_right(operation.split()[1], self.pull(key))

    def alter(self, fault: str, key: str) -> None:
        stored = self.bucket.Object(self.address(key))
        body = stored.get()["Body"].read()
        if fault == "object deleted":
            stored.delete()
        elif fault == "object cut short":
            stored.put(Body=body[:-1])
        elif fault == "object replaced":
            stored.put(Body=body[::-1])
        else:
            at = self.random.randrange(len(body))
            stored.put(Body=body[:at] + bytes([body[at] ^ 1 << self.random.randrange(8)]) + body[at + 1 :])


KINDS = ("dict", "frame", "file", "batches", "chunks")
SEQUENCES = ("rows", "items", "binary", "arrow")
QUERY = "query dataset"
OPERATIONS = {
    **{f"push {kind}": functools.partial(Worker.push_kind, kind=kind) for kind in KINDS},
    "push file again": functools.partial(Worker.push_again, kind="file"),
    **{f"pull {kind}": functools.partial(Worker.pull_kind, kind=kind) for kind in KINDS},
    "pull one row": functools.partial(Worker.pull_element, kind="rows", number=4000),
    "stream file": Worker.stream_file,
    **{f"pull {kind}": functools.partial(Worker.pull_kind, kind=kind) for kind in SEQUENCES},
    "pull one batch": functools.partial(Worker.pull_element, kind="batches", number=3),
    "pull one item": functools.partial(Worker.pull_element, kind="items", number=1500),
    "pull one binary item": functools.partial(Worker.pull_element, kind="binary", number=150),
    "pull one batch of arrow": functools.partial(Worker.pull_element, kind="arrow", number=7),
    "pull columns": Worker.pull_columns,
    QUERY: Worker.query,
}

UNCHECKED = ("pull columns", QUERY)
"""Operations that read pieces of Parquet, which have no checksum of their own: there TLS must see to it."""


def applies(fault: str, operation: str) -> bool:
    if fault in ALTERATIONS:
        return not operation.startswith("push")
    if fault in OF_RANGES:
        return not operation.startswith("push") and operation != "pull dict"  # which comes by one request
    return fault != "bit flipped on the way" or operation not in UNCHECKED


def schedule(count: int) -> list[tuple[str, str, int]]:
    """Faults, operations, and how often in a row: each fault in turn, with one operation after the other."""
    times = [1, FOREVER, 2, 1]
    suited = {fault: [name for name in OPERATIONS if applies(fault, name)] for fault in FAULTS}
    faults = (
        (fault, suited[fault][(number + turn) % len(suited[fault])], times[(number + turn // 2) % len(times)])
        for turn in itertools.count()
        for number, fault in enumerate(_TURN)
    )
    return list(itertools.islice(faults, count))


def main(upstream: int, count: int, first: int, step: int) -> None:
    """Prints an outcome a line, as JSON."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    worker = Worker(upstream, first)
    for fault, operation, times in schedule(count)[first::step]:
        outcome = worker.inject(fault, operation, times)
        if outcome is not None:
            print(json.dumps(vars(outcome)), flush=True)
    worker.proxy.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
