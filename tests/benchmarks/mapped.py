"""What mapped tasks move: rows, batches and items beside plain lists of this backend and of the peers."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from embedded.stack import Stack
from include.s3_xcom.reference import human_size
from tests.benchmarks.peers import OURS, PEERS, ROOT, environment, run

HERE = Path(__file__).parent
CHART = ROOT / "docs/images/expansion.png"
SIZES = {"20 KB": 20_000, "200 KB": 200_000}
GROWTH = (10, 100, 1000, 10_000)

INTRODUCTION = """
## Expanding

Each of n mapped tasks pulls the XCom of the task before it and takes its own element, a dict that holds
random text. Bytes are those of the loopback interface, HTTP and TCP included; *all tasks* is the mean of some
tasks times n, over the payload. Seconds are medians, of a pull and its element.
"""


def measure(stack: Stack, directory: Path, pythons: dict[str, Path]) -> list[str]:
    """The section of the page, and the chart."""
    lines = INTRODUCTION.splitlines()
    for title, size in SIZES.items():
        lines += ["", f"### 1,000 elements of {title}", "", *_header()]
        lines.append(
            _row("this backend, items(...)", 1000, _one(stack, directory, OURS, "items", 1000, size, 50))
        )
        for peer in PEERS:
            name = f"{peer.title}, plain list"
            try:
                result = _one(stack, directory, peer.backend, "list", 1000, size, 3, pythons[peer.title])
            except RuntimeError as error:
                lines.append(f"| {name} | fails: {str(error)[:80]} |" + " |" * 4)
            else:
                lines.append(_row(name, 1000, result))
        print("\n".join(lines[-6:]), flush=True)
    return [*lines, *_growth(stack, directory), *_batches(stack, directory), *_wide(stack, directory)]


def _one(
    stack: Stack,
    directory: Path,
    backend: str,
    wrapper: str,
    count: int,
    size: int,
    samples: int,
    python: Path | None = None,
) -> dict[str, Any]:
    home = Path(tempfile.mkdtemp(dir=directory))
    command = [python or sys.executable, HERE / "expansion.py", backend, wrapper, count, size, samples]
    return json.loads(run(command, environment(stack, home), home))


def _header() -> list[str]:
    columns = ["", "bytes a task", "at most", "all tasks / payload", "requests a task", "s a task"]
    return ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]


def _row(title: str, count: int, r: dict[str, Any]) -> str:
    cells = [
        title,
        human_size(r["bytes"]),
        human_size(r["most bytes"]),
        f"{r['bytes'] * count / r['payload']:,.2f} x",
        str(r["requests"] or "not counted"),
        f"{r['seconds']:.3f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _growth(stack: Stack, directory: Path) -> list[str]:
    wrappers = {"items(...)": "items", "plain list": "list"}
    found = {
        title: [_one(stack, directory, OURS, wrapper, count, 20_000, 3) for count in GROWTH]
        for title, wrapper in wrappers.items()
    }
    draw(found)
    columns = ["", *(f"n = {count:,}" for count in GROWTH)]
    lines = ["", "### As n grows, elements of 20 KB", "", "| " + " | ".join(columns) + " |"]
    lines.append("|" + " --- |" * len(columns))
    for title, results in found.items():
        cells = (f"{human_size(r['bytes'])}, {r['seconds']:.3f} s" for r in results)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    print("\n".join(lines[-2:]), flush=True)
    return lines


def draw(found: dict[str, list[dict[str, Any]]]) -> None:
    """The chart of the README."""
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3), dpi=100)
    for axes, key, scale, label in (
        (left, "bytes", 1e6, "MB moved by a mapped task"),
        (right, "seconds", 1, "seconds to get its element"),
    ):
        for (title, results), style in zip(found.items(), ("o-", "s--")):
            axes.loglog(GROWTH, [result[key] / scale for result in results], style, label=title)
        axes.set_xlabel("mapped tasks (elements of 20 KB)")
        axes.set_title(label, fontsize=10)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(CHART)


def _batches(stack: Stack, directory: Path) -> list[str]:
    """Push and iteration of batches, beside push and pull of the plain frame."""
    code = f"""
import sys, json, statistics
sys.path.insert(0, {str(HERE)!r})
import measure
from include.s3_xcom import batches
frame = measure.frame()
plain = measure.of_backend({OURS!r}, frame)
pieces = measure.of_backend({OURS!r}, batches(frame, 10_000))
def iterate():
    for piece in pieces[1]():
        pass
actions = dict(zip(("push", "pull", "push of batches", "iteration"), (*plain, pieces[0], iterate)))
rounds = [{{name: measure.timed(action) for name, action in actions.items()}} for _ in range(6)][1:]
print(json.dumps({{name: [r[name] for r in rounds] for name in actions}}))
"""
    home = Path(tempfile.mkdtemp(dir=directory))
    r = json.loads(run([sys.executable, "-c", code], environment(stack, home), home))
    median = {name: statistics.median(times) for name, times in r.items()}
    push = statistics.median(a / b for a, b in zip(r["push of batches"], r["push"]))
    pull = statistics.median(a / b for a, b in zip(r["iteration"], r["pull"]))
    line = (
        f"A frame of 1,000,000 x 6 as batches(frame, 10_000): pushed in {median['push of batches']:.2f} s, "
        f"{push:.2f} x the push of the plain frame ({median['push']:.2f} s); iterated over in "
        f"{median['iteration']:.2f} s, {pull:.2f} x its pull ({median['pull']:.2f} s)."
    )
    print(line, flush=True)
    return ["", line]


def _wide(stack: Stack, directory: Path) -> list[str]:
    """Batches of frames with many columns, beside the plain frame."""
    code = f"""
import sys, json, types
sys.path.insert(0, {str(HERE)!r})
import measure
import numpy, pandas
from include.s3_xcom import batches
from include.s3_xcom_backend import S3XComBackend as backend
found = []
for rows, size in ((200, 1), (2000, 100)):
    numbers = numpy.random.default_rng(0).random((rows, 2000))
    frame = pandas.DataFrame(numbers, columns=[f"c{{n}}" for n in range(2000)])
    for value in (frame, batches(frame, size)):
        pushed = []
        push = lambda: pushed.append(backend.serialize_value(value, **measure.OWNER))
        took = min(measure.timed(push) for _ in range(3))
        pulled = backend.deserialize_value(types.SimpleNamespace(value=pushed[-1]))
        element = 0 if value is frame else measure.timed(lambda: pulled[len(pulled) // 2])
        found.append((rows, size, took, json.loads(pushed[-1])["size"], element))
print(json.dumps(found))
"""
    home = Path(tempfile.mkdtemp(dir=directory))
    found = json.loads(run([sys.executable, "-c", code], environment(stack, home), home))
    lines = []
    for (rows, size, took, stored, element), plain in zip(found[1::2], found[::2]):
        lines.append(
            f"A frame of {rows:,} x 2,000 as batches(frame, {size}): pushed in {took:.2f} s as "
            f"{stored / 1e6:.1f} MB (the plain frame: {plain[2]:.2f} s, {plain[3] / 1e6:.1f} MB); a task "
            f"gets its batch in {element * 1000:.0f} ms."
        )
    print("\n".join(lines), flush=True)
    return ["", *lines]
