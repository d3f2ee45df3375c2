"""What a look at an object takes, for each kind of preview: requests, bytes, time and memory."""

from __future__ import annotations

import contextlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embedded.stack import Stack
from include.s3_xcom import File, batches, items, rows
from include.s3_xcom.reference import human_size
from tests.benchmarks import measure as single

ROUNDS = 9
ROWS = 1_000_000

INTRODUCTION = """
## Looking

The page about one object in the UI, from the request to its HTML, in a process that has shown it before. It
may take 4 requests and 2 MiB; the process that looks 10 s, and 512 MiB beside its libraries. Memory is what
the webserver's process rose by, and what the process that looks has for itself.

| object | its size | requests | read | ms | webserver | process that looks |
| --- | --- | --- | --- | --- | --- | --- |
"""


def _file(name: str, text: str) -> File:
    path = Path(tempfile.mkdtemp()) / name
    path.write_text(text)
    return File(path)


KINDS: dict[str, Callable[[], Any]] = {
    "query result of 1,000,000 rows": lambda: single.query_result(ROWS),
    "the same, its last rows": lambda: single.query_result(ROWS),
    "rows of 100,000 rows": lambda: rows(single.query_result(ROWS // 10)),
    "the same, row 99,000": lambda: rows(single.query_result(ROWS // 10)),
    "batches of 10,000 rows, 1,000,000 in all": lambda: batches(single.query_result(ROWS), 10_000),
    "frame of 1,000 columns": lambda: pd.DataFrame(np.random.default_rng(0).random((1000, 1000))),
    "items, 100,000 dicts": lambda: items([{"n": n, "text": f"text {n}"} for n in range(100_000)]),
    "dict of 1,000 lists": lambda: {f"key {n}": list(range(100)) for n in range(1000)},
    "text of 64 MiB": lambda: "0123456789abcde\n" * (4 * 2**20),
    "array of 10,000,000 floats": lambda: np.arange(10.0**7),
    "CSV file of 64 MiB": lambda: _file("a.csv", "a,b,c\n" + "1,2,text\n" * (7 * 2**20)),
    "dict with a Series of 20,000 long texts, which is refused": lambda: {
        "s": pd.Series(["x" * 95_000] * 20_000)
    },
}
_ROWS = {"the same, its last rows": ROWS - 50, "the same, row 99,000": 99_000}


def measure(stack: Stack) -> list[str]:
    """The section of the page."""
    lines = INTRODUCTION.splitlines()
    for kind in KINDS:
        command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.looks", kind]
        done = subprocess.run(command, env=stack.airflow.environment, stdout=subprocess.PIPE, check=True)
        r = json.loads(done.stdout.splitlines()[-1])
        took = f"{r['requests']} | {r['read']} | {r['seconds'] * 1000:.0f}"
        memory = " | ".join(map(human_size, r["memory"]))
        lines.append(f"| {kind} | {human_size(r['size'])} | {took} | {memory} |")
        print(lines[-1], flush=True)
    return lines


def main(kind: str) -> None:
    import datetime
    import logging
    import time

    logging.disable(logging.WARNING)
    from include.s3_xcom.admin.pages.site import Site
    from tests.helpers.task import make_task

    now = datetime.datetime.now(datetime.timezone.utc)
    task = make_task("bench", now.isoformat(), "task", now)
    task.push(KINDS[kind]())
    reference = json.loads(task.row())
    site = Site(may_read=lambda dag: True, url=lambda page, **_: page, task_url=str, home_url="/")

    def look() -> Any:
        return site.answer("object", {"key": reference["key"], "row": str(_ROWS.get(kind, 0))})

    took = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        answer = look()
        took.append(time.perf_counter() - start)
    assert answer.status == (422 if "refused" in kind else 200)
    requests, read = re.search(r"This look took (\d+) requests? and ([^<]*)\.</p>", answer.body).groups()
    told = {"size": reference["size"], "requests": requests, "read": read, "memory": _memory(look)}
    print(json.dumps({**told, "seconds": statistics.median(took)}))


def _memory(look: Callable[[], Any]) -> tuple[int, int]:
    """Return by how many bytes looks let this process rise, and how many the process that looks has."""
    import threading

    from include.s3_xcom.admin.look import apart

    helper = apart._helper._running[0].pid
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now
    before, own, is_over = _number("self/status", "VmHWM"), [0], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.0005):
            for child in Path(f"/proc/{helper}/task/{helper}/children").read_text().split():
                with contextlib.suppress(OSError, TypeError):  # it has ended
                    own.append(_number(f"{child}/smaps_rollup", "Private_Dirty"))

    watching = threading.Thread(target=watch)
    watching.start()
    for _ in range(ROUNDS):
        look()
    is_over.set()
    watching.join()
    return max(0, _number("self/status", "VmHWM") - before), max(own)


def _number(file: str, name: str) -> int:
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc", file).read_text())[1]) * 1024


if __name__ == "__main__":
    main(sys.argv[1])
