"""Exceptions that a signal handler raises into whatever code runs: they must come out as what they are.

Airflow raises a task's ``execution_timeout`` (SIGALRM) and its termination (SIGTERM) this way, as ordinary
exceptions. Libraries that catch every exception take them for their own: botocore wraps one in an
HTTPClientError, or takes it for a timeout of the network, and tries again.
"""

from __future__ import annotations

import signal
import sys
from types import CodeType
from typing import Any

MAX_CHAIN = 50

_WRAPPERS = ("botocore", "urllib3")
"""Packages whose errors stand for others."""


def handled_exception() -> BaseException | None:
    """The exception that is being handled now. What is raised from here on has it as its oldest context."""
    return sys.exc_info()[1]


def find_interruption(error: BaseException, handled: BaseException | None) -> BaseException | None:
    """The interruption that an error is, wraps, or was raised in answer to; None if there is none.

    :param handled: :func:`handled_exception` from before the code that raised the error: an interruption that
        was caught before that is no news
    """
    queue, seen = [error], {id(handled), id(None)}
    while queue and len(seen) < MAX_CHAIN:
        candidate = queue.pop(0)
        if id(candidate) in seen:
            continue
        seen.add(id(candidate))
        # urllib3 gives its own errors the traceback of what they wrap.
        if type(candidate).__module__.partition(".")[0] not in _WRAPPERS and is_interruption(candidate):
            return candidate
        queue += _within(candidate)
    return None


def is_interruption(error: BaseException) -> bool:
    """Whether a signal handler raised an error: its traceback leads through the code of one."""
    handlers: set[CodeType] | None = None
    traceback = error.__traceback__
    while traceback is not None:
        handlers = _handlers() if handlers is None else handlers
        if traceback.tb_frame.f_code in handlers:
            return True
        traceback = traceback.tb_next
    return False


def pass_interruption(error: BaseException) -> None:
    """For the start of an ``except Exception`` block: raise the error again if it is an interruption."""
    if is_interruption(error):
        raise error


def _within(error: BaseException) -> list[Any]:
    """The errors that one was made of. Of botocore's and urllib3's, some only stand in their arguments."""
    fields = getattr(error, "kwargs", None)
    named = [fields.get("error")] if isinstance(fields, dict) else []
    found = [error.__cause__, error.__context__, getattr(error, "reason", None), *named, *error.args]
    return [item for item in found if isinstance(item, BaseException)]


def _handlers() -> set[CodeType]:
    codes = set()
    for number in signal.valid_signals():
        handler: Any = signal.getsignal(number)
        while hasattr(handler, "func"):  # functools.partial
            handler = handler.func
        if not hasattr(handler, "__code__"):  # an object that can be called
            handler = vars(type(handler)).get("__call__")
        code = getattr(handler, "__code__", None)
        if isinstance(code, CodeType):
            codes.add(code)
    return codes
