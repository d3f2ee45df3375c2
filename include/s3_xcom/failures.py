"""What a failure of S3 means, and what to do about it, in words."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator

from include.s3_xcom.errors import (
    FormatError,
    IntegrityError,
    ObjectMissingError,
    SettingError,
    StorageError,
    XComError,
)
from include.s3_xcom.reference import Owner, Reference
from include.s3_xcom.settings import Settings

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_DENIED = {
    "403",
    "AccessDenied",
    "AuthorizationHeaderMalformed",
    "Forbidden",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
}
_RERUN = "Clear the task that pushed it, so that it runs again (in the UI: Grid, the run, the task, Clear)."


@contextlib.contextmanager
def explained(
    settings: Settings, doing: str, address: str, owner: Owner | None = None, pushed: str | None = None
) -> Iterator[None]:
    """Turn botocore's errors into ours.

    :param doing: what is tried, such as ``push``
    :param address: ``s3://`` address of the object or bucket
    :param owner: the XCom concerned, where there is one
    :param pushed: when it was pushed, in ISO 8601
    :raises SettingError: for what the operator has to put right
    :raises StorageError: for what S3 or the network did
    """
    try:
        yield
    except XComError:
        raise
    except Exception as error:
        kind, why = _explain(error, settings, pushed)
        if kind is None:
            raise
        whose = f"{owner}, " if owner else ""
        raise kind(f"Cannot {doing} {whose}{address}: {why}") from error


@contextlib.contextmanager
def located(reference: Reference) -> Iterator[None]:
    """Say in errors of a format which object has it.

    :raises FormatError: with the address
    """
    try:
        yield
    except FormatError as error:
        raise FormatError(f"Cannot pull {reference.owner}, {reference.address}: {error}") from error.__cause__


def truncated(reference: Reference, found: int, expected: int) -> IntegrityError:
    """The error for an object of which there are fewer bytes, or more, than were pushed."""
    return IntegrityError(
        f"{reference.address} ({reference.owner}) gave {found:,} bytes where {expected:,} were pushed. "
        f"{_RERUN}"
    )


def altered(reference: Reference) -> IntegrityError:
    """The error for an object that came with other content than was pushed."""
    return IntegrityError(
        f"Cannot pull {reference.owner}, {reference.address}: what arrived is not what was pushed (by its "
        "SHA-256), though S3 says that it is the same object. Without TLS, any part of the network may have "
        "changed it: clear this task, so that it tries again."
    )


def _explain(error: Exception, settings: Settings, pushed: str | None) -> tuple[type[XComError] | None, str]:
    # Not before there is an error: botocore takes a while to import.
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    name = type(error).__name__
    connection = f"Airflow connection {settings.conn_id!r}" if settings.conn_id else "AWS environment"
    if isinstance(error, boto.ClientError):
        return _explain_answer(error.response, settings, connection, pushed)
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError)):
        return SettingError, f"no credentials. Set them in the {connection}, or give this machine a role."
    broken = (boto.IncompleteReadError, boto.ResponseStreamingError, ResponseParserError, HTTPError)
    if isinstance(error, broken):
        return StorageError, f"the connection broke off ({name}). Try again."
    if isinstance(error, (boto.ConnectionError, boto.HTTPClientError)):
        return StorageError, (
            f"S3 cannot be reached ({name}). Check the endpoint in the {connection}, and whether it "
            "answers from this machine."
        )
    if isinstance(error, (boto.NoRegionError, boto.ParamValidationError)):
        return SettingError, f"no valid request can be made ({name}: {error})."
    return None, ""


def _explain_answer(
    response: dict, settings: Settings, connection: str, pushed: str | None
) -> tuple[type[XComError], str]:
    code = response.get("Error", {}).get("Code", "")
    if code == "NoSuchBucket":
        return SettingError, (
            f"there is no bucket {settings.bucket!r}. Create it with `python -m include.s3_xcom init`, "
            "or set AIRFLOW__S3_XCOM__BUCKET to one that exists."
        )
    if code in ("NoSuchKey", "404"):
        return ObjectMissingError, f"{_explain_missing(settings.retention_days, pushed)} {_RERUN}"
    if code in ("PreconditionFailed", "412", "InvalidRange"):
        return IntegrityError, f"the object is not the one that was pushed. {_RERUN}"
    if code in ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"):
        return StorageError, f"the credentials have expired ({code}). Renew them in the {connection}."
    if code == "RequestTimeTooSkewed":
        return StorageError, f"this machine's clock is not right ({code}). Set it, best by NTP."
    if code in _DENIED:
        return StorageError, (
            f"S3 denied it ({code}). Check the credentials in the {connection} and what they may do "
            "with the bucket (docs/aws.md)."
        )
    return StorageError, f"S3 answered {code}: {response.get('Error', {}).get('Message', '')}"


def _explain_missing(retention_days: int, pushed: str | None) -> str:
    if retention_days and pushed:
        made = datetime.datetime.fromisoformat(pushed)
        expired = made + datetime.timedelta(days=retention_days)
        if expired < datetime.datetime.now(datetime.timezone.utc):
            return (
                f"the object expired on {expired:%Y-%m-%d}: it was pushed on {made:%Y-%m-%d}, and "
                f"[s3_xcom] retention_days is {retention_days}."
            )
    return "the object is no longer in the bucket."
