"""Errors of botocore as errors of this package, with advice in words."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import re
import ssl
import traceback
from collections.abc import Iterator
from typing import Any

from include.s3_xcom.errors import (
    FormatError,
    IntegrityError,
    StorageError,
    XComError,
)
from include.s3_xcom.interruptions import heard
from include.s3_xcom.keys import Owner
from include.s3_xcom.on_airflow.connection import described
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3.meanings import EXPIRED, MEANINGS, OTHER_CONTENT, RERUN, SERVICES, STEPS
from include.s3_xcom.settings import Settings

log = logging.getLogger(__name__)


@contextlib.contextmanager
def translated(
    settings: Settings, verb: str, address: str, owner: Owner | None = None, pushed: str | None = None
) -> Iterator[None]:
    """Raise botocore's errors as ours. Put it around single requests, never around a caller's code.

    :param verb: what is tried, such as ``push``
    :param address: ``s3://`` address of the object or bucket
    :param owner: the XCom that the object belongs to, if there is one
    :param pushed: time of the object's push, in ISO 8601
    :raises SettingError: for what the operator has to put right
    :raises StorageError: for what S3 or the network did
    """
    with heard():  # outermost, so that an interruption comes out as it is
        try:
            yield
        except (XComError, MemoryError):
            raise
        except Exception as error:
            kind, why, cause = _explain(error, settings, pushed)
            if kind is None:
                raise
            of_owner = f"{owner}, " if owner else ""
            raise kind(f"Cannot {verb} {of_owner}{address}: {why}") from cause


def no_bucket(name: str) -> str:
    """Return the phrase for a bucket that does not exist, with advice."""
    return (
        f"there is no bucket {name!r}. Create it with `python -m include.s3_xcom init`, "
        "or set AIRFLOW__S3_XCOM__BUCKET to one that exists."
    )


def code_of(error: BaseException | None) -> str:
    """Return the code of an error that S3 answered; empty for other errors."""
    return str(answer_of_s3(error).get("Error", {}).get("Code", ""))


def answer_of_s3(error: BaseException | None) -> dict[str, Any]:
    """Return the answer of S3; empty for errors without an answer, and for those of other services."""
    response = getattr(error, "response", None)
    is_s3s = isinstance(response, dict) and getattr(error, "operation_name", "") not in SERVICES
    return response if is_s3s else {}


def is_servers_own(error: StorageError) -> bool:
    """Return whether S3 refused the request itself, not the credentials, and not only for now.

    Another request may then reach the same end: S3 servers differ in the requests that they support.
    """
    status = answer_of_s3(error.__cause__).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = code_of(error.__cause__)
    if code in EXPIRED or status in (401, 403, 407, 408, 429):
        return False
    # botocore makes "500" of a success without the content that it should have.
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


def replaced(reference: Reference) -> IntegrityError:
    """Return the error for an object whose ETag is not the one that was pushed."""
    return IntegrityError(f"Cannot pull {reference.owner}, {reference.address}: {OTHER_CONTENT}")


def truncated(reference: Reference, found: int, expected: int) -> IntegrityError:
    """Return the error for an object that has fewer bytes, or more, than were pushed."""
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

    :param start: first byte that was asked for
    :param stop: the one after the last
    """
    return IntegrityError(
        f"Cannot pull {reference.owner}, {reference.address}: S3 was asked for bytes {start:,} to "
        f"{stop - 1:,}, and answered with others. The S3 server, or a proxy before it, ignores or changes "
        "the header `Range`: reach S3 without that proxy, or have it pass the header on."
    )


def _explain(
    error: Exception, settings: Settings, pushed: str | None
) -> tuple[type[XComError] | None, str, Exception | None]:
    """Return the class to raise for an error, the reason, and the cause; None if it may hold a secret."""
    step, name, keys = _place(error)
    facts = _facts(error, name, settings, pushed)
    kind, sentence = next((MEANINGS[key] for key in keys if key in MEANINGS), (None, ""))
    is_open = "@" not in str(error) and (not step or "{said}" in sentence)
    if kind is not None and not is_open:
        log.debug("%s%s", "".join(traceback.format_tb(error.__traceback__)), type(error).__name__)
    return kind, sentence.format_map(facts), error if is_open else None


def _place(error: Exception) -> tuple[str, str, list[str]]:
    """Return the step at which an error was raised, its name, and its keys in MEANINGS, closest first."""
    # Imported only once there is an error, because botocore takes a while to import.
    from botocore import exceptions as boto

    step, name = _step(error), type(error).__name__
    inner = getattr(error, "kwargs", {}).get("error")
    if isinstance(error, boto.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
        name = str(error.response.get("Error", {}).get("Code") or status)
        service = SERVICES.get(error.operation_name, "")
        if status == 407:
            return step, name, ["407"]
        if not service:
            return "", name, [name, "S3"]
        return "credentials", name, [f"{service} {name}", service]
    if isinstance(error, boto.ProxyConnectionError):
        refusal = re.search(r"Tunnel connection failed: (\d+)", str(inner))
        name = refusal[1] if refusal else name
        return step, name, ["407" if name == "407" else "ProxyConnectionError"]
    if type(error) is boto.HTTPClientError and isinstance(inner, (AttributeError, TypeError, ValueError)):
        return "unsent", type(inner).__name__, ["unsent"]
    keys = [step]
    if isinstance(error, boto.SSLError):
        key, name = _place_tls(inner)
        keys += [] if step else [key]
    for kind in type(error).__mro__:
        keys.append(f"{step} {kind.__name__}")
        if kind.__module__.partition(".")[0] in ("botocore", "urllib3"):
            keys.append(kind.__name__)
    return step, name, keys


def _step(error: Exception) -> str:
    """Return the step before a request at which an error was raised; empty if it was the request."""
    at_work = set()
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = type(frame.f_locals.get("self")).__name__
        at_work |= {frame.f_globals.get("__name__"), frame.f_code.co_name, owner}
    step = next((step for mark, step in STEPS.items() if mark in at_work), "")
    # botocore failed with an error that is not the network's: it was given a setting that it cannot use.
    is_odd = "botocore.client" in at_work and isinstance(error, (AttributeError, TypeError))
    return step or ("client" if is_odd else "")


def _facts(error: Exception, name: str, settings: Settings, pushed: str | None) -> dict[str, str]:
    """Return the words to fill into the sentences of MEANINGS. None of them is a secret."""
    from urllib.request import getproxies  # takes a while to import, too

    kwargs: dict[str, Any] = getattr(error, "kwargs", {})
    answer = getattr(error, "response", None)
    words = answer.get("Error", {}).get("Message", "") if isinstance(answer, dict) else str(error)
    words = re.sub(r"(?s).*@", "***@", words)  # user and password in an endpoint's URL
    access = described.get(settings.conn_id)
    role = getattr(access, "role_arn", None) or os.environ.get("AWS_ROLE_ARN", "")
    proxies = getattr(getattr(access, "botocore_config", None), "proxies", None) or getproxies()
    proxies = proxies if isinstance(proxies, dict) else {}
    return {
        "connection": f"Airflow connection {settings.conn_id!r}" if settings.conn_id else "AWS environment",
        "file": f": {error.filename}" if getattr(error, "filename", None) else "",
        "host": _host(kwargs.get("endpoint_url"), " at "),
        "missing": _explain_missing(settings.retention_days, pushed),
        "name": name,
        "no_bucket": no_bucket(settings.bucket),
        "operation": getattr(error, "operation_name", ""),
        "parameters": ", ".join(re.findall(r"(?:parameter in input:|parameter) \"?(\w+)", str(error))),
        "provider": " from " + kwargs["provider"] if "provider" in kwargs else "",
        "proxy": _host(kwargs.get("proxy_url") or proxies.get("http") or proxies.get("https"), " "),
        "role": role and f" {role}",
        "said": f"{name}: {words}" if words else name,
    }


def _host(url: Any, before: str) -> str:
    """Return host and port of a URL with words before them; empty if there is no URL."""
    host = str(url or "").rpartition("@")[2].rpartition("//")[2].partition("/")[0]
    return host and before + host


def _place_tls(wrapped: Any) -> tuple[str, str]:
    """Return the key and the name of an error of TLS, which urllib3 wraps around that of the ssl module."""
    cause = next((item for item in wrapped.args if isinstance(item, Exception)), wrapped)
    reason = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or type(cause).__name__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "not trusted", reason
    is_of_file = getattr(cause, "library", "") == "X509" or not isinstance(cause, ssl.SSLError)
    return ("no bundle" if is_of_file else "no TLS"), reason


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
