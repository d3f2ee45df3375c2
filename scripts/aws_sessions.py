"""Sessions of AWS connections whose STS is LocalStack's, like their S3: AIRFLOW__AWS__SESSION_FACTORY.

The hook of Airflow 2.5's provider gives a connection's endpoint to the client of its own service only. Its
*Test* button asks STS, which then is AWS's own, and AWS does not know LocalStack's credentials. Later
providers find STS by themselves (``service_config`` in prepare_airflow.py).
https://airflow.apache.org/docs/apache-airflow-providers-amazon/7.3.0/connections/aws.html#session-factory
"""

from __future__ import annotations

from typing import Any

import boto3
from airflow.providers.amazon.aws.hooks.base_aws import BaseSessionFactory


class LocalStackSessions(BaseSessionFactory):
    """Of connections with any other endpoint, or none, sessions as they always are."""

    def create_session(self, *args: Any, **kwargs: Any) -> Any:
        session = super().create_session(*args, **kwargs)
        endpoint_url = self.conn.endpoint_url or ""
        # Those of deferrable operators are of another kind.
        if "//localstack:" in endpoint_url and isinstance(session, boto3.session.Session):
            make = session.client

            def client(service_name: str, *arguments: Any, **options: Any) -> Any:
                own = {"endpoint_url": endpoint_url} if service_name == "sts" and not arguments else {}
                return make(service_name, *arguments, **{**own, **options})

            session.client = client
        return session
