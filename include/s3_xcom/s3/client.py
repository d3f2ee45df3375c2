"""The S3 client of this process."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import logging
import os
import random
import threading
from typing import TYPE_CHECKING, Any

from include.s3_xcom.interruptions import heard, raise_remembered
from include.s3_xcom.on_airflow.connection import find_access
from include.s3_xcom.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.config import Config

MAX_BACKOFF_SECONDS = 20

HASTY_CONNECT_SECONDS, HASTY_READ_SECONDS = 1, 2
"""Seconds to connect, and to read, of hasty requests, which make only one attempt."""

SENT_AT_ONCE_BYTES = 1024 * 1024
"""Bytes up to which a body is sent with its headers, without asking S3 first, which costs a round trip."""

_MORE_CONNECTIONS = 2
"""Extra connections for the requests that start and finish a multipart upload."""

_LOUD_LOGGERS = (
    "botocore.auth",
    "botocore.endpoint",
    "botocore.httpsession",
    "botocore.parsers",
    "botocore.utils",
)
"""Loggers that at level DEBUG show whole requests and answers: session tokens, secret keys, and content."""

_REFRESHING_LOGGERS = ("botocore.credentials", "botocore.tokens")
"""Loggers that at level WARNING show tracebacks of errors, which :mod:`.errors` words without secrets."""

_WITH_MD5 = (
    "DeleteObjects",
    "PutBucketEncryption",
    "PutBucketLifecycleConfiguration",
    "PutPublicAccessBlock",
)

_clients: dict[tuple[Any, ...], BaseClient] = {}
_lock = threading.Lock()


def get_client(settings: Settings, *, hasty: bool = False) -> BaseClient:
    """Return the S3 client of this process, made with the credentials of the Airflow connection.

    :param hasty: for a client that gives up after one attempt of a few seconds
    :raises SettingError: if there is no such connection
    """
    # A forked process must not share its parent's sockets, so the process id is part of the key.
    timeouts = settings.max_attempts, settings.connect_timeout, settings.read_timeout
    identity = os.getpid(), settings.conn_id, *timeouts, settings.transfer_connections, hasty
    client = _clients.get(identity)
    if client is None:
        with heard():  # it reads files and may ask other services
            client = _new_client(settings, hasty)
        with _lock:
            for other in [key for key in _clients if key[:-1] != identity[:-1]]:
                del _clients[other]
            client = _clients.setdefault(identity, client)
    return client


def _new_client(settings: Settings, hasty: bool) -> BaseClient:
    from botocore.config import Config
    from botocore.handlers import set_list_objects_encoding_type_url

    for name in _LOUD_LOGGERS:
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(logging.INFO)
    for name in _REFRESHING_LOGGERS:
        logging.getLogger(name).addFilter(_without_traceback)
    access = find_access(settings.conn_id)
    ours = _config(settings.max_attempts, settings.connect_timeout, settings.read_timeout)
    at_once = Config(max_pool_connections=settings.transfer_connections + _MORE_CONNECTIONS)
    config = ours.merge(at_once).merge(access.config or Config())  # the connection's settings take precedence
    if hasty:
        config = config.merge(_config(1, HASTY_CONNECT_SECONDS, HASTY_READ_SECONDS))
    client = access.session.client(
        "s3", endpoint_url=access.endpoint_url, config=config, verify=access.verify
    )
    events = client.meta.events
    events.register_first("before-call.s3", lambda **_: raise_remembered())
    events.register_first("needs-retry.s3", _raise_interruption)
    events.register("before-send.s3", _send_small_at_once)
    events.register("needs-retry.s3", functools.partial(_wait_if_throttled, settings.max_attempts))
    for operation in _WITH_MD5:
        events.register(f"before-call.s3.{operation}", _add_md5)
    # botocore asks for encoded keys in listings; see listings for why we do not.
    events.unregister("before-parameter-build.s3.ListObjectsV2", set_list_objects_encoding_type_url)
    return client


def _without_traceback(record: logging.LogRecord) -> bool:
    """Remove the traceback of a record: it may end with the output of a credential process."""
    record.exc_info = None
    return True


def _config(max_attempts: int, connect_timeout: float, read_timeout: float) -> Config:
    from botocore.config import Config

    return Config(
        retries={"mode": "standard", "total_max_attempts": max_attempts},
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
    )


def _add_md5(params: dict[str, Any], **_: Any) -> None:
    """Add Content-MD5, without which MinIO and others refuse these requests; botocore adds it until 1.35."""
    body = params["body"] if isinstance(params["body"], bytes) else params["body"].encode()
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    params["headers"].setdefault("Content-MD5", md5)


def _send_small_at_once(request: Any, **_: Any) -> None:
    """Send a small body with its headers: botocore would first wait for 100 Continue."""
    body = request.body
    # The header tells the size; getbuffer() would make a copy of the body.
    if isinstance(body, io.BytesIO) and int(request.headers["Content-Length"]) <= SENT_AT_ONCE_BYTES:
        request.body = body.getvalue()
        del request.headers["Expect"]  # this header is not signed


def _raise_interruption(caught_exception: BaseException | None = None, **_: Any) -> None:
    """Raise what a signal handler or a thread raised into a request, which botocore would send again."""
    raise_remembered()
    inner = None if caught_exception is None else foreign_error(caught_exception)
    if inner is not None:
        raise inner


def foreign_error(error: BaseException) -> BaseException | None:
    """Return the error within botocore's HTTPClientError if it is not one of the network; otherwise None."""
    from http.client import HTTPException

    from botocore.exceptions import HTTPClientError
    from urllib3.exceptions import HTTPError

    if type(error) is not HTTPClientError:
        return None
    inner = error.kwargs.get("error")
    is_foreign = isinstance(inner, BaseException) and not isinstance(
        inner, (OSError, HTTPException, HTTPError, ValueError, HTTPClientError)
    )
    return inner if is_foreign else None


def _wait_if_throttled(max_attempts: int, response: Any, attempts: int, **_: Any) -> float | None:
    """Return the seconds to wait after HTTP 429; None for other answers.

    S3-compatible servers send it, and botocore does not retry it (1.29.105): without this, one such answer
    fails a push.
    """
    if response is None or response[0].status_code != 429 or attempts >= max_attempts:
        return None
    return backoff(attempts)


def backoff(attempts: int) -> float:
    """Return the seconds to wait before a retry: exponential with jitter, as in botocore's standard mode.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html

    :param attempts: number of attempts that have failed
    """
    return min(random.random() * 2 ** (attempts - 1), MAX_BACKOFF_SECONDS)  # noqa: S311
