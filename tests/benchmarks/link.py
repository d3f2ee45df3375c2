"""Large objects through a link like one to S3, beside boto3's own transfers.

python -m tests.benchmarks.link PORT WHAT MIB      one measurement, in a process of its own
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from embedded.localstack import LOGIN
from include.s3_xcom.reference import human_size
from tests.benchmarks.measure import with_memory
from tests.benchmarks.peers import run
from tests.servers import running
from tests.servers.seaweedfs import SeaweedFS

LINKS = ((25, 30), (90, 15))
FILES_MIB = (64, 256, 2048)
FRAME_MIB = 512
ROUNDS = 3


@contextlib.contextmanager
def throttled(port: int, megabytes: int, milliseconds: int) -> Iterator[int]:
    """A port that leads through a link to another."""
    command = [sys.executable, "-m", "tests.benchmarks.throttle", *map(str, (port, megabytes, milliseconds))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def measure(env: dict[str, str], directory: Path) -> list[str]:
    """The lines of the tables."""
    lines = [
        "",
        "## Large objects through a link",
        "",
        "SeaweedFS behind a proxy that gives each connection its own bandwidth and each exchange a round",
        f"trip; medians of {ROUNDS} rounds, in turn with boto3's `upload_file` and `download_file` (10",
        "connections, as here). Server, proxy and backend share the cores. Memory is what the peak of the",
        "process rose.",
        "",
        "| link | file | push s | boto3 s | x | pull s | boto3 s | x | memory: push, pull |",
        "|" + " --- |" * 9,
    ]
    frames = [
        "",
        "A frame of numbers, encoded while it is sent and decoded while it comes; x is over the larger of",
        "the two. Memory is what the first push and pull of the process took beside the frame.",
        "",
        "| link | frame | encode s | send s | push s | x | decode s | receive s | pull s | x | memory |",
        "|" + " --- |" * 11,
    ]
    with running(SeaweedFS(directory)) as server:
        for megabytes, milliseconds in LINKS:
            with throttled(server.port, megabytes, milliseconds) as port:
                name = f"{megabytes} MB/s, {milliseconds} ms"
                for mib in FILES_MIB:
                    lines.append(f"| {name} | {mib} MiB | " + _one(env, directory, port, "file", mib))
                frames.append(
                    f"| {name} | {FRAME_MIB} MiB | " + _one(env, directory, port, "frame", FRAME_MIB)
                )
    return lines + frames


def _one(env: dict[str, str], directory: Path, port: int, what: str, mib: int) -> str:
    extra = {"endpoint_url": f"http://127.0.0.1:{port}", "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": LOGIN, "password": LOGIN, "extra": extra}
    settings = {**env, "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection)}
    command = [sys.executable, "-m", "tests.benchmarks.link", str(port), what, str(mib)]
    row = run(command, settings, directory).splitlines()[-1]
    print(what, mib, row, flush=True)
    return row


class Transfers:
    """Pushes and pulls, and boto3's own."""

    def __init__(self, port: int) -> None:
        import boto3

        from include.s3_xcom.keys import Owner

        where = {"endpoint_url": f"http://127.0.0.1:{port}", "region_name": "us-east-1"}
        self.s3 = boto3.client("s3", **where, aws_access_key_id=LOGIN, aws_secret_access_key=LOGIN)
        self.bucket = os.environ["AIRFLOW__S3_XCOM__BUCKET"]
        self._owner = Owner("bench", "run", "task", -1, "return_value")

    def push(self, value: Any) -> Any:
        from include.s3_xcom.push import push
        from include.s3_xcom.row import parse_row

        return parse_row(push(value, self._owner))

    def pull(self, row: Any) -> Any:
        from include.s3_xcom.pull import pull

        return pull(row)

    def forget(self, *keys: str) -> None:
        for key in keys:
            self.s3.delete_object(Bucket=self.bucket, Key=key)


def _timed(action: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action(*arguments)
    return time.perf_counter() - start, result


def _medians(rounds: list[tuple[float, ...]]) -> list[float]:
    return [statistics.median(column) for column in zip(*rounds)]


def of_file(s3: Transfers, mib: int) -> str:
    """Cells for a file of some MiB."""
    from include.s3_xcom import File

    Path("file").write_bytes(os.urandom(2**20) * mib)
    rounds, memory = [], []
    s3.pull(s3.push(File("file"))).download("copy")  # imports
    for _ in range(ROUNDS):
        (push, row), for_push = with_memory(_timed, s3.push, File("file"))
        (pull, _), for_pull = with_memory(_timed, s3.pull(row).download, "copy")
        memory.append((for_push, for_pull))
        send, _ = _timed(s3.s3.upload_file, "file", s3.bucket, "floor")
        receive, _ = _timed(s3.s3.download_file, s3.bucket, "floor", "copy")
        rounds.append((push, send, push / send, pull, receive, pull / receive))
        s3.forget(row.reference.key, "floor")
    most = ", ".join(human_size(max(0, *column)) for column in zip(*memory))
    return " | ".join([*(f"{cell:.2f}" for cell in _medians(rounds)), most]) + " |"


def of_frame(s3: Transfers, mib: int) -> str:
    """Cells for a frame of some MiB."""
    import numpy as np
    import pandas as pd

    from include.s3_xcom import codecs

    count = mib * 2**20 // 64
    random = np.random.default_rng(0)
    columns = {f"x{i}": random.random(count) for i in range(6)}
    frame = pd.DataFrame({**columns, "n": range(count), "at": pd.date_range("2020", periods=count, freq="s")})
    frame_bytes = int(frame.memory_usage().sum())
    rounds = []
    s3.pull(s3.push(frame[:1_000_000]))  # imports
    row, for_push = with_memory(s3.push, frame)
    again, for_pull = with_memory(s3.pull, row)
    del again
    s3.forget(row.reference.key)
    for _ in range(ROUNDS):
        encode, encoded = _timed(codecs.encode, frame)
        body = bytes(encoded.body)
        decode, _ = _timed(codecs.decode, "parquet", body)
        send, _ = _timed(s3.s3.upload_fileobj, io.BytesIO(body), s3.bucket, "floor")
        receive, _ = _timed(s3.s3.download_fileobj, s3.bucket, "floor", io.BytesIO())
        del encoded, body
        push, row = _timed(s3.push, frame)
        pull, again = _timed(s3.pull, row)
        assert again.equals(frame)
        del again
        rounds.append(
            (encode, send, push, push / max(encode, send), decode, receive, pull, pull / max(decode, receive))
        )
        s3.forget(row.reference.key, "floor")
    most = ", ".join(map(human_size, (for_push, max(0, for_pull - frame_bytes))))
    return " | ".join([*(f"{cell:.2f}" for cell in _medians(rounds)), most]) + " |"


if __name__ == "__main__":
    of = {"file": of_file, "frame": of_frame}[sys.argv[2]]
    print(of(Transfers(int(sys.argv[1])), int(sys.argv[3])))
