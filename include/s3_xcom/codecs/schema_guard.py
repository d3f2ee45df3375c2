"""Checks of schemas from which pyarrow before 14.0.1 would unpickle code.

https://nvd.nist.gov/vuln/detail/CVE-2023-47248: any file that names this extension type is enough. So the
schema is checked before pyarrow sees the file.
"""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING

from include.s3_xcom.errors import FormatError

if TYPE_CHECKING:
    import pyarrow

PICKLED_TYPE = b"arrow.py_extension_type"

# Base64 makes four characters of three bytes, so the encoded name depends on the position where the name
# starts. Characters at both ends also depend on the neighbours, and are left out.
_IN_BASE64 = [base64.b64encode(bytes(before) + PICKLED_TYPE)[4 if before else 0 : -4] for before in range(3)]

_LENGTH = struct.Struct("<i")
_MARKER = b"\xff\xff\xff\xff"


def check_schema(schema: bytes | memoryview) -> None:
    """Refuse a schema, as the bytes of Arrow's format, that names a pickled type.

    :raises FormatError: if it names one
    """
    if PICKLED_TYPE in bytes(schema):
        raise FormatError("The stored data has a pickled type of pyarrow, which is not read.")


def check_own(schema: pyarrow.Schema) -> None:
    """Refuse to write a schema that would be refused when read, also one in the metadata of columns.

    Raises what :func:`check_schema` raises.
    """
    written = schema.serialize().to_pybytes()
    if any(text in written for text in (PICKLED_TYPE, *_IN_BASE64)):
        check_schema(PICKLED_TYPE)


def check_parquet(body: bytes | memoryview) -> None:
    """Refuse a Parquet file with such a schema, which is in its footer, in base64.

    Raises what :func:`check_schema` raises. https://parquet.apache.org/docs/file-format/
    """
    footer = bytes(body[-8 - int.from_bytes(body[-8:-4], "little") :])
    if any(text in footer for text in _IN_BASE64):
        check_schema(PICKLED_TYPE)


def check_stream(data: bytes | memoryview) -> None:
    """Refuse an Arrow IPC stream with such a schema, which is its first message.

    Raises what :func:`check_schema` raises.
    https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
    """
    start = 8 if data[:4] == _MARKER else 4  # the marker came with version 0.15
    (length,) = _LENGTH.unpack(data[start - 4 : start])
    check_schema(data[start : start + max(0, length)])


def check_file(data: bytes | memoryview) -> None:
    """Refuse an Arrow IPC file with such a schema, which is at the start, and again in the footer.

    Raises what :func:`check_schema` raises.
    https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format
    """
    (length,) = _LENGTH.unpack(data[-10:-6])
    check_schema(data[-10 - max(0, length) : -10])
    check_stream(data[8:])
