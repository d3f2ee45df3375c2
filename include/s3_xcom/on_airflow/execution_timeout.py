"""A task's ``execution_timeout``, applied to work on a result after the task's body has returned it.

Airflow starts a timer for the body and stops it before it pushes the result. A result that is made while it
is pushed, such as ``batches(chunks)``, notes the timer when the body makes it::

    with timeout(60):                Airflow: a timer of 60 s
        return batches(chunks())     ExecutionTimeout.running(): 58 s are left, Airflow's handler ends it
    XCom.set(...)                    applied(): next(chunks) gets a timer of what is left of the 58 s
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

from include.s3_xcom.interruptions import Handler, alarm
from include.s3_xcom.on_airflow.releases import release


class ExecutionTimeout:
    """The timeout of this process's task.

    :param ends: its end, in seconds of :func:`time.monotonic`
    :param handler: raises what Airflow raises
    """

    def __init__(self, ends: float, handler: Handler) -> None:
        self._ends = ends
        self._handler = handler
        self._is_over = False

    @classmethod
    def running(cls) -> ExecutionTimeout | None:
        """Return the timeout whose timer is set now; None if there is none."""
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        handler = signal.getsignal(signal.SIGALRM)
        timer = getattr(handler, "__self__", None)
        if not left or not type(timer).__module__.startswith("airflow."):
            return None
        limit = getattr(release.current_task(), "execution_timeout", None)
        # The body may itself use a timer of Airflow's class for some of its work.
        is_tasks = limit is not None and (timer.seconds == limit.total_seconds() or release.is_resumed())
        return cls(time.monotonic() + left, handler) if is_tasks else None

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """End the block when the timeout is over, once, as Airflow does.

        :raises AirflowTaskTimeout: if it is over
        """
        runs_still = signal.getitimer(signal.ITIMER_REAL)[0] > 0  # the push is within the body
        if self._is_over or runs_still:
            yield
            return
        left = self._ends - time.monotonic()
        if left <= 0:
            self._end(signal.SIGALRM, None)
        in_main_thread = threading.current_thread() is threading.main_thread()
        with alarm(left, self._end) if in_main_thread else contextlib.nullcontext():
            yield

    def _end(self, number: int, frame: Any) -> None:
        self._is_over = True  # the task may catch it and go on
        self._handler(number, frame)
