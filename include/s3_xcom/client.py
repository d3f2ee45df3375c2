"""The S3 client, made of the Airflow connection."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from include.s3_xcom.errors import SettingError
from include.s3_xcom.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient

MAX_BACKOFF_SECONDS = 20

_TELLING_LOGGERS = ("botocore.auth", "botocore.endpoint")
"""At the level DEBUG these show whole requests: session tokens, and content."""

_clients: dict[tuple[Any, ...], BaseClient] = {}


def client(settings: Settings) -> BaseClient:
    """The S3 client of this process, made with the credentials of the Airflow connection.

    :raises SettingError: if there is no such connection
    """
    # A client's sockets must not be shared with the process this one was forked from.
    identity = os.getpid(), *_told(settings)
    if identity not in _clients:
        _clients.clear()
        with _session_apart():
            _clients[identity] = _new_client(settings)
    return _clients[identity]


def _told(settings: Settings) -> tuple[Any, ...]:
    """The settings that a client is made of."""
    return settings.conn_id, settings.max_attempts, settings.connect_timeout, settings.read_timeout


@contextlib.contextmanager
def _session_apart() -> Iterator[None]:
    """Give this thread another database session for a while: looking up a connection commits and closes it.

    Not in another thread, which could wait for ever: where Airflow logs what is pulled only then, this thread
    has the lock that the other needs to log.
    """
    from airflow.settings import Session

    registry = Session.registry
    callers = registry() if registry.has() else None
    registry.clear()
    try:
        yield
    finally:
        Session.remove()
        if callers is not None:
            registry.set(callers)


def _new_client(settings: Settings) -> BaseClient:
    from airflow.exceptions import AirflowNotFoundException
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
    from botocore.config import Config
    from botocore.handlers import set_list_objects_encoding_type_url

    conn_id = settings.conn_id
    try:
        # The hook itself would go on without credentials.
        if conn_id:
            AwsBaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise SettingError(
            f"There is no Airflow connection {conn_id!r}, which XComs need for S3. Create it "
            f"(`airflow connections add {conn_id} --conn-type aws ...`), name another one in "
            "AIRFLOW__S3_XCOM__CONN_ID, or set that to nothing to use boto3's own search."
        ) from None
    for name in _TELLING_LOGGERS:
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(logging.INFO)
    hook = AwsBaseHook(aws_conn_id=conn_id or None, client_type="s3")
    ours = Config(
        retries={"mode": "standard", "total_max_attempts": settings.max_attempts},
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
    )
    # Not hook.get_conn(), which looks through all providers for a user agent: 0.2 s in each task.
    s3 = hook.get_session().client(
        "s3",
        endpoint_url=_endpoint_url(hook.conn_config),
        config=ours.merge(hook.config or Config()),  # what the connection says goes before
        verify=hook.verify,
    )
    s3.meta.events.register("needs-retry.s3", functools.partial(_too_many, settings.max_attempts))
    # botocore asks for keys in listings to be percent-encoded, and then LocalStack loses its place at keys
    # that hold a percent sign. Our keys hold nothing that needs it.
    s3.meta.events.unregister("before-parameter-build.s3.ListObjectsV2", set_list_objects_encoding_type_url)
    return s3


def _endpoint_url(connection: Any) -> str | None:
    # Releases of the provider since 2023 have one for each service.
    if hasattr(connection, "get_service_endpoint_url"):
        return connection.get_service_endpoint_url("s3")
    return connection.endpoint_url


def _too_many(max_attempts: int, response: Any, attempts: int, **_: Any) -> float | None:
    """The seconds to wait after HTTP 429, which botocore does not know as S3's: other servers answer it."""
    if response is None or response[0].status_code != 429 or attempts >= max_attempts:
        return None
    return backoff(attempts)


def backoff(attempts: int) -> float:
    """The seconds to wait after some attempts, by chance: as in botocore's standard mode.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
    """
    return min(random.random() * 2 ** (attempts - 1), MAX_BACKOFF_SECONDS)  # noqa: S311
