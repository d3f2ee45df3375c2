"""What people read when S3 fails. Answers that LocalStack cannot be made to give."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from include.s3_xcom.errors import IntegrityError, ObjectMissingError, SettingError, StorageError
from include.s3_xcom.keys import Owner
from include.s3_xcom.s3.errors import translated
from include.s3_xcom.settings import Settings

OWNER = Owner("dag", "run", "task", 3, "return_value")


def answer(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "said S3"}}, "PutObject")


@pytest.mark.parametrize(
    ("error", "kind", "advice"),
    [
        (answer("InvalidAccessKeyId"), StorageError, "Check the credentials"),
        (answer("AccessDenied"), StorageError, "Check the credentials"),
        (answer("ExpiredToken"), StorageError, "Renew them in the Airflow connection 'aws_default'"),
        (answer("RequestTimeTooSkewed"), StorageError, "clock"),
        (answer("NoSuchBucket"), SettingError, "s3_xcom init"),
        (answer("NoSuchKey"), ObjectMissingError, "runs again"),
        (answer("PreconditionFailed"), IntegrityError, "runs again"),
        (answer("SlowDown"), StorageError, "SlowDown: said S3"),
        (EndpointConnectionError(endpoint_url="http://x"), StorageError, "endpoint"),
        (NoCredentialsError(), SettingError, "'aws_default'"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_each_failure_names_the_xcom_the_address_and_what_to_do(error, kind, advice):
    with pytest.raises(kind) as raised, translated(Settings("b"), "push", "s3://b/k", OWNER):
        raise error
    message = str(raised.value)
    assert message.startswith("Cannot push XCom 'return_value' of dag.task[3], run 'run', s3://b/k: ")
    assert advice in message
    assert raised.value.__cause__ is error


def test_other_errors_pass_as_they_are():
    with pytest.raises(KeyError), translated(Settings("b"), "push", "s3://b/k", OWNER):
        raise KeyError("x")
