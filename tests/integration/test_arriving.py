"""Large objects on their way into memory: how far ahead they are fetched, and what is forgotten again."""

from __future__ import annotations

import itertools
import os
import time

import numpy as np
import pandas as pd
import pytest

from include.s3_xcom.row import parse_row
from include.s3_xcom.s3 import arriving as on_the_way
from include.s3_xcom.s3 import ranges
from include.s3_xcom.s3.store import Store

BYTES = 3_000_000
RANGE_BYTES = 100_000


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch) -> None:
    monkeypatch.setattr(ranges, "RANGE_BYTES", RANGE_BYTES)
    monkeypatch.setattr(ranges, "SINGLE_GET_BYTES", 2 * RANGE_BYTES)


@pytest.fixture
def data() -> bytes:
    return os.urandom(BYTES)


@pytest.fixture
def arriving(task, data):
    task.push(data)
    return Store.configured().arriving(parse_row(task.row()).reference, forgets=True)


def test_bytes_that_are_forgotten_take_no_memory(arriving, data):
    arriving.wait(0, 1_000_000)
    assert arriving.body[:1_000_000] == data[:1_000_000]
    arriving.forget(1_000_000)
    forgotten = 1_000_000 // 4096 * 4096
    assert arriving.body[:forgotten] == bytes(forgotten)
    assert arriving.body[forgotten:1_000_000] == data[forgotten:1_000_000]
    assert arriving.finish()[1_000_000:] == data[1_000_000:]


def test_bytes_that_have_not_come_are_not_forgotten(arriving, data):
    arriving.wait(0, 1)
    arriving.forget(BYTES)
    assert arriving.finish()[RANGE_BYTES:] == data[RANGE_BYTES:]


def test_little_is_fetched_ahead_of_a_slow_reader(arriving, monkeypatch):
    fetched = []
    read = ranges.read
    monkeypatch.setattr(ranges, "read", lambda *arguments: fetched.append(arguments) or read(*arguments))
    arriving.wait(0, 1)
    time.sleep(1)
    most = ranges.at_once(Store.configured()) + on_the_way.AHEAD_RANGES
    assert len(fetched) <= most + 2 < BYTES / RANGE_BYTES
    arriving.finish()
    assert len(fetched) == BYTES / RANGE_BYTES


def test_a_frame_is_forgotten_while_it_is_decoded(task, monkeypatch):
    advised = []
    advise = on_the_way.Arriving._advise
    monkeypatch.setattr(
        on_the_way.Arriving, "_advise", lambda self, *advice: advised.append(advice) or advise(self, *advice)
    )
    frame = pd.DataFrame({"x": np.random.default_rng(0).random(6_000_000), "text": "a"})
    task.push(frame)
    size = parse_row(task.row()).reference.size
    assert task.pull().equals(frame)
    forgotten = [(start, stop) for name, start, stop in advised if name == "MADV_DONTNEED"]
    assert len(forgotten) > 3
    assert forgotten[0][0] == 0
    assert all(before[1] == after[0] for before, after in itertools.pairwise(forgotten))
    assert forgotten[-1][1] > 0.9 * size
