"""A yardstick: the backend of the tutorials, written from their description.

A DataFrame goes as CSV, a dict or list as JSON, each through a file on disk and S3Hook; the database holds a
prefixed string.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from typing import Any

import pandas as pd
from airflow.models.xcom import BaseXCom
from airflow.providers.amazon.aws.hooks.s3 import S3Hook

PREFIX = "xcom_s3://"
BUCKET = "xcom"


class TutorialBackend(BaseXCom):
    @staticmethod
    def serialize_value(value: Any, **_: Any) -> Any:
        if isinstance(value, pd.DataFrame):
            key = f"{uuid.uuid4()}.csv"
            path = os.path.join(tempfile.mkdtemp(), key)
            value.to_csv(path)
        elif isinstance(value, (dict, list)):
            key = f"{uuid.uuid4()}.json"
            path = os.path.join(tempfile.mkdtemp(), key)
            with open(path, "w") as stream:
                json.dump(value, stream)
        else:
            return BaseXCom.serialize_value(value)
        S3Hook().load_file(path, key, BUCKET, replace=True)
        return BaseXCom.serialize_value(PREFIX + key)

    @staticmethod
    def deserialize_value(result: Any) -> Any:
        value = BaseXCom.deserialize_value(result)
        if not isinstance(value, str) or not value.startswith(PREFIX):
            return value
        path = S3Hook().download_file(value.removeprefix(PREFIX), BUCKET, tempfile.mkdtemp())
        if value.endswith(".csv"):
            return pd.read_csv(path)
        with open(path) as stream:
            return json.load(stream)
