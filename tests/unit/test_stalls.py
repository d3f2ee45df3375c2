"""Reads that take too long: broken off in any thread, and in a process that was forked beside one."""

from __future__ import annotations

import contextlib
import http.server
import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import urllib3
from botocore.response import StreamingBody

from include.s3_xcom.s3 import stalls

LENGTH = 1000
SECONDS = 0.5
LATEST = SECONDS + stalls.LOOK_SECONDS + 2


class Trickle(http.server.BaseHTTPRequestHandler):
    """A byte now and then, so that no read meets the socket's own timeout."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(LENGTH))
        self.end_headers()
        if self.path == "/whole":
            self.wfile.write(bytes(LENGTH))
            return
        try:
            for _ in range(LENGTH):
                self.wfile.write(b"\0")
                time.sleep(0.05)
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trickle) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def read(url: str) -> tuple[bytes, float]:
    """What a read gives, and after how many seconds."""
    body = StreamingBody(urllib3.PoolManager().request("GET", url, preload_content=False), LENGTH)
    start = time.monotonic()
    try:
        return stalls.read(body, LENGTH, SECONDS), time.monotonic() - start
    except Exception:
        return b"", time.monotonic() - start


def is_broken_off(url: str) -> bool:
    data, seconds = read(url)
    return len(data) < LENGTH and SECONDS <= seconds < LATEST


def test_a_read_that_takes_too_long_is_broken_off(server):
    assert is_broken_off(server)
    assert is_broken_off(server)


def test_others_are_not(server):
    for _ in range(3):
        assert read(f"{server}/whole")[0] == bytes(LENGTH)
        time.sleep(stalls.LOOK_SECONDS)
    assert threading.active_count() < 20


def test_of_several_at_once_each_is(server):
    broken: list[bool] = []
    threads = [threading.Thread(target=lambda: broken.append(is_broken_off(server))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert read(f"{server}/whole")[0] == bytes(LENGTH)
    for thread in threads:
        thread.join()
    assert broken == [True] * 8


def test_one_thread_watches_whoever_came_first(server):
    stalls._watcher = None  # as in a new process
    before = set(threading.enumerate())
    threads = [threading.Thread(target=read, args=(f"{server}/whole",)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(2 * stalls.LOOK_SECONDS)
    watching = [thread for thread in set(threading.enumerate()) - before if "_watch" in thread.name]
    assert watching == [stalls._watcher]


def test_a_signal_handler_that_reads_as_well_stops_nothing():
    body = SimpleNamespace(read=bytes)
    handled = []

    def handle(*_: object) -> None:
        handled.append(stalls.read(body, 3, 10))

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    try:
        while len(handled) < 3000:
            assert stalls.read(body, 5, 10) == bytes(5)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert stalls._reading == {}


class InterruptionError(Exception):
    """What a handler raises, such as a task's timeout."""


def test_reads_that_are_interrupted_are_soon_forgotten():
    def interrupt(*_: object) -> None:
        raise InterruptionError

    body = SimpleNamespace(read=bytes)
    stalls.read(body, 1, SECONDS)  # starts the watcher
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for n in range(1000):
            with contextlib.suppress(InterruptionError):
                signal.setitimer(signal.ITIMER_REAL, 0.00002 + n % 50 * 0.000002)
                while True:
                    stalls.read(body, 1, SECONDS)
    finally:
        signal.signal(signal.SIGALRM, before)
    time.sleep(SECONDS + 2 * stalls.LOOK_SECONDS)
    assert stalls._reading == {}


def test_so_is_one_in_a_process_forked_while_others_read(server):
    other = threading.Thread(target=read, args=(server,))
    other.start()
    time.sleep(0.1)
    child = multiprocessing.get_context("fork").Process(target=lambda: exit(not is_broken_off(server)))
    child.start()
    child.join(30)
    child.kill()
    other.join()
    assert child.exitcode == 0
