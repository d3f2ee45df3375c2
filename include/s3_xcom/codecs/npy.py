"""Arrays and scalars of numpy, in the .npy format.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Arrays of Python objects, which that
format would pickle, are stored as tagged JSON.
"""

from __future__ import annotations

import ast
import functools
import io
import math
import struct
from typing import Any

import numpy as np
from numpy.lib import format as npy

from include.s3_xcom.codecs.codec import Pulling
from include.s3_xcom.errors import FormatError, UnsupportedValueError

MAX_HEADER_BYTES = 10_000  # the longest header that numpy reads


def encode(value: Any) -> bytes | None:
    """Return an array as the bytes of an .npy file; None for arrays of Python objects and other values.

    :raises UnsupportedValueError: if its dtype would come back changed
    """
    return write(value) if type(value) is np.ndarray and value.dtype.kind != "O" else None


def decode(body: bytes | memoryview, pulling: Pulling) -> np.ndarray:
    """Decode what :func:`encode` returned.

    :raises FormatError: if the bytes are no such file
    """
    return read(body)


def write(value: np.ndarray) -> bytes:
    """Return any array as the bytes of an .npy file. Raises what :func:`encode` raises."""
    dtype = value.dtype
    if dtype.hasobject or not _is_kept(dtype):
        raise UnsupportedValueError(f"its dtype {dtype} cannot be kept. Convert it with astype() first")
    sink = io.BytesIO()
    try:
        npy.write_array(sink, value, version=(1, 0), allow_pickle=False)
    except ValueError:  # field names beyond Latin-1 need version 3
        sink = io.BytesIO()
        npy.write_array(sink, value, version=(3, 0), allow_pickle=False)
    if sink.tell() - value.nbytes > MAX_HEADER_BYTES:
        raise UnsupportedValueError("its dtype has too many fields. Return a dict of arrays")
    return sink.getvalue()


def _is_kept(dtype: np.dtype) -> bool:
    """Return whether the header of an .npy file can hold a dtype."""
    if dtype.isbuiltin == 1:
        return True
    try:
        again = npy.descr_to_dtype(npy.dtype_to_descr(dtype))
    except ValueError:  # fields that overlap
        return False
    return again == dtype and _holds_records(again) == _holds_records(dtype)


def _holds_records(dtype: np.dtype) -> bool:
    """Return whether elements are records, which compare equal to other structures but have another type."""
    fields = [field for field, *_ in (dtype.fields or {}).values()]
    return issubclass(dtype.type, np.record) or any(
        map(_holds_records, [*fields, *(dtype.subdtype or ())[:1]])
    )


def read(body: bytes | memoryview) -> np.ndarray:
    """Read what :func:`write` returned. Raises what :func:`decode` raises."""
    shape, fortran_order, dtype, start = read_header(body)
    # The data must be as long as the header says, before anything is allocated.
    size = math.prod(shape) * dtype.itemsize
    if size != len(body) - start:
        raise FormatError("The stored array is shorter or longer than its header says.")
    if size == 0:
        return np.zeros(shape, dtype, order="F" if fortran_order else "C")
    flat = np.empty(math.prod(shape), dtype)
    flat.view(np.uint8)[:] = np.frombuffer(body, np.uint8, offset=start)  # and the bytes between fields
    return flat.reshape(shape, order="F" if fortran_order else "C")


@functools.lru_cache(maxsize=64)
def _parsed(header: str) -> dict[str, Any]:
    """Parse the header of an .npy file; cached, as many small arrays share one, and parsing is slow."""
    return ast.literal_eval(header)


def read_header(body: bytes | memoryview) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Return the shape, whether the order is Fortran's, the dtype, and the start of the data of an .npy file.

    numpy's functions for this read only two of the three versions.
    """
    version = npy.read_magic(io.BytesIO(body[: npy.MAGIC_LEN]))
    form, encoding = {(1, 0): ("<H", "latin1"), (2, 0): ("<I", "latin1"), (3, 0): ("<I", "utf-8")}[version]
    (length,) = struct.unpack_from(form, body, npy.MAGIC_LEN)
    if length > MAX_HEADER_BYTES:
        raise FormatError("The stored array has a header that no push writes.")
    start = npy.MAGIC_LEN + struct.calcsize(form)
    header = _parsed(bytes(body[start : start + length]).decode(encoding).strip())
    shape, dtype = header["shape"], npy.descr_to_dtype(header["descr"])
    if dtype.hasobject or type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
        raise FormatError("The stored array has a header that no push writes.")
    return shape, header["fortran_order"] is True, dtype, start + length
