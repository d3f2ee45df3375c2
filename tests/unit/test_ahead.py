"""Work that is done some steps ahead."""

from __future__ import annotations

import threading

import pytest

from include.s3_xcom.mapped.ahead import PENDING, ahead


def test_results_come_in_the_order_of_their_items():
    assert list(ahead(str, range(20))) == [str(n) for n in range(20)]


def test_no_more_than_a_few_items_are_taken_before_their_results_are_asked_for():
    taken = []

    def items():
        for n in range(100):
            taken.append(n)
            yield n

    results = ahead(str, items())
    assert next(results) == "0"
    assert len(taken) == PENDING
    results.close()
    assert len(taken) == PENDING


def test_an_error_comes_up_where_its_result_would_have():
    results = ahead(lambda n: 1 // n, [2, 1, 0])
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_no_thread_is_left_when_the_rest_is_not_asked_for():
    before = set(threading.enumerate())
    results = ahead(str, range(20))
    next(results)
    results.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)
        assert not thread.is_alive()
