"""The S3 client, made of the Airflow connection."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from include.s3_xcom.errors import SettingError
from include.s3_xcom.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient

_clients: dict[tuple[int, str], BaseClient] = {}


def client(settings: Settings) -> BaseClient:
    """The S3 client of this process, made with the credentials of the Airflow connection.

    :raises SettingError: if there is no such connection
    """
    # A client's sockets must not be shared with the process this one was forked from.
    identity = (os.getpid(), settings.conn_id)
    if identity not in _clients:
        _clients.clear()
        # Looking up the connection commits and closes the database session of its thread: not the caller's.
        with ThreadPoolExecutor(max_workers=1) as apart:
            _clients[identity] = apart.submit(_new_client, settings.conn_id).result()
    return _clients[identity]


def _new_client(conn_id: str) -> BaseClient:
    from airflow.exceptions import AirflowNotFoundException
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
    from botocore.handlers import set_list_objects_encoding_type_url

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
    hook = AwsBaseHook(aws_conn_id=conn_id or None, client_type="s3")
    # Not hook.get_conn(), which looks through all providers for a user agent: 0.2 s in each task.
    s3 = hook.get_session().client(
        "s3", endpoint_url=hook.conn_config.endpoint_url, config=hook.config, verify=hook.verify
    )
    # botocore asks for keys in listings to be percent-encoded, and then LocalStack loses its place at keys
    # that hold a percent sign. Our keys hold nothing that needs it.
    s3.meta.events.unregister("before-parameter-build.s3.ListObjectsV2", set_list_objects_encoding_type_url)
    return s3
