"""Measure what mapped tasks move with one backend in one environment. Prints one line of JSON.

    python expansion.py BACKEND WRAPPER ELEMENTS BYTES SAMPLES

WRAPPER is ``items``, or ``list`` for a plain list. As :mod:`measure`, it needs little, to run where the peers
live. Bytes are those of the loopback interface, which counts all backends alike, whatever their client.
"""

from __future__ import annotations

import base64
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import measure


def elements(count: int, size: int) -> list[dict[str, Any]]:
    """Elements that cannot be compressed much, of about ``size`` bytes as JSON."""
    return [{"number": n, "data": base64.b64encode(os.urandom(size * 3 // 4)).decode()} for n in range(count)]


def loopback_bytes() -> int:
    lines = Path("/proc/net/dev").read_text().splitlines()
    return int(next(line for line in lines if line.strip().startswith("lo:")).split()[1])


def wrapped(value: list, wrapper: str) -> Any:
    if wrapper == "list":
        return value
    from include.s3_xcom import items

    return items(value)


def main() -> None:
    backend, wrapper = sys.argv[1:3]
    count, size, samples = map(int, sys.argv[3:])
    value = elements(count, size)
    push, pull = measure.of_backend(backend, wrapped(value, wrapper))
    push()
    numbers = [count * sample // samples for sample in range(samples)]
    assert pull()[numbers[-1]] == value[numbers[-1]]
    moved, took = [], []
    for number in numbers:
        before, start = loopback_bytes(), time.perf_counter()
        element = pull()[number]
        took.append(time.perf_counter() - start)
        moved.append(loopback_bytes() - before)
        assert element == value[number]
    requests = measure.counted_requests(lambda: pull()[numbers[-1]])
    payload = sum(len(json.dumps(element)) for element in value)
    print(
        json.dumps(
            {
                "payload": payload,
                "bytes": statistics.mean(moved),
                "most bytes": max(moved),
                "seconds": statistics.median(took),
                "requests": requests,
            }
        )
    )


if __name__ == "__main__":
    main()
