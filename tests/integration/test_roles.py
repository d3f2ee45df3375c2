"""Which credentials sign the requests to S3: access keys, a role of the machine, or an assumed one."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from embedded.localstack import LocalStack
from include.s3_xcom.s3.store import Store
from tests.helpers.services import write_endpoint
from tests.servers import running

ROLE = "arn:aws:iam::000000000000:role/xcom"


@pytest.fixture(scope="module")
def aws(tmp_path_factory) -> Iterator[LocalStack]:
    """S3, and the service that hands out roles."""
    with running(LocalStack(tmp_path_factory.mktemp("aws"), services="s3,sts")) as server:
        yield server


@pytest.fixture(autouse=True)
def sts(aws, tmp_path, monkeypatch) -> None:
    """Has botocore find the service in LocalStack. The connection's endpoint is that of S3 alone."""
    write_endpoint(tmp_path, "sts", aws.url)
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))


@pytest.fixture
def connect(aws, monkeypatch, request) -> Callable[..., None]:
    """Make the connection of the backend, with this endpoint."""

    def make(login: str = "", password: str = "", **extra: Any) -> None:
        conn_id = request.node.name
        extra = {"region_name": "us-east-1", "endpoint_url": aws.url, **extra}
        connection = {"conn_type": "aws", "login": login, "password": password, "extra": json.dumps(extra)}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW__S3_XCOM__CONN_ID", conn_id)

    return make


@pytest.fixture
def signed(task) -> Callable[[], set[str]]:
    """Push and pull; the access keys that the requests were signed with."""

    def use() -> set[str]:
        keys: set[str] = set()
        events = Store.configured().client.meta.events

        def note(request: Any, **_: Any) -> None:
            header = request.headers["Authorization"]
            text = header.decode() if isinstance(header, bytes) else header
            keys.update(re.findall(r"Credential=(\w+)/", text))

        events.register("before-send.s3", note)
        task.push({"a": 1})
        assert task.pull() == {"a": 1}
        return keys

    return use


@pytest.fixture
def machine(monkeypatch) -> Iterator[list[str]]:
    """The metadata service of an instance that has a role; the paths it was asked for.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
    """
    asked: list[str] = []
    roles = "/latest/meta-data/iam/security-credentials/"
    credentials = {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": "INSTANCE0KEY",
        "SecretAccessKey": "secret",
        "Token": "token",
        "Expiration": "2099-01-01T00:00:00Z",
    }
    answers = {
        ("PUT", "/latest/api/token"): "a token",
        ("GET", roles): "xcom",
        ("GET", f"{roles}xcom"): json.dumps(credentials),
    }

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            asked.append(self.path)
            text = answers.get((self.command, self.path))
            self.send_response(404 if text is None else 200)
            self.end_headers()
            self.wfile.write((text or "").encode())

        do_GET = do_PUT = _answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
        yield asked
        server.shutdown()


def test_access_keys_are_those_of_the_connection(connect, signed):
    connect("CONNECTION0KEY", "secret")
    assert signed() == {"CONNECTION0KEY"}


def test_without_keys_it_is_the_role_of_the_machine(connect, signed, machine):
    connect()
    assert signed() == {"INSTANCE0KEY"}
    assert machine[-1].endswith("/security-credentials/xcom")


def test_a_role_in_the_connection_is_assumed(connect, signed):
    connect("CONNECTION0KEY", "secret", role_arn=ROLE)
    (key,) = signed()
    assert key != "CONNECTION0KEY"
    assert who_is_it() == "arn:aws:sts::000000000000:assumed-role/xcom"


def test_the_machine_assumes_another_role(connect, signed, machine):
    connect(role_arn=ROLE)
    (key,) = signed()
    assert key != "INSTANCE0KEY"
    assert machine
    assert who_is_it() == "arn:aws:sts::000000000000:assumed-role/xcom"


def who_is_it() -> str:
    """What AWS calls the client, without the name of its session."""
    import boto3

    s3 = Store.configured().client
    credentials = s3._request_signer._credentials.get_frozen_credentials()
    sts = boto3.client(
        "sts",
        endpoint_url=s3.meta.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.token,
    )
    return sts.get_caller_identity()["Arn"].rpartition("/")[0]
