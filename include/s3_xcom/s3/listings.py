"""Listings of the bucket, one page at a time, from any S3 server."""

from __future__ import annotations

import datetime
import urllib.parse
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from include.s3_xcom.errors import StorageError
from include.s3_xcom.s3 import errors

if TYPE_CHECKING:
    from include.s3_xcom.s3.store import Store


@dataclass(frozen=True)
class Listed:
    """An object in a listing.

    :param size: bytes
    :param modified: time when it was stored, by S3's clock
    :param age: seconds since then
    """

    key: str
    size: int
    modified: datetime.datetime
    age: float


@dataclass(frozen=True)
class Page:
    """One page of a listing.

    :param folders: starts of keys up to the next slash, each for all objects below it; if asked for
    :param token: token of the next page; None: this is the last one
    """

    objects: list[Listed]
    folders: list[str]
    token: str | None


def page(store: Store, prefix: str, token: str | None, *, by_folders: bool, size: int) -> Page:
    """Return a page of the objects whose keys start with a prefix. See :meth:`Store.page`."""
    where = {"Bucket": store.settings.bucket, "Prefix": prefix, "MaxKeys": size}
    where |= {"ContinuationToken": token} if token else {}
    where |= {"Delimiter": "/"} if by_folders else {}
    with errors.translated(store.settings, "list", store.address(prefix)):
        answer = _list_page(store, where)
    # S3's clock, because it also gave the objects their times.
    now = _answered_at(store, answer, prefix)
    return Page(
        [
            Listed(
                item["Key"],
                item["Size"],
                item["LastModified"],
                max(0, (now - item["LastModified"]).total_seconds()),
            )
            for item in answer.get("Contents", [])
        ],
        [item["Prefix"] for item in answer.get("CommonPrefixes", [])],
        _next_token(store, answer, where) if answer.get("IsTruncated") else None,
    )


def _list_page(store: Store, where: dict[str, Any]) -> dict[str, Any]:
    """Return S3's answer for a page.

    Keys are asked for as they are: if they are percent-encoded, LocalStack 4.9.2 loses its position after a
    page whose last key holds a percent sign, and silently leaves out others. Keys of other programs may hold
    characters that XML cannot; then the page is asked for again, encoded.
    """
    from botocore.exceptions import ClientError
    from botocore.parsers import ResponseParserError

    try:
        page = store.client.list_objects_v2(**where)
    except (ResponseParserError, ClientError) as error:
        # botocore since 1.33 reports an unreadable answer as an error of the server, without a name.
        is_unreadable = isinstance(error, ResponseParserError) or errors.code_of(error) == "500"
        if not is_unreadable or "EncodingType" in where:
            raise
        where["EncodingType"] = "url"
        page = store.client.list_objects_v2(**where)
    if page.get("EncodingType") == "url":
        for item in page.get("Contents", []):
            item["Key"] = urllib.parse.unquote_plus(item["Key"])
        for item in page.get("CommonPrefixes", []):
            item["Prefix"] = urllib.parse.unquote_plus(item["Prefix"])
    return page


def _next_token(store: Store, page: dict[str, Any], where: dict[str, Any]) -> str:
    token = page.get("NextContinuationToken")
    if not token or token == where.get("ContinuationToken"):
        raise StorageError(
            f"Cannot list {store.address(where['Prefix'])}: S3 says that there is more, and does not tell "
            "where it goes on. Is there a newer release of this S3 server?"
        )
    return token


def _answered_at(store: Store, answer: dict[str, Any], prefix: str) -> datetime.datetime:
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if date is None:
        raise StorageError(
            f"Cannot list {store.address(prefix)}: the answer has no Date, without which nobody knows how "
            "old the objects are. Is there a proxy that removes it?"
        )
    return parsedate_to_datetime(date)
