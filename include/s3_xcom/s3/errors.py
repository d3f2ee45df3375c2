"""What an error of botocore means, and what to do about it, in words."""

from __future__ import annotations

import contextlib
import datetime
import ssl
from collections.abc import Iterator
from typing import Any

from include.s3_xcom.errors import (
    FormatError,
    IntegrityError,
    ObjectMissingError,
    SettingError,
    StorageError,
    XComError,
)
from include.s3_xcom.interruptions import heard
from include.s3_xcom.keys import Owner
from include.s3_xcom.reference import Reference
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
_MISSING = {"404", "NoSuchKey"}
_OTHER_CONTENT = {"412", "InvalidRange", "PreconditionFailed"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"}
RERUN = "Clear the task that pushed it, so that it runs again (in the UI: Grid, the run, the task, Clear)."

OTHER_CONTENT = f"the object is not the one that was pushed. {RERUN}"


@contextlib.contextmanager
def translated(
    settings: Settings, verb: str, address: str, owner: Owner | None = None, pushed: str | None = None
) -> Iterator[None]:
    """Turn botocore's errors into ours. To be put around single requests, never around a caller's code.

    :param verb: what is tried, such as ``push``
    :param address: ``s3://`` address of the object or bucket
    :param owner: the XCom that the object belongs to, where there is one
    :param pushed: when the object was pushed, in ISO 8601
    :raises SettingError: for what the operator has to put right
    :raises StorageError: for what S3 or the network did
    """
    try:
        with heard():
            yield
    except XComError:
        raise
    except Exception as error:
        kind, why = _explain(error, settings, pushed)
        if kind is None:
            raise
        of_owner = f"{owner}, " if owner else ""
        raise kind(f"Cannot {verb} {of_owner}{address}: {why}") from error


def no_bucket(name: str) -> str:
    """Why nothing can be pushed where there is no bucket."""
    return (
        f"there is no bucket {name!r}. Create it with `python -m include.s3_xcom init`, "
        "or set AIRFLOW__S3_XCOM__BUCKET to one that exists."
    )


def code_of(error: BaseException | None) -> str:
    """The code of an error that S3 answered; nothing for other errors."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def is_servers_own(error: StorageError) -> bool:
    """Whether S3 refused the request itself, neither for want of a right nor for now.

    Then another way may lead there, for S3 servers differ in what they can.
    """
    response = getattr(error.__cause__, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = code_of(error.__cause__)
    if code in _EXPIRED or status in (401, 403, 408, 429):
        return False
    # "500": what botocore makes of a success without the content that it should have.
    return status == 501 or code == "500" or 400 <= status < 500


@contextlib.contextmanager
def located(reference: Reference) -> Iterator[None]:
    """Name the object in errors of its format.

    :raises FormatError: with the address
    """
    try:
        yield
    except FormatError as error:
        raise FormatError(f"Cannot pull {reference.owner}, {reference.address}: {error}") from error.__cause__


def replaced(reference: Reference, verb: str = "pull") -> IntegrityError:
    """The error for an object whose ETag is not the one that was pushed."""
    return IntegrityError(f"Cannot {verb} {reference.owner}, {reference.address}: {OTHER_CONTENT}")


def truncated(reference: Reference, found: int, expected: int) -> IntegrityError:
    """The error for an object that has fewer bytes, or more, than were pushed."""
    return IntegrityError(
        f"{reference.address} ({reference.owner}) gave {found:,} bytes where {expected:,} were pushed. "
        f"{RERUN}"
    )


def altered(reference: Reference) -> IntegrityError:
    """Return the error for an object that arrived with other content than was pushed."""
    return IntegrityError(
        f"Cannot pull {reference.owner}, {reference.address}: what arrived is not what was pushed (by its "
        "checksum), though S3 says that it is the same object. A proxy may have answered with other bytes, "
        "and without TLS any part of the network may have changed them: clear this task, so that it tries "
        "again."
    )


def other_bytes(reference: Reference, start: int, stop: int) -> IntegrityError:
    """Return the error for an answer with other bytes of the object than were asked for.

    :param start: the first byte that was asked for
    :param stop: the one after the last
    """
    return IntegrityError(
        f"Cannot pull {reference.owner}, {reference.address}: S3 was asked for bytes {start:,} to "
        f"{stop - 1:,}, and answered with others. The S3 server, or a proxy before it, ignores or changes "
        "the header `Range`: reach S3 without that proxy, or have it pass the header on."
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
    if isinstance(error, boto.SSLError):
        return _explain_tls(error, connection)
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


def _explain_tls(error: Any, connection: str) -> tuple[type[XComError], str]:
    # botocore's error holds urllib3's, and that the one of the ssl module.
    wrapped = error.kwargs["error"]
    cause = next((item for item in wrapped.args if isinstance(item, Exception)), wrapped)
    reason = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or type(cause).__name__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return StorageError, (
            f"the certificate of the endpoint is not trusted ({reason}). Set `verify` in the extra of the "
            f"{connection}, or AWS_CA_BUNDLE, to the path of a CA bundle that has its issuer; `verify` false "
            "switches the check off."
        )
    if getattr(cause, "library", "") == "X509" or not isinstance(cause, ssl.SSLError):
        return SettingError, (
            f"the file with trusted certificates cannot be read ({reason}). `verify` in the extra of the "
            f"{connection}, or AWS_CA_BUNDLE, must be the path of a CA bundle on this machine; `verify` can "
            "also be true or false."
        )
    return StorageError, (
        f"the endpoint does not speak TLS as expected ({reason}). Check whether the endpoint in the "
        f"{connection} should start with http:// or https://."
    )


def _explain_answer(
    response: dict, settings: Settings, connection: str, pushed: str | None
) -> tuple[type[XComError], str]:
    code = response.get("Error", {}).get("Code", "")
    if code == "NoSuchBucket":
        return SettingError, no_bucket(settings.bucket)
    if code in _MISSING:
        return ObjectMissingError, f"{_explain_missing(settings.retention_days, pushed)} {RERUN}"
    if code in _OTHER_CONTENT:
        return IntegrityError, OTHER_CONTENT
    if code in _EXPIRED:
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
