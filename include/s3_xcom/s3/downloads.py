"""Objects written to files; a large one by several requests at once, each of which writes its range.

So little of it is in memory at any time. The file is read for its SHA-256 while the rest comes.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from include.s3_xcom.private_files import write_all
from include.s3_xcom.reference import Reference
from include.s3_xcom.s3 import errors, ranges
from include.s3_xcom.s3.body import CHUNK_BYTES, Body
from include.s3_xcom.s3.parallel import Parallel
from include.s3_xcom.s3.ranges import Span

if TYPE_CHECKING:
    from include.s3_xcom.s3.store import Store


def save(store: Store, reference: Reference, path: Path) -> None:
    """Write an object into an empty file. If this fails, some of it may be left there.

    :raises ObjectMissingError: if it is gone
    :raises IntegrityError: if it is not the one that was pushed
    :raises OSError: if the file cannot be written
    """
    if reference.size <= ranges.SINGLE_GET_BYTES:
        _write(Body(store, reference), path, 0)
        return

    def fetch(span: Span) -> Span:
        _write(Body(store, reference, span), path, span[0])
        return span

    spans = ranges.cut(0, reference.size)
    fetching = Parallel(fetch, ranges.at_once(store), ready=len(spans))
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with contextlib.closing(fetching.run(spans)) as there, path.open("rb", 0) as file:
        for start, stop in there:
            while start < stop and (size := file.readinto(buffer[: stop - start])):
                digest.update(buffer[:size])
                start += size
    if reference.sha256 and digest.hexdigest() != reference.sha256:
        raise errors.altered(reference)


def _write(body: Body, path: Path, position: int) -> None:
    # Opened here: a thread left behind by a failure must not write to a descriptor that was reused since.
    with body, path.open("r+b", 0) as file:
        file.seek(position)
        for chunk in body.chunks():
            write_all(file, chunk)
