"""The Airflow connection through which S3 is reached; without Airflow, the search of boto3."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from include.s3_xcom.errors import SettingError
from include.s3_xcom.interruptions import heard

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config

described: dict[str, Any] = {}
"""Configurations that the provider makes of connections, by connection id: for messages."""

_looked_up: dict[str, tuple[int, Access]] = {}
"""Access that each connection gives, by its id, with the id of the process that looked it up.

A process that was forked from a task of Airflow 3 uses it too: it cannot ask its parent's supervisor.
"""

_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")


@dataclass(frozen=True)
class Access:
    """Access to S3 that a connection gives.

    :param session: holds the credentials and the region
    :param endpoint_url: URL of the S3 server; None: AWS
    :param verify: whether certificates are checked, or the path of a CA bundle; None: boto3's default
    :param config: settings for botocore in the connection
    """

    session: boto3.Session
    endpoint_url: str | None
    verify: bool | str | None
    config: Config | None


def find_access(conn_id: str) -> Access:
    """Look up the connection.

    :param conn_id: empty: boto3 searches for credentials by itself, as it does in a Python without Airflow
    :raises SettingError: if there is no such connection, or Airflow has no amazon provider
    """
    airflow = find_spec("airflow")
    if airflow is None or airflow.origin is None:  # or only a folder has that name
        return _own_search()
    from include.s3_xcom.on_airflow.releases import release

    process, access = _looked_up.get(conn_id, (os.getpid(), None))
    if process != os.getpid() and not release.TASKS_HAVE_DATABASE:
        return access
    try:
        with heard(), release.separate_database_session():
            access = _look_up(conn_id)
    except ImportError as error:
        raise SettingError(
            f"This Python cannot reach S3 ({error}): it has Airflow, and needs "
            "apache-airflow-providers-amazon, with boto3, and the packages of the login that the connection "
            "asks for."
        ) from None
    _looked_up[conn_id] = os.getpid(), access
    return access


def _own_search() -> Access:
    """Return the access that boto3 finds by itself.

    https://boto3.amazonaws.com/v1/documentation/api/latest/guide/credentials.html
    """
    try:
        import boto3
    except ImportError as error:
        raise SettingError(f"This Python cannot reach S3 ({error}). Install boto3.") from None
    return Access(boto3.Session(), _endpoint_of_environment(), None, None)


def _endpoint_of_environment() -> str | None:
    """Return the endpoint that boto3 takes from the environment since 1.28.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def _look_up(conn_id: str) -> Access:
    from airflow.exceptions import AirflowNotFoundException
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    try:
        # AwsBaseHook ignores a missing connection, so look it up first.
        if conn_id:
            AwsBaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise SettingError(
            f"There is no Airflow connection {conn_id!r}, which XComs need for S3, or Airflow cannot read it "
            "(its log says why, such as another [core] fernet_key). Create it "
            f"(`airflow connections add {conn_id} --conn-type aws ...`), name another one in "
            "AIRFLOW__S3_XCOM__CONN_ID, or set that to nothing to let boto3 search for credentials."
        ) from None
    hook = AwsBaseHook(aws_conn_id=conn_id or None, client_type="s3")
    described[conn_id] = hook.conn_config
    # Not hook.get_conn(), which searches all providers for a user agent: 0.2 s in each task.
    session = hook.get_session()
    endpoint_url = _endpoint_url(hook.conn_config) or (None if conn_id else _endpoint_of_environment())
    return Access(session, endpoint_url, _verify(hook.verify), hook.config)


def _endpoint_url(config: Any) -> str | None:
    # Releases of the provider since 2023 have an endpoint for each service.
    if hasattr(config, "get_service_endpoint_url"):
        return config.get_service_endpoint_url("s3")
    return config.endpoint_url


def _verify(value: Any) -> bool | str | None:
    """Return whether to verify: boto3 would take ``"false"``, which people write, for the path of a file."""
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in _YES else False if word in _NO else value or None
    return value
