"""Measure one backend in one environment. Prints one line of JSON.

Needs nothing but the standard library, Airflow and pandas, so that it also runs where the peers live.
"""

from __future__ import annotations

import datetime
import importlib
import inspect
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

OWNER = {"key": "return_value", "dag_id": "bench", "task_id": "task", "run_id": "run", "map_index": -1}
ROWS = 1_000_000
QUERIED = 200_000
DICTS = 200_000


def frame() -> Any:
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": rng.integers(0, 2**40, ROWS),
            "name": rng.integers(0, 100_000, ROWS).astype(str).astype(object),
            "x": rng.random(ROWS),
            "n": np.arange(ROWS),
            "at": pd.date_range("2020-01-01", periods=ROWS, freq="s"),
            "ok": rng.random(ROWS) < 0.5,
        }
    )


def query_result(rows: int = QUERIED) -> Any:
    """A query of six columns, as ``PostgresHook.get_pandas_df`` returns it."""
    import numpy as np
    import pandas as pd

    chance = random.Random(0)
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    moments = [start + datetime.timedelta(seconds=137 * i, microseconds=i) for i in range(rows)]
    missing = [chance.random() < 0.1 for _ in range(rows)]
    columns = {
        "id": np.arange(rows),
        "price": [Decimal(chance.randrange(-(10**9), 10**9)).scaleb(-2) for _ in range(rows)],
        "day": [moment.date() for moment in moments],
        "note": [None if missing[i] else f"text {i * 7919 % rows}" for i in range(rows)],
        "at": pd.to_datetime(moments),
        "ok": pd.Series([None if missing[i] else i % 3 == 0 for i in range(rows)], dtype=object),
    }
    return pd.DataFrame(columns)


def changes(value: Any, pulled: Any) -> str:
    """What a pull has changed in a frame, in words."""
    import pandas as pd

    if not isinstance(value, pd.DataFrame):
        return "nothing" if value == pulled else "content"
    if not isinstance(pulled, pd.DataFrame):
        return f"a {type(pulled).__name__} comes back"
    found = [f"new column {name}" for name in pulled if name not in value]
    for name in value:
        one, other = (frame[name].tolist() if name in frame else [] for frame in (value, pulled))
        if value[name].dtype != pulled[name].dtype or list(map(type, one)) != list(map(type, other)):
            found.append(f"types of {name}")
        elif any(a != b and a == a for a, b in zip(one, other)):
            found.append(f"values of {name}")
    return ", ".join(found) or "nothing"


def dicts() -> list[dict[str, Any]]:
    return [
        {"id": i, "name": f"name {i}", "x": i * 0.5, "ok": i % 2 == 0, "note": None} for i in range(DICTS)
    ]


WORKLOADS: dict[str, Callable[[], Any]] = {"query": query_result, "frame": frame, "dicts": dicts}


def floor(value: Any, s3: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Encode with pyarrow or json and one raw PUT; one raw GET and decode."""
    if isinstance(value, list):
        encode, decode = lambda: json.dumps(value).encode(), json.loads
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        def encode() -> bytes:
            sink = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_pandas(value), sink)
            return sink.getvalue().to_pybytes()

        def decode(body: bytes) -> Any:
            return pq.read_table(pa.BufferReader(body)).to_pandas()

    where = {"Bucket": "xcom", "Key": "floor"}
    return (
        lambda: s3.put_object(Body=encode(), **where),
        lambda: decode(s3.get_object(**where)["Body"].read()),
    )


def of_backend(name: str, value: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    module, _, class_name = name.rpartition(".")
    backend = getattr(importlib.import_module(module), class_name)
    row: dict[str, Any] = {}
    accepted = inspect.signature(backend.serialize_value).parameters
    owner = OWNER if "dag_id" in accepted or "_" in accepted else {}

    def push() -> None:
        row["value"] = backend.serialize_value(value, **owner)

    return push, lambda: backend.deserialize_value(SimpleNamespace(value=row["value"], **OWNER))


def row_of(name: str, value: Any) -> bytes:
    """What the metadata database holds after a push."""
    module, _, class_name = name.rpartition(".")
    return getattr(importlib.import_module(module), class_name).serialize_value(value, **OWNER)


def client() -> Any:
    import boto3

    return boto3.client(
        "s3", endpoint_url=os.environ["BENCH_ENDPOINT"], region_name="us-east-1",
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip


def timed(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


Pair = tuple[Callable[[], Any], Callable[[], Any]]
"""A push and a pull."""


def seconds(name: str, value: Any, rounds: int, floor_of: Callable[[Any, Any], Pair] = floor) -> dict:
    """Push and pull in turn with the floor, after one round that is not counted."""
    pairs = {"floor": floor_of(value, client()), "backend": of_backend(name, value)}
    counted: dict[str, list[float]] = {f"{who} {what}": [] for who in pairs for what in ("push", "pull")}
    for round_ in range(rounds + 1):
        for who, (push, pull) in pairs.items():
            for what, action in (("push", push), ("pull", pull)):
                took = timed(action)
                if round_:
                    counted[f"{who} {what}"].append(took)
    ratios = [
        (bp + bl) / (fp + fl)
        for fp, fl, bp, bl in zip(
            counted["floor push"], counted["floor pull"], counted["backend push"], counted["backend pull"]
        )
    ]
    medians = {key: statistics.median(values) for key, values in counted.items()}
    return {**medians, "ratio": statistics.median(ratios)}


def counted_requests(action: Callable[[], Any]) -> int:
    """S3 requests of an action, counted in botocore."""
    from botocore.endpoint import Endpoint

    count = 0
    original = Endpoint._send

    def counting(self: Any, request: Any) -> Any:
        nonlocal count
        count += 1
        return original(self, request)

    Endpoint._send = counting
    try:
        action()
    finally:
        Endpoint._send = original
    return count


def requests(name: str, value: Any) -> dict[str, int]:
    """S3 requests of one push and one pull."""
    push, pull = of_backend(name, value)
    return {"push requests": counted_requests(push), "pull requests": counted_requests(pull)}


def memory(name: str, value: Any) -> dict[str, int]:
    """Extra peak memory of one push and one pull in bytes, in a process that has done both before."""
    push, pull = of_backend(name, value)
    push()
    pull()
    result = {}
    for what, action in (("push", push), ("pull", pull)):
        kept, more = with_memory(action)
        result[f"{what} memory"] = max(0, more)
        del kept
    return result


def with_memory(action: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """What an action returns, and by how many bytes the peak of the process rose."""
    before = resident("VmRSS")
    with open("/proc/self/clear_refs", "w") as stream:
        stream.write("5")  # resets the peak: man 5 proc
    result = action(*arguments)
    return result, resident("VmHWM") - before


def resident(field: str) -> int:
    with open("/proc/self/status") as stream:
        line = next(line for line in stream if line.startswith(field))
    return int(line.split()[1]) * 1024


def main() -> None:
    name, workload, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    value = WORKLOADS[workload]()
    result: dict[str, Any] = seconds(name, value, rounds)
    push, pull = of_backend(name, value)
    push()
    result["changed"] = changes(value, pull())
    result.update(requests(name, value))
    result.update(memory(name, value))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
