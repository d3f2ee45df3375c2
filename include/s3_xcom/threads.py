"""Threads for work that nobody has to wait for, in a process that can have them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


def start(work: Callable[[], object]) -> threading.Thread | None:
    """Start a daemon thread, so that the process does not wait for the network when it ends.

    :return: None if this process can start no more threads, because of a limit or because it ends: then the
        caller does the work itself
    """
    thread = threading.Thread(target=work, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


_enough = 0
"""Threads that this process could have at once when it last tried."""


def are_enough(count: int) -> bool:
    """Return whether this process can have so many threads at once.

    Some libraries end the process if it cannot, such as pyarrow (11), or wait for ever (25).
    """
    global _enough
    if _enough < count:
        over = threading.Event()
        started = [start(over.wait) for _ in range(count)]
        over.set()
        for thread in filter(None, started):
            thread.join()
        _enough = count if all(started) else 0
    return _enough >= count


def _forget() -> None:
    global _enough
    _enough = 0


os.register_at_fork(after_in_child=_forget)  # a forked process has none of its parent's threads
