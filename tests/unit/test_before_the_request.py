"""Say what failed before S3 was asked: credentials, profiles, STS, proxies, settings of botocore."""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader

from include.s3_xcom.errors import SettingError, StorageError, XComError
from include.s3_xcom.s3 import client, database_note, setup
from include.s3_xcom.s3.errors import is_servers_own
from include.s3_xcom.s3.store import Store
from include.s3_xcom.settings import Settings
from tests.helpers.services import answering, write_endpoint

SECRET = "s3cr3t"
ROLE = "arn:aws:iam::000000000000:role/xcom"
KEYS = {"login": "AKIDKEY", "password": SECRET}
PROFILE_WITH_ROLE = f"[default]\nrole_arn = {ROLE}\nsource_profile = "
KEYS_OF_K = f"[profile k]\naws_access_key_id = a\naws_secret_access_key = {SECRET}\n"
WEB_IDENTITY = {"AWS_ROLE_ARN": ROLE, "AWS_ROLE_SESSION_NAME": "xcom"}
SSO = (
    "[default]\nsso_start_url = https://a.example/start\nsso_region = us-east-1\n"
    "sso_account_id = 1\nsso_role_name = r\n"
)
FIRST = json.dumps(
    {"Version": 1, "AccessKeyId": "AKIDKEY", "SecretAccessKey": SECRET, "SessionToken": SECRET}
)


_load_file = JSONFileLoader.load_file
_models = functools.lru_cache(maxsize=None)(lambda path: _load_file(JSONFileLoader(), path))


def load_file(loader: JSONFileLoader, path: str) -> Any:
    """Read a file of botocore's, those that it brings once."""
    return _models(path) if "site-packages" in path else _load_file(loader, path)


class World:
    """A machine with its files of AWS, its environment, and an Airflow connection."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, running: ExitStack, name: str) -> None:
        self.folder = folder
        self.name = name
        self.conn_id = ""
        self._monkeypatch = monkeypatch
        self._running = running
        self.s3 = self.answering(200)
        # A metadata service, and settings of the machine that the tests run on, are none of theirs.
        for variable in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(variable)
        # To read the model of S3 anew takes each test a fifth of a second.
        monkeypatch.setattr(JSONFileLoader, "load_file", load_file)
        self.set(
            AWS_CONFIG_FILE=str(folder / "config"),
            AWS_SHARED_CREDENTIALS_FILE=str(folder / "credentials"),
            AWS_DEFAULT_REGION="us-east-1",
            AWS_EC2_METADATA_DISABLED="true",
            AWS_MAX_ATTEMPTS="1",
            AWS_ENDPOINT_URL_S3=self.s3,
            HOME=str(folder),
        )

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)

    def answering(self, *answer: Any) -> str:
        return self._running.enter_context(answering(*answer))

    def config(self, text: str) -> None:
        (self.folder / "config").write_text(text)

    def process(self, body: str) -> None:
        path = self.folder / "process"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        self.config(f"[default]\ncredential_process = {path}\n")

    def service(self, name: str, url: str) -> None:
        write_endpoint(self.folder, name, url)
        self.set(AWS_DATA_PATH=str(self.folder))

    def sts(self, status: int, code: str, message: str = "said STS") -> None:
        error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        self.service("sts", self.answering(status, f"<ErrorResponse>{error}</ErrorResponse>"))

    def sso_token(self) -> None:
        folder = self.folder / ".aws/sso/cache"
        folder.mkdir(parents=True)
        token = {"accessToken": SECRET, "expiresAt": "2099-01-01T00:00:00Z"}
        name = hashlib.sha1(b"https://a.example/start", usedforsecurity=False).hexdigest()
        (folder / f"{name}.json").write_text(json.dumps(token))

    def connect(self, login: str = "", password: str = "", **extra: Any) -> None:
        self.conn_id = "aws_" + hashlib.sha1(self.name.encode(), usedforsecurity=False).hexdigest()
        extra = {"endpoint_url": self.s3, "region_name": "us-east-1", **extra}
        connection = {"conn_type": "aws", "login": login, "password": password, "extra": json.dumps(extra)}
        self.set(**{f"AIRFLOW_CONN_{self.conn_id.upper()}": json.dumps(connection)})

    def store(self) -> Store:
        return Store(Settings("b", conn_id=self.conn_id, max_attempts=1))


@pytest.fixture
def world(tmp_path, monkeypatch, request) -> Iterator[World]:
    monkeypatch.setattr(client, "_clients", {})  # those of other tests were made from other files
    with ExitStack() as running:
        yield World(tmp_path, monkeypatch, running, request.node.nodeid)


def told(world: World, kind: type[XComError]) -> str:
    """Return the message. Neither it nor its traceback has a secret."""
    with pytest.raises(kind) as raised:
        world.store().head("k")
    text = "".join(traceback.format_exception(type(raised.value), raised.value, raised.value.__traceback__))
    assert SECRET not in text
    message = str(raised.value)
    assert message.startswith("Cannot look up s3://b/k: ")
    return message.replace(world.conn_id or "aws environment", "CONNECTION")


def assert_told(world: World, kind: type[XComError], *phrases: str) -> None:
    message = told(world, kind)
    for phrase in phrases:
        assert phrase in message, message


@pytest.mark.parametrize(
    "body",
    [
        f"echo {SECRET} >&2; exit 1",
        f"printf '\\377{SECRET}' >&2; exit 1",
        f"echo {SECRET}",
        "true",
        f"echo '[\"{SECRET}\"]'",
        f'echo \'{{"Version": "{SECRET}"}}\'',
        f'echo \'{{"Version": 1, "AccessKeyId": "{SECRET}"}}\'',
        "echo '" + FIRST.replace("}", f', "Expiration": "{SECRET}"}}') + "'",
    ],
    ids=["fails", "not UTF-8", "no JSON", "nothing", "a list", "version", "half", "no date"],
)
def test_a_credential_process_is_named_and_not_quoted(world, body, caplog):
    caplog.set_level(logging.DEBUG)
    world.process(body)
    assert_told(world, SettingError, "`credential_process` of the AWS profile failed", "Run it as the user")
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "command",
    [f"/no/such --password {SECRET}", f'"/no/such --password {SECRET}"', f"/no/such '{SECRET}", " "],
    ids=["no program", "one word", "no end of a quotation", "empty"],
)
def test_a_credential_process_that_cannot_be_started_is_named(world, command):
    world.config(f"[default]\ncredential_process = {command}\n")
    assert_told(world, SettingError, "`credential_process` of the AWS profile failed")


EXPIRING = """
n=$(cat {counter} 2>/dev/null || echo 0)
echo $((n + 1)) > {counter}
test $n -lt 2 || {{ echo {secret} >&2; exit 1; }}
echo '{first}'
"""


@pytest.mark.parametrize("logger", ["botocore.credentials", ""], ids=["its logger", "all"])
def test_a_credential_process_that_fails_later_is_named_and_not_logged(world, caplog, tmp_path, logger):
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5)
    first = FIRST.replace("}", f', "Expiration": "{soon.isoformat()}"}}')
    world.process(EXPIRING.format(counter=tmp_path / "counter", secret=SECRET, first=first))
    caplog.set_level(logging.DEBUG, logger)
    assert world.store().head("k")
    assert_told(world, SettingError, "`credential_process` of the AWS profile failed")
    assert "Refreshing temporary credentials failed" in caplog.text
    assert SECRET not in caplog.text


def test_credentials_that_are_renewed_in_vain_are_told(world):
    expired = FIRST.replace("}", ', "Expiration": "2001-01-01T00:00:00Z"}')
    world.process(f"echo '{expired}'")
    assert_told(world, SettingError, "the credentials have expired, also those", "clock")


@pytest.mark.parametrize(
    ("config", "phrases"),
    [
        (PROFILE_WITH_ROLE + "nobody\n", ("an AWS profile makes no sense", '"nobody"', "~/.aws/config")),
        (PROFILE_WITH_ROLE + "other\n[profile other]\nregion = x\n", ('source profile "other"',)),
        (PROFILE_WITH_ROLE + "default\ncredential_source = Environment\n", ("both source_profile",)),
        ("[default]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n", ('not exist: "s"',)),
        (SSO.replace("sso_region", "other"), ("missing required configuration: sso_region",)),
        (f"{SECRET}\n", ("an AWS profile makes no sense", "Unable to parse config file: ")),
        (f"[default]\ncredential_source = Environment\nrole_arn = {ROLE}\n", ("from Environment",)),
        (SSO, ("there is no login with AWS", "aws sso login", "https://a.example/start does not exist")),
        (
            PROFILE_WITH_ROLE + f"k\nmfa_serial = {ROLE}\n{KEYS_OF_K}",
            ("asks for a code (MFA)", "mfa_serial"),
        ),
        (f"[default]\ns3 =\n  addressing_style = {ROLE}\n", ("no client for S3 can be made", ROLE)),
    ],
    ids=[
        "no source",
        "source without keys",
        "two sources",
        "no session",
        "half of SSO",
        "no config",
        "empty environment",
        "no login",
        "MFA",
        "addressing style",
    ],
)
@pytest.mark.filterwarnings("ignore::getpass.GetPassWarning")
def test_a_profile_of_no_use_is_told(world, config, phrases, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)  # as in a task
    world.config(config)
    assert_told(world, SettingError, *phrases)


def test_a_profile_that_is_not_there_is_named(world):
    world.connect(profile_name="nobody")
    assert_told(
        world, SettingError, "no such AWS profile", "(nobody)", "profile_name in the Airflow connection"
    )


def test_a_profile_of_the_environment_that_is_not_there_is_named(world):
    world.set(AWS_PROFILE="nobody")
    assert_told(world, SettingError, "no such AWS profile", "(nobody)", "AWS_PROFILE")


@pytest.mark.parametrize("status", [401, 403])
def test_a_login_that_is_worth_nothing_is_told(world, status):
    world.config(SSO)
    world.sso_token()
    kind = {401: "UnauthorizedException", 403: "ForbiddenException"}[status]
    body = json.dumps({"__type": kind, "message": "no"})
    world.service("sso", world.answering(status, body, "application/json"))
    assert "aws sso login" in told(world, XComError)


def test_half_of_the_credentials_is_not_taken_for_none(world):
    (world.folder / "credentials").write_text("[default]\naws_access_key_id = a\n")
    assert_told(world, SettingError, "some of the credentials are missing", "aws_secret_access_key")


@pytest.mark.parametrize("content", [None, ""], ids=["no file", "empty"])
def test_a_web_identity_token_that_is_missing_is_told(world, content):
    path = world.folder / "token"
    if content is not None:
        path.write_text(content)
    world.set(AWS_WEB_IDENTITY_TOKEN_FILE=str(path), **WEB_IDENTITY)
    assert_told(world, SettingError, "web identity token file", str(path) if content is None else "")


@pytest.mark.parametrize(
    ("answer", "phrases"),
    [
        ((404, SECRET), ("container-role",)),
        ((200, SECRET), ("container-role",)),
        ((200, f'["{SECRET}"]'), ("cannot be fetched",)),
        ((200, f'{{"AccessKeyId": "{SECRET}"}}'), ("cannot be fetched",)),
    ],
    ids=["refused", "no JSON", "a list", "half"],
)
def test_a_container_without_credentials_is_told(world, answer, phrases):
    world.set(AWS_CONTAINER_CREDENTIALS_FULL_URI=world.answering(*answer))
    assert_told(world, SettingError, *phrases, "role of this machine or container")


WHO = f"User: arn:aws:iam::1:user/me is not authorized to perform: sts:AssumeRole on resource: {ROLE}"


@pytest.mark.parametrize(
    ("status", "code", "message", "phrases"),
    [
        (
            403,
            "AccessDenied",
            WHO,
            (f"STS refused to assume the role {ROLE} (AccessDenied", WHO, "trust policy"),
        ),
        (403, "InvalidClientTokenId", SECRET, ("STS does not accept the access keys", ROLE)),
        (403, "SignatureDoesNotMatch", SECRET, ("STS does not accept the access keys", ROLE)),
        (403, "ExpiredToken", SECRET, ("STS says that the credentials have expired", "clock")),
        (400, "ValidationError", SECRET, ("STS answered ValidationError", ROLE, "assume_role_kwargs")),
        (404, "NoSuchKey", SECRET, ("STS answered NoSuchKey", ROLE)),
        (404, "NoSuchBucket", SECRET, ("STS answered NoSuchBucket", ROLE)),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isalpha() else "",
)
def test_what_sts_answers_is_not_taken_for_an_answer_of_s3(world, status, code, message, phrases):
    world.connect(role_arn=ROLE, **KEYS)
    world.sts(status, code, message)
    assert_told(world, StorageError, *phrases, "Airflow connection 'CONNECTION'")


def test_a_role_of_a_profile_that_sts_refuses_is_told(world):
    world.config(PROFILE_WITH_ROLE + f"k\n{KEYS_OF_K}")
    world.sts(403, "AccessDenied", WHO)
    assert_told(world, StorageError, "STS refused to assume the role", ROLE, "sts:AssumeRole")


def test_a_web_identity_that_sts_refuses_is_told(world):
    (world.folder / "token").write_text(SECRET)
    world.set(AWS_WEB_IDENTITY_TOKEN_FILE=str(world.folder / "token"), **WEB_IDENTITY)
    world.sts(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    assert_told(
        world, StorageError, f"STS refused to assume the role {ROLE}", "sts:AssumeRoleWithWebIdentity."
    )


def test_an_answer_of_sts_is_no_answer_about_the_bucket(world):
    """S3 was not asked, so nobody knows whether the bucket, or the object, is there."""
    world.config(PROFILE_WITH_ROLE + f"k\n{KEYS_OF_K}")
    world.sts(404, "NoSuchKey")
    store = world.store()
    with pytest.raises(store.client.exceptions.ClientError):
        database_note.read(store.client, store.settings)
    assert not setup.is_missing(store.client, store.settings)


@pytest.mark.parametrize("kwargs", [{"ExternalId": [SECRET]}, {"Other": SECRET}], ids=["type", "name"])
def test_a_request_for_a_role_that_cannot_be_made_is_told(world, kwargs):
    world.connect(role_arn=ROLE, assume_role_kwargs=kwargs, **KEYS)
    assert_told(world, SettingError, next(iter(kwargs)), "assume_role_kwargs", "'CONNECTION'")


@pytest.mark.parametrize("answer", [None, (200, f"<html>{SECRET}", "text/html")], ids=["none", "another's"])
def test_sts_that_is_not_there_is_not_taken_for_s3(world, answer):
    world.connect(role_arn=ROLE, **KEYS)
    world.service("sts", world.answering(*answer) if answer else "http://127.0.0.1:1")
    assert_told(
        world, StorageError, "the service that gives the credentials", "" if answer else "127.0.0.1:1"
    )


def test_secrets_that_sts_gives_are_in_no_log(world, caplog):
    caplog.set_level(logging.DEBUG)
    credentials = (
        f"<Credentials><AccessKeyId>AKID</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>"
        f"<SessionToken>{SECRET}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
    )
    result = f"<AssumeRoleResponse><AssumeRoleResult>{credentials}</AssumeRoleResult></AssumeRoleResponse>"
    world.connect(role_arn=ROLE, **KEYS)
    world.service("sts", world.answering(200, result))
    assert world.store().head("k")
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("extra", "phrases"),
    [
        ({"region_name": "no region"}, ("InvalidRegionError", "no region", "region_name")),
        ({"region_name": 5}, ("region_name",)),
        ({"endpoint_url": "127.0.0.1:9000"}, ("127.0.0.1:9000", "endpoint_url")),
        ({"endpoint_url": "ftp://host"}, ("ftp://host", "endpoint_url")),
        ({"endpoint_url": "http://host:port"}, ("http://host:port", "endpoint_url")),
        ({"endpoint_url": f"user:{SECRET}@host"}, ("@host", "endpoint_url")),
        ({"endpoint_url": f"http://user:{SECRET}@no host"}, ("@no host", "endpoint_url")),
        ({"endpoint_url": "https://127.0.0.1:1", "verify": 5}, ("`verify`",)),
        ({"config_kwargs": {"other": 1}}, ("'other'", "`config_kwargs`")),
        ({"config_kwargs": "text"}, ("`config_kwargs`",)),
        ({"config_kwargs": {"retries": {"mode": "other"}}}, ("InvalidRetryModeError", '"other"')),
        ({"config_kwargs": {"retries": 5}}, ("`config_kwargs`",)),
        ({"config_kwargs": {"signature_version": "other"}}, ("UnknownSignatureVersionError", "other")),
        ({"config_kwargs": {"signature_version": 5}}, ("`config_kwargs`",)),
        ({"config_kwargs": {"s3": {"addressing_style": "other"}}}, ("InvalidS3AddressingStyleError",)),
        ({"config_kwargs": {"connect_timeout": "5"}}, ("connect was 5", "`config_kwargs`")),
        ({"config_kwargs": {"max_pool_connections": "5"}}, ("`config_kwargs`",)),
        ({"config_kwargs": {"defaults_mode": "other"}}, ("InvalidDefaultsMode", "other")),
        ({"config_kwargs": {"proxies": f"http://user:{SECRET}@host"}}, ("`config_kwargs`",)),
        ({"config_kwargs": {"proxies": {"http": 5}}}, ("`config_kwargs`",)),
        ({"config_kwargs": {"proxies": {"http": f"http://user:{SECRET}@host:port"}}}, ("proxies",)),
        ({"role_arn": ROLE, "assume_role_method": "other"}, ("assume_role_method='other'",)),
        ({"aws_session_token": f"{SECRET}\n"}, ("line breaks in its keys and its token",)),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
def test_a_connection_that_botocore_cannot_use_is_told(world, extra, phrases):
    world.connect(**KEYS, **extra)
    assert_told(world, SettingError, *phrases, "Airflow connection 'CONNECTION'")


def test_an_endpoint_with_a_password_is_told_without_it(world):
    world.connect(**KEYS, endpoint_url=f"http://user:{SECRET}@127.0.0.1:1")
    assert_told(world, StorageError, "S3 cannot be reached")


def test_a_proxy_that_is_down_is_named_without_its_password(world):
    world.set(HTTP_PROXY=f"http://user:{SECRET}@127.0.0.1:1", http_proxy="http://127.0.0.1:1", NO_PROXY="")
    world.connect(**KEYS, endpoint_url="http://s3.example")
    assert_told(world, StorageError, "the proxy 127.0.0.1:1 cannot be reached", "HTTP_PROXY", "`proxies`")


@pytest.mark.parametrize("endpoint", ["http://s3.example", "https://s3.example"])
@pytest.mark.parametrize("body", ["", "<html>no</html>"], ids=["empty", "a page"])
def test_a_proxy_that_wants_a_password_is_named_without_it(world, endpoint, body):
    url = world.answering(407, body, "text/html")
    proxy = url.replace("//", f"//user:{SECRET}@")
    world.connect(**KEYS, endpoint_url=endpoint, config_kwargs={"proxies": {"http": proxy, "https": proxy}})
    assert_told(world, StorageError, f"the proxy {url[7:]} wants a user and a password", "(407)", "`proxies`")


def test_a_refusal_of_the_proxy_is_none_of_s3(world):
    """Another request, such as one without a checksum, would fare no better."""
    world.connect(**KEYS, config_kwargs={"proxies": {"http": world.answering(407)}})
    with pytest.raises(StorageError) as raised:
        world.store().head("k")
    assert not is_servers_own(raised.value)


def test_a_proxy_that_lets_nothing_through_is_named(world):
    url = world.answering(403)
    proxies = {"https": url.replace("//", f"//user:{SECRET}@")}
    world.connect(**KEYS, endpoint_url="https://s3.example", config_kwargs={"proxies": proxies})
    assert_told(world, StorageError, f"the proxy {url[7:]} cannot be reached, or lets nothing through (403)")


def test_a_proxy_on_the_way_to_sts_is_named(world):
    world.connect(role_arn=ROLE, **KEYS, config_kwargs={"proxies": {"https": "http://127.0.0.1:1"}})
    assert_told(world, StorageError, "the proxy 127.0.0.1:1 cannot be reached")
