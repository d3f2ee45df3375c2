"""``make bench``: how fast pushes and pulls are, beside the floor and the peers.

Prints what it measures and writes it to docs/benchmarks.md, all parts of it or those that are named.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.stack import Stack
from include.s3_xcom.reference import human_size
from tests.benchmarks import database, held, kinds, link, load, looks, mapped, sweep
from tests.benchmarks.peers import OURS, PEERS, ROOT, environment, run

PAGE = ROOT / "docs/benchmarks.md"
MEASURE = ROOT / "tests/benchmarks/measure.py"
ROUNDS = 5
FILE_BYTES = 2 * 1024**3

INTRODUCTION = f"""\
# Benchmarks

Made by `make bench` on {os.cpu_count()} cores, against LocalStack on the same machine. Seconds are medians
of {ROUNDS} rounds. The floor is encoding with pyarrow or json, one raw PUT, one raw GET and decoding, in turn
with the backend and in the same environment; *x floor* is the median of the rounds' ratios, push and pull
together. Memory is what the peak of the process rose. Requests are counted in botocore; the last backend
uses another client.
"""

TITLES = {
    "query": "Result of a query, 200,000 x 6: int, Decimal, date, text, timestamptz, bool, with NULLs",
    "frame": "DataFrame of numbers and texts, 1,000,000 x 6",
    "dicts": "list of 200,000 small dicts",
}


def compare(stack: Stack, directory: Path, pythons: dict[str, Path]) -> list[str]:
    """Each workload with each backend."""
    lines = []
    for workload, title in TITLES.items():
        lines += ["", f"## {title}", "", *_header()]
        for peer in PEERS:
            home = Path(tempfile.mkdtemp(dir=directory))
            command = [pythons[peer.title], MEASURE, peer.backend, workload, ROUNDS]
            try:
                result = json.loads(run(command, environment(stack, home), home))
            except RuntimeError as error:
                lines.append(f"| {peer.title} | fails: {str(error)[:80]} |" + " |" * 7)
            else:
                lines.append(_row(peer.title, result))
            print(lines[-1], flush=True)
    return lines


def _header() -> list[str]:
    columns = ["backend", "push s", "pull s", "floor push s", "floor pull s", "x floor",
               "requests", "extra memory push, pull", "changed"]  # fmt: skip
    return ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]


def _row(title: str, r: dict[str, Any]) -> str:
    cells = [
        title,
        *(f"{r[key]:.2f}" for key in ("backend push", "backend pull", "floor push", "floor pull", "ratio")),
        f"{r['push requests']} + {r['pull requests']}" if r["push requests"] else "not counted",
        f"{human_size(r['push memory'])}, {human_size(r['pull memory'])}",
        r["changed"],
    ]
    return "| " + " | ".join(cells) + " |"


def import_time(env: dict[str, str], directory: Path) -> str:
    """What importing the backend adds to importing airflow.models.xcom, in milliseconds."""
    code = (
        "import time, airflow.models.xcom; start = time.perf_counter(); import include.s3_xcom_backend; "
        "print((time.perf_counter() - start) * 1000)"
    )
    took = [float(run([sys.executable, "-c", code], env, directory)) for _ in range(ROUNDS + 1)][1:]
    return f"Importing the backend adds {statistics.median(took):.1f} ms to `import airflow.models.xcom`."


def large_file(env: dict[str, str], directory: Path) -> str:
    """A file of 2 GiB, pushed, and pulled as a stream, in one process."""
    code = f"""
import sys
sys.path.insert(0, {str(MEASURE.parent)!r})
import measure
from pathlib import Path
from include.s3_xcom import File
path = Path("large.csv")
with path.open("wb") as stream:
    for _ in range({FILE_BYTES} // 2**20):
        stream.write(b"0123456789,abcd\\n" * 65536)
def copy(file):
    with file.open() as source, open("copy.csv", "wb") as sink:
        for chunk in iter(lambda: source.read(2**20), b""):
            sink.write(chunk)
Path("small.csv").write_text("a")
push, pull = measure.of_backend({OURS!r}, File("small.csv"))
push()
copy(pull())
push, pull = measure.of_backend({OURS!r}, File(path))
result = []
for action in (push, lambda: copy(pull())):
    took, more = measure.with_memory(measure.timed, action)
    result += [took, more / 2**20]
assert path.stat().st_size == Path("copy.csv").stat().st_size
import subprocess
subprocess.run(["cmp", path, "copy.csv"], check=True)
print(path.stat().st_size, *result)
"""
    home = Path(tempfile.mkdtemp(dir=directory))
    size, push, push_mib, pull, pull_mib = map(float, run([sys.executable, "-c", code], env, home).split())
    shutil.rmtree(home)
    return (
        f"A file of {human_size(size)}: pushed in {push:.1f} s with {push_mib:.0f} MiB of extra memory, "
        f"pulled as a stream in {pull:.1f} s with {pull_mib:.0f} MiB."
    )


@dataclass(frozen=True)
class Bench:
    """What the parts measure in."""

    stack: Stack
    directory: Path
    pythons: dict[str, Path]

    @property
    def env(self) -> dict[str, str]:
        return environment(self.stack, self.directory)


PARTS: dict[str, Callable[[Bench], list[str]]] = {
    "backends": lambda bench: compare(bench.stack, bench.directory, bench.pythons),
    "kinds": lambda bench: kinds.measure(bench.env, bench.directory),
    "database": lambda bench: database.measure(bench.stack, bench.env, bench.directory),
    "expanding": lambda bench: mapped.measure(bench.stack, bench.directory, bench.pythons),
    "import": lambda bench: ["", "## Import", "", import_time(bench.env, bench.directory)],
    "file": lambda bench: ["", "## A large file", "", large_file(bench.env, bench.directory)],
    "link": lambda bench: link.measure(bench.env, bench.directory),
    "load": lambda bench: ["", "## Load", "", load.measure(bench.stack)],
    "looks": lambda bench: looks.measure(bench.stack),
    "held": lambda bench: held.measure(bench.stack),
    "sweep": lambda bench: ["", "## Sweep", "", sweep.measure(bench.stack)],
}
"""By name: what returns the lines of a part of the page."""


def write(name: str, lines: list[str]) -> None:
    """Replace one part of the page."""
    found = re.split(r"<!-- (\w+) -->\n", PAGE.read_text())[1:]
    parts = dict(zip(found[::2], found[1::2]))
    heading = next(number for number, line in enumerate(lines) if line.startswith("## "))
    lines = [*lines[: heading + 1], "", f"On {datetime.date.today():%d %B %Y}.", *lines[heading + 1 :]]
    parts[name] = "\n".join(lines)
    body = [f"<!-- {part} -->\n{parts[part].strip()}\n" for part in PARTS if part in parts]
    PAGE.write_text("\n".join([INTRODUCTION, *body]))


def main() -> None:
    names = sys.argv[1:] or list(PARTS)
    directory = Path(tempfile.mkdtemp(prefix="s3xcom-bench-"))
    try:
        with Stack(print) as stack:
            has_peers = {"backends", "expanding"} & set(names)
            pythons = {peer.title: peer.python(directory) for peer in PEERS if has_peers or not peer.packages}
            for name in names:
                lines = PARTS[name](Bench(stack, directory, pythons))
                print(*lines, sep="\n", flush=True)
                write(name, lines)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
