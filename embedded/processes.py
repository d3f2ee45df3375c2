"""Processes that are started, waited for, and stopped with all their children."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

STOP_SECONDS = 10


class StartError(Exception):
    """A process did not come up."""


class Process:
    """A child in a process group of its own, which a Ctrl-C on the terminal does not reach.

    :param log: file for all it prints
    :param user: name of the system user to run as; None: this one
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        log: Path,
        user: str | None = None,
    ) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as stream:
            self._popen = subprocess.Popen(
                list(map(str, command)),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **as_user(user),
            )

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until it answers.

        :raises StartError: if it ends before that, or takes too long
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self._popen.poll() is not None:
                raise StartError(f"{self.name} ended with exit code {self._popen.returncode}.\n{self.tail()}")
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} did not answer within {seconds:.0f} s.\n{self.tail()}")
            time.sleep(0.1)

    def is_running(self) -> bool:
        return self._popen.poll() is None

    def tail(self, lines: int = 20) -> str:
        """The last lines it printed."""
        text = self._log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"The end of {self._log}:", *(f"  {line}" for line in text)])

    def stop(self, first: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, then make it; its descendants too, wherever they have moved."""
        descendants = []
        if self.is_running():
            # Airflow's tasks are in process groups of their own, so the group is not enough.
            with contextlib.suppress(psutil.NoSuchProcess):
                descendants = psutil.Process(self._popen.pid).children(recursive=True)
            self._popen.send_signal(first)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(STOP_SECONDS)
        for process in descendants:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()


def as_user(name: str | None) -> dict[str, Any]:
    """Options for subprocess to run as a system user; none for None."""
    return {"user": name, "group": name, "extra_groups": [], "cwd": "/"} if name else {}


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(port: int) -> bool:
    """Whether somebody listens on a TCP port of 127.0.0.1."""
    with socket.socket() as connection:
        connection.settimeout(1)
        return connection.connect_ex(("127.0.0.1", port)) == 0
