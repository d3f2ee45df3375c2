"""Listings of the bucket, a page at a time, whatever S3 server there is."""

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
    """An object as a listing shows it.

    :param size: in bytes
    :param modified: when it was stored, by S3's clock
    :param age: in seconds
    """

    key: str
    size: int
    modified: datetime.datetime
    age: float


@dataclass(frozen=True)
class Page:
    """One page of a listing.

    :param folders: the prefixes that more than one object may share, up to the next slash; if asked for
    :param token: continues the listing; None: there is no more
    """

    objects: list[Listed]
    folders: list[str]
    token: str | None


def page(store: Store, prefix: str, token: str | None, *, by_folders: bool, size: int) -> Page:
    """A page of the objects whose keys start with a prefix. Parameters as of :meth:`Store.page`."""
    where = {"Bucket": store.settings.bucket, "Prefix": prefix, "MaxKeys": size}
    where |= {"ContinuationToken": token} if token else {}
    where |= {"Delimiter": "/"} if by_folders else {}
    with errors.translated(store.settings, "list", store.address(prefix)):
        answer = _list_page(store, where)
    # By S3's clock, which also gave the objects their times.
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
    """A page of a listing.

    Keys come as they are: percent-encoded, LocalStack 4.9.2 loses its place behind a page whose last key
    holds a percent sign, and leaves out others in silence. Keys of other people may hold what XML cannot;
    then the page is asked for once more, encoded.
    """
    from botocore.exceptions import ClientError
    from botocore.parsers import ResponseParserError

    try:
        page = store.client.list_objects_v2(**where)
    except (ResponseParserError, ClientError) as error:
        # botocore since 1.33 takes what it cannot read for an error of the server, without a name.
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
