"""Objects in S3: put, get, delete. One request each, unless an object is too large for that."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from include.s3_xcom import failures
from include.s3_xcom.errors import SettingError
from include.s3_xcom.reference import Owner, Reference
from include.s3_xcom.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient

SINGLE_PUT_BYTES = 64 * 1024 * 1024
"""Up to here one request beats several (S3 itself takes 5 GiB in one)."""

PART_BYTES = 16 * 1024 * 1024
SINGLE_COPY_BYTES = 5 * 1024**3
COPY_PART_BYTES = 1024**3
MAX_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html

_clients: dict[tuple[int, str], BaseClient] = {}


def put(
    settings: Settings,
    key: str,
    body: bytes | memoryview | BinaryIO,
    size: int,
    *,
    owner: Owner,
    content_type: str,
    content_encoding: str | None = None,
    metadata: dict[str, str],
) -> str:
    """Store one object.

    :param body: the bytes, or a stream of them, of which one part at a time is held in memory
    :param size: of the body, in bytes
    :param owner: whom it belongs to, for error messages
    :param metadata: user metadata; ASCII only
    :return: the ETag of the object
    :raises SettingError: if the connection does not exist
    :raises StorageError: if S3 does not take it; nothing is stored then
    """
    about = {"Bucket": settings.bucket, "Key": key, "ContentType": content_type, "Metadata": metadata}
    if content_encoding is not None:
        about["ContentEncoding"] = content_encoding
    with failures.explained(settings, "push", f"s3://{settings.bucket}/{key}", owner):
        if size <= SINGLE_PUT_BYTES:
            body = bytes(body) if isinstance(body, memoryview) else body
            return client(settings).put_object(Body=body, ContentLength=size, **about)["ETag"]
        return _put_parts(client(settings), about, _parts(body, size))


def put_pieces(
    settings: Settings,
    key: str,
    pieces: Iterator[bytes],
    *,
    owner: Owner,
    content_type: str,
    metadata: dict[str, str],
) -> tuple[str, int]:
    """Store one object whose bytes come piece by piece, of which little more than one part is held in memory.

    Parameters and errors as of :func:`put`.

    :return: the ETag of the object, and its size in bytes
    """
    about = {"Bucket": settings.bucket, "Key": key, "ContentType": content_type, "Metadata": metadata}
    with failures.explained(settings, "push", f"s3://{settings.bucket}/{key}", owner):
        head, size = [], 0
        for piece in pieces:
            head.append(piece)
            size += len(piece)
            if size > SINGLE_PUT_BYTES:
                break
        else:
            return client(settings).put_object(Body=b"".join(head), **about)["ETag"], size
        sizes: list[int] = []
        parts = _gathered(itertools.chain(head, pieces), sizes)
        del head
        etag = _put_parts(client(settings), about, parts)
        return etag, sum(sizes)


def copy(
    settings: Settings,
    source: Reference,
    key: str,
    *,
    owner: Owner,
    content_type: str,
    metadata: dict[str, str],
) -> str:
    """Store an object that is there already under another key, within S3. As :func:`put`."""
    about = {"Bucket": settings.bucket, "Key": key, "ContentType": content_type, "Metadata": metadata}
    origin = {
        "CopySource": {"Bucket": source.bucket, "Key": source.key},
        "CopySourceIfMatch": source.etag,
    }
    with failures.explained(settings, "push", f"{owner} as a copy of {source.address}", source.owner):
        s3 = client(settings)
        if source.size <= SINGLE_COPY_BYTES:
            answer = s3.copy_object(MetadataDirective="REPLACE", **origin, **about)
            return answer["CopyObjectResult"]["ETag"]
        starts = range(0, source.size, COPY_PART_BYTES)
        spans = [f"bytes={start}-{min(start + COPY_PART_BYTES, source.size) - 1}" for start in starts]

        def copy_part(span: str, **where: Any) -> dict[str, Any]:
            return s3.upload_part_copy(CopySourceRange=span, **origin, **where)["CopyPartResult"]

        return _put_in_parts(s3, about, spans, copy_part)


def get(settings: Settings, reference: Reference) -> bytes:
    """The whole object, exactly as it was pushed.

    :raises ObjectMissingError: if it is gone
    :raises IntegrityError: if it is not the one that was pushed
    :raises StorageError: if S3 does not give it
    """
    with opened(settings, reference) as body:
        data = body.read()
    if len(data) != reference.size:
        raise failures.truncated(reference, len(data), reference.size)
    return data


@contextlib.contextmanager
def opened(
    settings: Settings, reference: Reference, span: tuple[int, int] | None = None
) -> Iterator[BinaryIO]:
    """The object as a stream of bytes. Errors as of :func:`get`.

    :param span: the first byte and the one after the last, if it is not to be all
    """
    extent = {} if span is None else {"Range": f"bytes={span[0]}-{span[1] - 1}"}
    with failures.explained(settings, "pull", reference.address, reference.owner):
        # If-Match pins the content: S3 answers 412 if the object is no longer the one pushed.
        response = client(settings).get_object(
            Bucket=reference.bucket, Key=reference.key, IfMatch=reference.etag, **extent
        )
        with contextlib.closing(response["Body"]) as body:
            yield body


def client(settings: Settings) -> BaseClient:
    """The S3 client of this process, made with the credentials of the Airflow connection.

    :raises SettingError: if there is no such connection
    """
    # A client's sockets must not be shared with the process this one was forked from.
    identity = (os.getpid(), settings.conn_id)
    if identity not in _clients:
        _clients.clear()
        _clients[identity] = _new_client(settings.conn_id)
    return _clients[identity]


def _new_client(conn_id: str) -> BaseClient:
    from airflow.exceptions import AirflowNotFoundException
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

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
    return hook.get_session().client(
        "s3", endpoint_url=hook.conn_config.endpoint_url, config=hook.config, verify=hook.verify
    )


def _parts(body: bytes | memoryview | BinaryIO, size: int) -> Iterator[bytes]:
    part_size = max(PART_BYTES, math.ceil(size / MAX_PARTS))
    for start in range(0, size, part_size):
        length = min(part_size, size - start)
        if isinstance(body, (bytes, memoryview)):
            yield bytes(memoryview(body)[start : start + length])
        else:
            yield body.read(length)


def _gathered(pieces: Iterable[bytes], sizes: list[int]) -> Iterator[bytes]:
    """Pieces as parts that S3 takes, which grow so that any object fits in the number that it takes.

    :param sizes: gets the size of each
    """
    part = bytearray()
    for piece in pieces:
        part += piece
        while len(part) >= (enough := PART_BYTES * (1 + len(sizes) // 1000)):
            sizes.append(enough)
            yield bytes(memoryview(part)[:enough])
            del part[:enough]
    sizes.append(len(part))
    yield bytes(part)


def _put_parts(s3: BaseClient, about: dict[str, Any], parts: Iterable[bytes]) -> str:
    return _put_in_parts(s3, about, parts, lambda part, **where: s3.upload_part(Body=part, **where))


def _put_in_parts(
    s3: BaseClient, about: dict[str, Any], parts: Iterable[Any], put_part: Callable[..., dict[str, Any]]
) -> str:
    where = {"Bucket": about["Bucket"], "Key": about["Key"]}
    where["UploadId"] = s3.create_multipart_upload(**about)["UploadId"]
    try:
        done = [
            {"PartNumber": n, "ETag": put_part(part, PartNumber=n, **where)["ETag"]}
            for n, part in enumerate(parts, start=1)
        ]
        return s3.complete_multipart_upload(MultipartUpload={"Parts": done}, **where)["ETag"]
    except BaseException:
        # The parts would stay, and cost. If this fails too, the bucket's own rule removes them.
        with contextlib.suppress(Exception):
            s3.abort_multipart_upload(**where)
        raise
