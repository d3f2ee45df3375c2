"""A proxy before S3 that breaks things: connections, answers, bodies."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HEAD_END = b"\r\n\r\n"
TRICKLE_BYTES, TRICKLE_SECONDS = 100, 0.1
FOREVER = 10**9


@dataclass
class Exchange:
    """One request on its way, and the connection that it came by."""

    proxy: Proxy
    connection: socket.socket
    head: bytes
    length: int
    received: bytes

    def request(self) -> bytes:
        """The whole request."""
        while len(self.received) < self.length:
            self._receive()
        return self.head + self.received

    def half_of_request(self) -> None:
        while len(self.received) < self.length // 2:
            self._receive()

    def answer(self, request: bytes | None = None) -> tuple[bytes, bytes]:
        """What S3 answers: head and body."""
        return self.proxy.ask(request or self.request())

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def pass_over(self) -> None:
        """Pass a request that the fault does not concern."""
        self.proxy.take_back()
        _pass(self)

    def reset(self) -> None:
        """End the connection as a machine does that knows nothing of it."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _receive(self) -> None:
        data = self.connection.recv(65536)
        if not data:
            raise ConnectionError("the client is gone")
        self.received += data


Fault = Callable[[Exchange], None]


def _pass(exchange: Exchange) -> None:
    exchange.send(b"".join(exchange.answer()))


def _reset_sending(exchange: Exchange) -> None:
    exchange.half_of_request()
    exchange.reset()


def _reset_receiving(exchange: Exchange) -> None:
    head, body = exchange.answer()
    exchange.send(head + body[: len(body) // 2])
    time.sleep(0.05)  # a reset overtakes what is still on its way
    exchange.reset()


def _lose_answer(exchange: Exchange) -> None:
    exchange.answer()
    exchange.connection.close()


def _cut_short(exchange: Exchange) -> None:
    head, body = exchange.answer()
    exchange.send(head + body[: len(body) // 2])
    exchange.connection.close()


def _stall_before(exchange: Exchange) -> None:
    exchange.request()
    exchange.proxy.wait_for_end(exchange.connection)


def _stall_within(exchange: Exchange) -> None:
    head, body = exchange.answer()
    exchange.send(head + body[: len(body) // 2])
    exchange.proxy.wait_for_end(exchange.connection)


def _trickle(exchange: Exchange) -> None:
    head, body = exchange.answer()
    exchange.send(head)
    for i in range(0, len(body), TRICKLE_BYTES):
        exchange.send(body[i : i + TRICKLE_BYTES])
        time.sleep(TRICKLE_SECONDS)


def _flip(exchange: Exchange) -> None:
    """One bit of what is sent, or else of what is received."""
    request = exchange.request()
    if exchange.received:
        exchange.send(b"".join(exchange.answer(exchange.head + _flipped(exchange.received))))
    else:
        head, body = exchange.answer(request)
        exchange.send(head + _flipped(body))


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :] if data else data


def _other_bytes(request: bytes) -> tuple[bytes, bytes]:
    """A request for other bytes, and what it asks for; nothing where it asks for all.

    They are those just before, such as all of another block: as many, if there are so many.
    """
    found = re.search(rb"(?i)\r\nrange: *bytes=(\d+)-(\d+)", request)
    if found is None:
        return request, b""
    start, stop = int(found[1]), int(found[2])
    size = stop - start + 1
    other = start - size if start >= size else start + 1000
    wanted = b"%d-%d" % (start, stop)
    changed = b"\r\nRange: bytes=%d-%d" % (other, other + size - 1)
    return request.replace(found[0], changed, 1), wanted


def _ignore_range(exchange: Exchange) -> None:
    """The whole object, in chunks without a length, whatever is asked for."""
    request = exchange.request()
    whole = re.sub(rb"(?i)\r\nrange:[^\r]*", b"", request)
    if whole == request:
        return exchange.pass_over()
    head, body = exchange.answer(whole)
    head = re.sub(rb"(?i)\r\ncontent-length:[^\r]*", b"", head)
    exchange.send(head.replace(HEAD_END, b"\r\nTransfer-Encoding: chunked" + HEAD_END, 1))
    for start in range(0, len(body), 65536):
        chunk = body[start : start + 65536]
        exchange.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    return exchange.send(b"0\r\n\r\n")


def _change_range(exchange: Exchange) -> None:
    """Other bytes of the object, and a header that says which."""
    changed, wanted = _other_bytes(exchange.request())
    if not wanted:
        return exchange.pass_over()
    return exchange.send(b"".join(exchange.answer(changed)))


def _change_range_and_lie(exchange: Exchange) -> None:
    """Other bytes of the object, and a header that says that they are those that were asked for."""
    changed, wanted = _other_bytes(exchange.request())
    if not wanted:
        return exchange.pass_over()
    head, body = exchange.answer(changed)
    found = re.search(rb"(?i)\r\ncontent-range: *bytes (\d+-\d+)/", head)
    first, last = map(int, wanted.split(b"-"))
    if found is None or len(body) != last - first + 1:  # there were not so many
        return exchange.send(head + body)
    return exchange.send(head.replace(found[1], wanted, 1) + body)


def _refusal(status: int, code: str) -> Fault:
    """What S3 answers. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>Injected.</Message></Error>".encode()
    head = f"HTTP/1.1 {status} Injected\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}"

    def refuse(exchange: Exchange) -> None:
        is_head = exchange.request().startswith(b"HEAD ")
        exchange.send(head.encode() + HEAD_END + (b"" if is_head else body))

    return refuse


TRANSIENT: dict[str, Fault] = {
    "reset while a request is sent": _reset_sending,
    "reset in the middle of a body": _reset_receiving,
    "answer lost": _lose_answer,
    "body cut short": _cut_short,
    "stall before the answer": _stall_before,
    "stall in the middle of a body": _stall_within,
    "slow trickle": _trickle,
    "HTTP 500 InternalError": _refusal(500, "InternalError"),
    "HTTP 503 SlowDown": _refusal(503, "SlowDown"),
    "HTTP 429 TooManyRequests": _refusal(429, "TooManyRequests"),
}
"""Such as pass by themselves."""

BODY = {name for name in TRANSIENT if "body" in name or name == "slow trickle"}
"""Those of them that break the body of an answer."""

LASTING: dict[str, Fault] = {
    "HTTP 403 AccessDenied": _refusal(403, "AccessDenied"),
    "HTTP 400 ExpiredToken": _refusal(400, "ExpiredToken"),
    "HTTP 403 RequestTimeTooSkewed": _refusal(403, "RequestTimeTooSkewed"),
    "bit flipped on the way": _flip,
}
"""Such as somebody must put right."""


OF_RANGES: dict[str, Fault] = {
    "Range ignored: 200 in chunks, without a length": _ignore_range,
    "206 of other bytes, which says so": _change_range,
    "206 of other bytes, which says that they are right": _change_range_and_lie,
}
"""Such as strike requests for a range alone."""


class Proxy:
    """Passes requests on to a server on this machine, unless told to do worse.

    :param upstream: port of the server
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._fault: Fault = _pass
        self._times = 0
        self.injected = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = self._listen(0)
        self.port = self._listener.getsockname()[1]

    def close(self) -> None:
        self._disconnect()

    @contextlib.contextmanager
    def breaking(self, fault: Fault, times: int = FOREVER) -> Iterator[None]:
        """Inject a fault into the next requests.

        :param times: into how many
        """
        with self._lock:
            self._fault, self._times, self.injected = fault, times, 0
        try:
            yield
        finally:
            self._times = 0
            self._drop_connections()

    @contextlib.contextmanager
    def down(self, seconds: float) -> Iterator[None]:
        """Refuse connections for some time, and at most until the block ends."""
        self._disconnect()
        self.injected = 1
        over = threading.Event()

        def come_back() -> None:
            over.wait(seconds)
            self._listener = self._listen(self.port)

        thread = threading.Thread(target=come_back)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """The server's answer to a request: its head and its body."""
        with socket.create_connection(("127.0.0.1", self._upstream)) as server:
            server.sendall(request.replace(HEAD_END, b"\r\nConnection: close" + HEAD_END, 1))
            answer = b"".join(iter(lambda: server.recv(1 << 20), b""))
        head, _, body = answer.partition(HEAD_END)
        return re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head) + HEAD_END, body

    def wait_for_end(self, connection: socket.socket) -> None:
        """Say nothing more, until the client goes away or the fault is over."""
        with contextlib.suppress(OSError):
            connection.recv(1)

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = listener.accept()
                self._open.add(connection)
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while (exchange := self._next(connection)) is not None:
                self._take_fault()(exchange)
        self._open.discard(connection)

    def _next(self, connection: socket.socket) -> Exchange | None:
        received = b""
        while HEAD_END not in received:
            data = connection.recv(65536)
            if not data:
                return None
            received += data
        head, _, rest = received.partition(HEAD_END)
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if re.search(rb"(?i)\r\nexpect: *100-continue", head):
            connection.sendall(b"HTTP/1.1 100 Continue" + HEAD_END)
            head = re.sub(rb"(?i)\r\nexpect:[^\r]*", b"", head)
        return Exchange(self, connection, head + HEAD_END, int(length[1]) if length else 0, rest)

    def _take_fault(self) -> Fault:
        with self._lock:
            if self._times <= 0:
                return _pass
            self._times -= 1
            self.injected += 1
            return self._fault

    def take_back(self) -> None:
        """Let the fault that was taken strike another request."""
        with self._lock:
            self._times += 1
            self.injected -= 1

    def _disconnect(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop_connections()

    def _drop_connections(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
