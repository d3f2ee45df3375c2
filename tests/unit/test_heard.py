"""heard(): what a signal handler raises comes out of the block, whatever the block makes of it."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest

from include.s3_xcom.interruptions import handled_within, heard


class RaisedError(Exception):
    """By a handler."""


@pytest.fixture(autouse=True)
def handler():
    def handle(*_: object) -> None:
        raise RaisedError

    before = signal.signal(signal.SIGUSR1, handle)
    yield handle
    assert signal.getsignal(signal.SIGUSR1) is handle
    signal.signal(signal.SIGUSR1, before)


def interrupt() -> None:
    signal.raise_signal(signal.SIGUSR1)


def swallow() -> None:
    with contextlib.suppress(Exception):
        interrupt()


def wrap() -> None:
    try:
        interrupt()
    except Exception as error:
        raise ValueError from error


@pytest.mark.parametrize("block", [interrupt, swallow, wrap])
def test_it_comes_out_as_itself(block):
    with pytest.raises(RaisedError), heard():
        block()


@pytest.mark.parametrize("block", [interrupt, swallow, wrap])
def test_it_comes_out_of_the_inner_of_two_blocks(block):
    reached = []

    def run() -> None:
        with heard():
            with heard():
                block()
            reached.append("behind the inner block")

    with pytest.raises(RaisedError):
        run()
    assert reached == []


def test_a_block_within_is_not_begun_where_it_was_swallowed_before():
    reached = []

    def run() -> None:
        with heard():
            swallow()
            with heard():
                reached.append("the inner block")

    with pytest.raises(RaisedError):
        run()
    assert reached == []


def test_other_errors_and_handlers_that_raise_nothing_are_left_alone():
    with pytest.raises(KeyError), heard():
        raise KeyError
    signal.signal(signal.SIGUSR2, lambda *_: None)
    with heard():
        signal.raise_signal(signal.SIGUSR2)


def test_what_was_raised_before_the_block_is_no_news():
    with contextlib.suppress(RaisedError):
        interrupt()
    try:
        interrupt()
    except RaisedError:
        with heard():
            pass


def test_a_handler_that_is_set_within_the_block_is_somebodys_own(handler):
    def own(*_: object) -> None:
        raise LookupError

    with heard():
        before = signal.signal(signal.SIGUSR1, own)
        with pytest.raises(LookupError):
            interrupt()
        signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_is_left_behind_stays():
    def own(*_: object) -> None: ...

    before = signal.getsignal(signal.SIGUSR1)
    with heard():
        signal.signal(signal.SIGUSR1, own)
    assert signal.getsignal(signal.SIGUSR1) is own
    signal.signal(signal.SIGUSR1, before)


def test_what_a_users_own_code_has_handled_is_not_raised_again():
    with heard(), handled_within():
        swallow()
    with pytest.raises(RaisedError), heard(), handled_within():
        interrupt()


def test_what_a_users_own_code_has_handled_is_not_raised_by_a_block_within_it():
    with heard(), handled_within():
        swallow()
        with heard():
            pass


def test_a_block_within_a_users_own_code_hears_by_itself():
    def own() -> None:
        with pytest.raises(RaisedError), heard():
            swallow()

    with heard(), handled_within():
        own()


def test_what_a_users_own_code_has_made_of_it_comes_out_of_the_block():
    with pytest.raises(ValueError, match=r"^$"), heard(), handled_within():
        wrap()


def test_what_comes_out_of_a_users_own_code_as_itself_comes_out_of_the_block():
    with pytest.raises(RaisedError), heard(), contextlib.suppress(RaisedError), handled_within():
        interrupt()


def test_other_threads_are_not_interrupted():
    reached = []

    def run() -> None:
        with heard():
            reached.append("in another thread")

    with contextlib.suppress(RaisedError), heard():
        swallow()
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert reached == ["in another thread"]


def test_other_threads_have_nothing_to_hear():
    found = []

    def run() -> None:
        with heard():
            found.append(signal.getsignal(signal.SIGUSR1))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGUSR1)]
