"""Sessions of AWS connections that ask LocalStack for every service: AIRFLOW__AWS__SESSION_FACTORY.

The hook of Airflow 2.5's provider gives a connection's endpoint to the client of its own service only. Its
*Test* button asks STS, which then is AWS's own, and AWS does not know LocalStack's credentials.
https://airflow.apache.org/docs/apache-airflow-providers-amazon/7.3.0/connections/aws.html#session-factory
"""

from __future__ import annotations

import functools
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import BaseSessionFactory


class LocalStackSessions(BaseSessionFactory):
    """Of connections with any other endpoint, or none, sessions as they always are."""

    def create_session(self, *args: Any, **kwargs: Any) -> Any:
        session = super().create_session(*args, **kwargs)
        endpoint_url = self.conn.endpoint_url or ""
        if "//localstack:" in endpoint_url:
            session.client = functools.partial(session.client, endpoint_url=endpoint_url)
        return session
