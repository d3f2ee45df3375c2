"""``make bench``: how fast pushes and pulls are, beside the floor and the peers, in one run.

Prints what it measures and writes it to docs/benchmarks.md.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from embedded.stack import Stack
from include.s3_xcom.reference import human_size

ROOT = Path(__file__).resolve().parents[2]
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

OURS = "include.s3_xcom_backend.S3XComBackend"
TITLES = {"frame": "DataFrame, 1,000,000 x 6", "dicts": "list of 200,000 small dicts"}


class Peer:
    """A backend in an environment of its own, as of a day its packages fitted together."""

    def __init__(self, title: str, backend: str, day: str, *packages: str) -> None:
        self.title, self.backend, self.day, self.packages = title, backend, day, packages

    def python(self, directory: Path) -> Path:
        if not self.packages:
            return Path(sys.executable)
        venv = directory / self.backend
        uv = shutil.which("uv") or str(ROOT / ".venv-uv/bin/uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, venv], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", venv, "--exclude-newer", self.day]
        subprocess.run([*install, *self.packages], check=True)
        return venv / "bin/python"


PEERS = [
    Peer("this backend", OURS, ""),
    Peer("the tutorials' backend", "tests.benchmarks.tutorial_backend.TutorialBackend", ""),
    Peer(
        "astronomer-providers 1.19.0",
        "astronomer.providers.amazon.aws.xcom_backends.s3.S3XComBackend",
        "2024-09-01",
        *("astronomer-providers[amazon]==1.19.0", "apache-airflow==2.9.3", "pandas<2.2", "pyarrow"),
    ),
    Peer(
        "Airflow 2.10's XComObjectStorageBackend",
        "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
        "2025-06-01",
        *("apache-airflow==2.10.5", "apache-airflow-providers-common-io==1.5.4"),
        *("apache-airflow-providers-amazon[s3fs]", "pandas<2.2", "pyarrow"),
    ),
]


def environment(stack: Stack, home: Path) -> dict[str, str]:
    """For all backends, with a metadata database of its own: each peer is of another Airflow."""
    connection = {
        "conn_type": "aws",
        "login": "a",
        "password": "b",
        "extra": {"endpoint_url": stack.localstack.url, "region_name": "us-east-1"},
    }
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__S3_XCOM__BUCKET": stack.localstack.bucket,
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": f"s3://aws_default@{stack.localstack.bucket}/peer",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
        "XCOM_BACKEND_BUCKET_NAME": stack.localstack.bucket,
        "BENCH_ENDPOINT": stack.localstack.url,
    }


def run(command: list[Any], env: dict[str, str], cwd: Path) -> str:
    done = subprocess.run(list(map(str, command)), env=env, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "failed")
    return done.stdout.strip().splitlines()[-1]


def compare(stack: Stack, directory: Path) -> list[str]:
    """Each workload with each backend."""
    lines = []
    pythons = {peer.title: peer.python(directory) for peer in PEERS}
    for workload, title in TITLES.items():
        lines += ["", f"## {title}", "", *_header()]
        for peer in PEERS:
            home = Path(tempfile.mkdtemp(dir=directory))
            command = [pythons[peer.title], MEASURE, peer.backend, workload, ROUNDS]
            try:
                result = json.loads(run(command, environment(stack, home), home))
            except RuntimeError as error:
                lines.append(f"| {peer.title} | fails: {str(error)[:80]} |" + " |" * 6)
            else:
                lines.append(_row(peer.title, result))
            print(lines[-1], flush=True)
    return lines


def _header() -> list[str]:
    columns = ["backend", "push s", "pull s", "floor push s", "floor pull s", "x floor",
               "requests", "extra memory push, pull"]  # fmt: skip
    return ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]


def _row(title: str, r: dict[str, Any]) -> str:
    cells = [
        title,
        *(f"{r[key]:.2f}" for key in ("backend push", "backend pull", "floor push", "floor pull", "ratio")),
        f"{r['push requests']} + {r['pull requests']}" if r["push requests"] else "not counted",
        f"{human_size(r['push memory'])}, {human_size(r['pull memory'])}",
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
    before = measure.resident("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")
    took = measure.timed(action)
    result += [took, (measure.resident("VmHWM") - before) / 2**20]
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


def main() -> None:
    directory = Path(tempfile.mkdtemp(prefix="s3xcom-bench-"))
    try:
        with Stack(print) as stack:
            lines = [*INTRODUCTION.splitlines(), *compare(stack, directory)]
            env = environment(stack, directory)
            for measured in (import_time(env, directory), large_file(env, directory)):
                print(measured, flush=True)
                lines += ["", measured]
        PAGE.write_text("\n".join([*lines, ""]))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
