"""A task's execution_timeout goes on for what its result still does while it is pushed."""

from __future__ import annotations

import contextlib
import datetime
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from airflow.exceptions import AirflowTaskTimeout

from include.s3_xcom import batches, items
from tests.helpers.release import running_task, timeout

FRAME = pd.DataFrame({"n": [1]})
LIMIT = 0.4
"""The execution_timeout of the task, in seconds."""


def body(make: Callable[[], Any], limit: float | None = LIMIT) -> Any:
    """Run a task's body as Airflow does."""
    running = SimpleNamespace(
        execution_timeout=limit and datetime.timedelta(seconds=limit), iter_mapped_dependants=lambda: iter(())
    )
    with running_task(running), timeout(LIMIT, "Timeout"):
        return make()


def frames(count: int = 200, seconds: float = 0.02) -> Iterator[pd.DataFrame]:
    for _ in range(count):
        time.sleep(seconds)
        yield FRAME


def one_that_never_comes() -> Iterator[int]:
    yield 1
    time.sleep(600)


@pytest.mark.parametrize(
    "make",
    [lambda: batches(frames()), lambda: batches(frames(), 10), lambda: items(one_that_never_comes())],
    ids=["chunks", "chunks cut anew", "items"],
)
def test_a_result_that_takes_longer_is_ended_and_leaves_nothing(task, s3, make):
    before = {item.key for item in s3.objects.all()}
    value = body(make)
    with pytest.raises(AirflowTaskTimeout, match="Timeout, PID: "):
        task.push(value)
    assert {item.key for item in s3.objects.all()} == before
    assert task.pull() is None
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_it_is_ended_also_where_its_length_is_asked_for_before(task):
    value = body(lambda: items(one_that_never_comes()))
    with pytest.raises(AirflowTaskTimeout):
        len(value)


def test_what_the_body_took_counts(task):
    left = []

    def chunks() -> Iterator[pd.DataFrame]:
        left.append(signal.getitimer(signal.ITIMER_REAL)[0])
        yield FRAME

    def make() -> Any:
        time.sleep(LIMIT / 2)
        return batches(chunks())

    task.push(body(make))
    assert 0 < left[0] <= LIMIT / 2


def test_the_generator_is_told_to_clean_up(task):
    closed = []

    def make() -> Iterator[int]:
        try:
            yield from one_that_never_comes()
        finally:
            closed.append(True)

    with pytest.raises(AirflowTaskTimeout):
        task.push(body(lambda: items(make())))
    assert closed == [True]


def test_a_result_in_time_is_pushed(task):
    task.push(body(lambda: batches(frames(3))))
    assert len(task.pull()) == 3


@pytest.mark.parametrize("limit", [None, LIMIT])
def test_a_timer_of_the_tasks_own_is_none_of_airflows(task, limit):
    def make() -> Any:
        before = signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, LIMIT)
        value = batches(frames(3, LIMIT / 2))
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        return value

    task.push(body(make, limit))
    assert len(task.pull()) == 3


def test_a_task_that_goes_on_after_its_timeout_is_told_once(task):
    told = []

    def make() -> Iterator[int]:
        for _ in range(3):
            try:
                time.sleep(LIMIT)
            except AirflowTaskTimeout:
                told.append(True)
            yield 1

    task.push(body(lambda: items(make())))
    assert told == [True]
    assert list(task.pull()) == [1, 1, 1]


def test_a_push_within_the_body_is_left_to_airflows_own_timer(task):
    def make() -> None:
        task.push(items(one_that_never_comes()))

    with pytest.raises(AirflowTaskTimeout):
        body(make)


def test_a_push_in_another_thread_is_ended_between_two_elements(task):
    value = body(lambda: items(frames(1000, LIMIT / 10)))
    errors: list[BaseException] = []

    def push() -> None:
        try:
            list(value.stream.take())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=push)
    thread.start()
    thread.join()
    assert [type(error) for error in errors] == [AirflowTaskTimeout]


def test_what_a_generator_has_handled_is_not_raised_again_by_its_next_pull(task):
    task.push([1, 2], "before")

    def end_of_time(*_: Any) -> None:
        raise TimeoutError

    def make() -> Iterator[Any]:
        before = signal.signal(signal.SIGUSR1, end_of_time)
        with contextlib.suppress(TimeoutError):
            signal.raise_signal(signal.SIGUSR1)
        yield task.pull("before")
        with contextlib.suppress(TimeoutError):
            signal.raise_signal(signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, before)
        yield task.pull("before")

    task.push(items(make()))
    assert list(task.pull()) == [[1, 2], [1, 2]]


def test_what_the_clean_up_of_a_generator_has_handled_is_not_raised_again(task):
    def end_of_time(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGUSR1, end_of_time)

    def make() -> Iterator[Any]:
        try:
            yield FRAME
            yield "no frame"
        finally:
            with contextlib.suppress(TimeoutError):
                signal.raise_signal(signal.SIGUSR1)

    with pytest.raises(TypeError, match="no chunk of a table"):
        task.push(batches(make()))
    signal.signal(signal.SIGUSR1, before)
