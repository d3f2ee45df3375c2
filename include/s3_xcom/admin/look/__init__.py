"""A view of one object: what is in it, found by reading little of it.

It takes at most 4 requests and 2 MiB, whatever the size of the object. No user's class is loaded, and no
pickle. The bytes are decoded in another process (:mod:`.apart`).
"""

from __future__ import annotations

from collections.abc import Iterator

from include.s3_xcom.admin.look import apart
from include.s3_xcom.admin.look.apart import BusyError
from include.s3_xcom.admin.look.limited import LimitedFile
from include.s3_xcom.admin.look.shown import At, Shown, rebuilt
from include.s3_xcom.errors import format_errors
from include.s3_xcom.reference import check
from include.s3_xcom.s3.errors import located
from include.s3_xcom.s3.ranges import Span

__all__ = ["At", "BusyError", "LimitedFile", "Shown", "look"]


def look(file: LimitedFile, at: At) -> Shown:
    """Return what to show of an object.

    :param file: the object
    :param at: row, column and element to start from
    :raises StorageError: if S3 does not give it
    :raises FormatError: if the object is in another format, or takes too much memory or time
    :raises BusyError: if too many objects are being looked at already
    """
    reference = file.reference
    check(reference, file.settings)
    if reference.info.codec == "pickle":
        return Shown(["It is a pickle. Those are never loaded just to be looked at."])

    def give(spans: list[Span]) -> tuple[int, Iterator[bytes]]:
        file.fetch(spans)
        return file.bytes_left, (file.part(*span) for span in spans)

    with located(reference):
        job = {"left": file.bytes_left, "at": [at.row, at.column, at.element]}
        [shown] = apart.run("look", reference, job, give)
        with format_errors(reference.info.codec):
            return rebuilt(Shown, shown)
