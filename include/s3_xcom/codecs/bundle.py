"""Values that hold frames, arrays or much binary data: a ZIP archive of ``value.json`` and other members.

Members are not compressed: they are dense already, and a reader never allocates more than it has read.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.codecs.codec import Pulling
from include.s3_xcom.errors import FormatError

VALUE = "value.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # fixed, so that equal values make equal bytes


class Archive:
    """An archive that is being written."""

    def __init__(self) -> None:
        self._members: list[tuple[str, bytes | memoryview]] = []

    @property
    def count(self) -> int:
        return len(self._members)

    def add(self, suffix: str, data: bytes | memoryview) -> str:
        """Store one member.

        :return: its name
        """
        name = f"{self.count}{suffix}"
        self._members.append((name, data))
        return name

    def finish(self, text: bytes) -> bytes:
        """Return the bytes of the archive.

        :param text: JSON that refers to the other members by name
        """
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
            while self._members:
                name, data = self._members.pop(0)  # freed when it is written
                archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
            archive.writestr(zipfile.ZipInfo(VALUE, EPOCH), text)
        # Not a view: Python before 3.12.7 may crash when it collects both (its issue 77894).
        return sink.getvalue()


def decode(body: bytes | memoryview, pulling: Pulling) -> Any:
    """Read the value of an archive. Raises what :func:`read` raises."""
    return tagged_json.loads(*read(body), pulling.find_file)


def read(body: bytes | memoryview) -> tuple[bytes, dict[str, bytes]]:
    """Read the JSON and the other members of an archive.

    :raises FormatError: if a member is compressed, or the members together are longer than the archive
    """
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        members = archive.infolist()
        stored = all(
            m.compress_type == zipfile.ZIP_STORED and m.file_size == m.compress_size for m in members
        )
        if not stored or sum(m.file_size for m in members) > len(body):
            raise FormatError(
                "The stored archive is compressed, or its members overlap; no push writes that."
            )
        parts = {member.filename: archive.read(member) for member in members}
    return parts.pop(VALUE), parts
