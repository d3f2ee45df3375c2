"""Exceptions that a signal handler raises into any code: callers must see them as they were raised.

Airflow raises a task's ``execution_timeout`` (SIGALRM) and its termination (SIGTERM) this way, as ordinary
exceptions. Code that catches every exception mistakes them: botocore wraps them in an HTTPClientError, or
takes them for a timeout of the network, and sends the request again; Airflow's search for connections and
Python's logging swallow them.

So while S3 is in use, a wrapper around each handler remembers the exceptions that it raises::

    with heard():                  SIGALRM: handler -> wrapper(handler)
        client.put_object(...)     the wrapper raises AirflowTaskTimeout, botocore catches it
                                   the hook in client.py sees it remembered: no second attempt
    # here AirflowTaskTimeout is raised, whatever the block made of it
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

Handler = Callable[[int, "FrameType | None"], object]

_SIGNALS = sorted(signal.valid_signals())

_thread = threading.local()

_remembered: list[BaseException] | None = None
"""Exceptions that handlers raised since the outermost :func:`heard` block began; None outside of one."""


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Raise at the end of the block what a signal handler raised into it, if it does not come out by itself.

    Blocks may be nested. Python calls signal handlers in the main thread: in other threads, only the start of
    the block checks whether they are to stop.
    """
    global _remembered
    if threading.current_thread() is not threading.main_thread():
        raise_remembered()
        yield
        return
    is_outermost = _remembered is None
    wrappers: dict[int, tuple[Handler, Handler]] = {}
    try:
        if is_outermost:
            _remembered = []
            _wrap_handlers(_remembered, wrappers)
        raise_remembered()
        try:
            yield
        except BaseException as error:
            raise_remembered(error)
            raise
        raise_remembered()
    finally:
        if is_outermost:
            _remembered = None
            _unwrap_handlers(wrappers)


@contextlib.contextmanager
def handled_within() -> Iterator[None]:
    """Call user code: an exception of a signal handler that it caught is not raised again, here or within it.

    An exception that it turned into another one counts as caught.
    """
    global _remembered
    if _remembered is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    ours, before = _remembered, len(_remembered)
    _remembered = None  # a block that begins in user code remembers separately
    try:
        yield
    except BaseException as error:
        if error not in ours[before:]:
            del ours[before:]
        raise
    else:
        del ours[before:]
    finally:
        _remembered = ours


@contextlib.contextmanager
def alarm(seconds: float, handler: Handler) -> Iterator[None]:
    """Call a handler of SIGALRM if the block takes longer. Only the main thread may use it.

    :param seconds: more than 0
    """
    remembering = handler if _remembered is None else _remembering(handler, _remembered)
    before = signal.signal(signal.SIGALRM, remembering)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        if signal.getsignal(signal.SIGALRM) is remembering:  # otherwise the block has set another timer
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def raise_remembered(instead_of: BaseException | None = None) -> None:
    """Raise what a signal handler raised into the surrounding block, if it raised anything.

    :param instead_of: the exception that the block ends with, if any
    :raises StoppedError: in other threads than the main one, if their work is no longer wanted
    """
    if threading.current_thread() is not threading.main_thread():
        stop = getattr(_thread, "stop", None)
        if stop is not None and stop.is_set():
            raise StoppedError
    elif _remembered and _remembered[0] is not instead_of:
        raise _remembered[0] from _remembered[0].__cause__


class StoppedError(BaseException):
    """The end of a thread whose work is no longer wanted. Botocore does not catch it."""


@contextlib.contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """Let :func:`raise_remembered` end a thread that works for another once it is no longer wanted."""
    _thread.stop = stop
    try:
        yield
    finally:
        _thread.stop = None


def _wrap_handlers(remembered: list[BaseException], wrappers: dict[int, tuple[Handler, Handler]]) -> None:
    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if callable(handler):
            wrapper = _remembering(handler, remembered)
            with contextlib.suppress(ValueError):  # an interpreter within another program
                signal.signal(number, wrapper)
                wrappers[number] = handler, wrapper


def _unwrap_handlers(wrappers: dict[int, tuple[Handler, Handler]]) -> None:
    for number, (handler, wrapper) in wrappers.items():
        if signal.getsignal(number) is wrapper:  # nobody has set another one since
            signal.signal(number, handler)


def _remembering(handler: Handler, remembered: list[BaseException]) -> Handler:
    def handle(number: int, frame: FrameType | None) -> None:
        try:
            handler(number, frame)
        except BaseException as error:
            remembered.append(error)
            raise

    return handle
