"""Endpoints with TLS: what is trusted, what is not, and what people are told."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from embedded.localstack import LOGIN
from include.s3_xcom.errors import SettingError, StorageError, XComError
from tests.helpers.certificates import make_certificate


@contextlib.contextmanager
def tls_in_front_of(port: int, certificate: Path) -> Iterator[int]:
    """A port that speaks TLS and passes on to another one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            inner = context.wrap_socket(connection, server_side=True)
            server = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=pump, args=[server, inner], daemon=True).start()
            pump(inner, server)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


@pytest.fixture
def connect(stack, monkeypatch) -> Callable[..., None]:
    """Points the backend at an endpoint, with a connection's extra."""

    def set_connection(url: str, **extra) -> None:
        name = f"tls_{len(names)}"
        names.append(name)
        fields = {"endpoint_url": url, "region_name": "us-east-1", **extra}
        connection = {"conn_type": "aws", "login": LOGIN, "password": LOGIN, "extra": fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW__S3_XCOM__CONN_ID", name)
        monkeypatch.setenv("AIRFLOW__S3_XCOM__MAX_ATTEMPTS", "1")

    return set_connection


names: list[str] = []


@pytest.fixture
def endpoint(stack, tmp_path) -> Iterator[tuple[str, Path]]:
    certificate = make_certificate(tmp_path, "authority")
    with tls_in_front_of(stack.s3.port, certificate) as port:
        yield f"https://127.0.0.1:{port}", certificate


def test_a_certificate_that_is_not_trusted_is_named(task, connect, endpoint):
    connect(endpoint[0])
    with pytest.raises(StorageError) as raised:
        task.push([1])
    message = str(raised.value)
    assert "the certificate of the endpoint is not trusted (self" in message
    for word in (
        "`verify`",
        "AWS_CA_BUNDLE",
        f"Airflow connection {names[-1]!r}",
        "a dag.task",
        "s3://xcom/",
    ):
        assert word in message
    assert "whether it answers" not in message


def test_an_expired_certificate_is_named(task, connect, stack, tmp_path):
    certificate = make_certificate(tmp_path, "old", days=-1)
    with tls_in_front_of(stack.s3.port, certificate) as port:
        connect(f"https://127.0.0.1:{port}", verify=str(certificate))
        with pytest.raises(StorageError, match=r"is not trusted \(certificate has expired\)"):
            task.push([1])


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("verify", [False, "false", "False", " no ", "0"])
def test_the_check_can_be_switched_off_in_words_too(task, connect, endpoint, verify):
    connect(endpoint[0], verify=verify)
    task.push([1])
    assert task.pull() == [1]


def test_a_bundle_can_be_named_in_the_connection_or_by_the_environment(task, connect, endpoint, monkeypatch):
    connect(endpoint[0], verify=str(endpoint[1]))
    task.push([1])
    for verify in ({}, {"verify": True}, {"verify": "true"}, {"verify": ""}):
        connect(endpoint[0], **verify)
        with pytest.raises(XComError):
            task.pull()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(endpoint[1]))
    connect(endpoint[0])
    assert task.pull() == [1]


@pytest.mark.parametrize("content", [None, "", "no certificate"], ids=["no file", "empty", "no certificate"])
@pytest.mark.parametrize("by_environment", [False, True], ids=["in the connection", "by the environment"])
def test_a_bundle_that_is_none_is_named(
    task, connect, endpoint, tmp_path, monkeypatch, content, by_environment
):
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content)
    if by_environment:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
        connect(endpoint[0])
    else:
        connect(endpoint[0], verify=str(path))
    with pytest.raises(SettingError, match="the file with trusted certificates cannot be read") as raised:
        task.push([1])
    assert "`verify`" in str(raised.value)
    assert "AWS_CA_BUNDLE" in str(raised.value)


def test_an_endpoint_without_tls_is_told_apart(task, connect, stack):
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    threading.Thread(target=answer, daemon=True).start()
    connect(f"https://127.0.0.1:{listener.getsockname()[1]}")
    with pytest.raises(StorageError, match="http:// or https://"):
        task.push([1])
    listener.close()
