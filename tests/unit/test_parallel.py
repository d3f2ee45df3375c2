"""Several requests at once: results in order, few at a time, and an end when one fails."""

from __future__ import annotations

import threading
import time

import pytest

from include.s3_xcom.interruptions import StoppedError, raise_remembered
from include.s3_xcom.s3.parallel import MEMORY_BYTES, Parallel, connections


def test_results_come_in_the_order_of_the_jobs():
    def job(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * number

    assert list(Parallel(job, 4).run(range(20))) == [number * number for number in range(20)]


@pytest.mark.parametrize(("at_once", "waiting"), [(1, None), (3, None), (3, 5), (5, 3)])
def test_few_run_and_few_wait(at_once, waiting):
    running, most, begun = set(), [], []
    lock = threading.Lock()

    def job(number: int) -> int:
        with lock:
            running.add(number)
            begun.append(number)
            most.append(len(running))
        time.sleep(0.005)
        with lock:
            running.discard(number)
        return number

    for taken, _ in enumerate(Parallel(job, at_once, waiting=waiting).run(range(15))):
        if waiting is not None:
            assert len(begun) - taken <= waiting
    assert max(most) <= at_once
    assert sorted(begun) == list(range(15))


def test_what_one_raises_ends_all():
    stopped = threading.Event()

    def job(number: int) -> None:
        if number == 1:
            raise ConnectionError("broken")
        try:
            while True:
                time.sleep(0.005)
                raise_remembered()
        except StoppedError:
            stopped.set()
            raise

    with pytest.raises(ConnectionError, match="broken"):
        list(Parallel(job, 2).run(range(100)))
    assert stopped.wait(5)


def test_whoever_takes_no_more_results_ends_the_others():
    begun, stopped = threading.Event(), threading.Event()

    def job(number: int) -> int:
        while number:
            begun.set()
            time.sleep(0.005)
            try:
                raise_remembered()
            except StoppedError:
                stopped.set()
                raise
        return number

    results = Parallel(job, 2).run(range(5))
    assert next(results) == 0
    assert begun.wait(5)
    results.close()
    assert stopped.wait(5)


def test_threads_go_on_with_the_jobs_that_are_ready_while_nobody_takes_results():
    done: list[int] = []
    results = Parallel(done.append, 3, ready=10).run(range(10))
    next(results)
    deadline = time.monotonic() + 5
    while len(done) < 10 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert sorted(done) == list(range(10))
    assert len(list(results)) == 9


def test_no_more_wait_than_may_even_if_many_are_ready():
    done: list[int] = []
    results = Parallel(done.append, 3, ready=10, waiting=4).run(range(10))
    for taken in range(1, 10):
        next(results)
        time.sleep(0.02)
        assert len(done) <= taken + 3
    list(results)
    assert sorted(done) == list(range(10))


def test_no_jobs_give_no_results():
    assert list(Parallel(abs, 2, ready=0).run([])) == []
    assert list(Parallel(abs, 2, ready=0).run([-1])) == [1]


def test_a_thread_that_finds_no_job_leaves_none_behind():
    for _ in range(300):
        assert list(Parallel(lambda number: number, 2).run(range(20))) == list(range(20))


def test_an_error_of_the_jobs_themselves_comes_through():
    def jobs():
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(Parallel(lambda number: number, 2).run(jobs()))


@pytest.mark.parametrize(
    ("limit", "size", "expected"),
    [(10, 8 * 2**20, 10), (20, 8 * 2**20, MEMORY_BYTES // (8 * 2**20)), (10, 2**30, 1), (3, 1, 3), (1, 0, 1)],
)
def test_large_parts_go_by_fewer_connections(limit, size, expected):
    assert connections(limit, size) == expected
