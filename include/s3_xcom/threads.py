"""Threads for work that nobody has to wait for, in a process that can have them."""

from __future__ import annotations

import threading
from collections.abc import Callable


def start(work: Callable[[], object]) -> threading.Thread | None:
    """Start a daemon thread: at its end, the process does not wait for the network.

    :return: None if this process can have no more threads, because of a limit or because it ends: then the
        caller does the work itself
    """
    thread = threading.Thread(target=work, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread
