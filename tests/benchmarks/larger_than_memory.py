"""``make test-large``: a table that is larger than the memory of the process that pushes it.

    python -m tests.benchmarks.larger_than_memory GIB

Pushed as chunks to SeaweedFS on this machine, and read again chunk by chunk, by a process that may have
512 MiB; fails if it had more.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from embedded.localstack import LOGIN
from include.s3_xcom.reference import human_size
from tests.servers import running
from tests.servers.seaweedfs import SeaweedFS

MEMORY_BYTES = 512 * 2**20
CHUNK_ROWS, COLUMNS = 131_072, 8
CHUNK_BYTES = CHUNK_ROWS * COLUMNS * 8


def chunks(count: int) -> Iterator[Any]:
    """Frames of random numbers, which Parquet cannot make smaller."""
    import numpy as np
    import pandas as pd

    for number in range(count):
        random = np.random.default_rng(number)
        yield pd.DataFrame({f"x{i}": random.random(CHUNK_ROWS) for i in range(COLUMNS)})


def move(count: int) -> None:
    """Push and read some chunks, and print what that took."""
    import pandas as pd

    from include.s3_xcom import batches
    from include.s3_xcom.keys import Owner
    from include.s3_xcom.pull import pull
    from include.s3_xcom.push import push
    from include.s3_xcom.row import parse_row

    start = time.perf_counter()
    row = parse_row(push(batches(chunks(count)), Owner("large", "run", "task", -1, "return_value")))
    pushed = time.perf_counter()
    for expected, frame in zip(chunks(count), pull(row).frames()):
        pd.testing.assert_frame_equal(frame, expected)
    read = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    size = human_size(row.reference.size)
    print(f"{size} in {count} chunks: pushed in {pushed - start:.0f} s, read and compared in")
    print(f"{read - pushed:.0f} s, with at most {human_size(peak)} of memory.")
    if peak > MEMORY_BYTES:
        sys.exit(f"That is more than {human_size(MEMORY_BYTES)}.")


def main() -> None:
    count = int(float(sys.argv[1]) * 2**30) // CHUNK_BYTES
    with tempfile.TemporaryDirectory(prefix="s3xcom-large-") as directory:
        server = SeaweedFS(Path(directory))
        with running(server):
            extra = {"endpoint_url": server.url, "region_name": "us-east-1"}
            connection = {"conn_type": "aws", "login": LOGIN, "password": LOGIN, "extra": extra}
            environment = {
                **os.environ,
                "AIRFLOW_HOME": directory,
                "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
                "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
                "AIRFLOW__S3_XCOM__BUCKET": server.bucket,
            }
            command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.larger_than_memory"]
            sys.exit(subprocess.run([*command, "move", str(count)], env=environment).returncode)


if __name__ == "__main__":
    if sys.argv[1] == "move":
        move(int(sys.argv[2]))
    else:
        main()
