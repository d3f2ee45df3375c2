"""Scalars and dtypes of numpy, and arrays of Python objects. Other arrays are separate objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from include.s3_xcom.codecs import npy
from include.s3_xcom.codecs.tagged_json.tags import (
    TaggedType,
    as_list,
    as_str,
    from_base64,
    tag,
    to_base64,
)
from include.s3_xcom.errors import FormatError, UnsupportedValueError

if TYPE_CHECKING:
    from include.s3_xcom.codecs.tagged_json.engine import Encoder


def _scalar_out(encoder: Encoder, value: np.generic) -> Any:
    """Encode a scalar as the .npy file of an array without dimensions."""
    array = np.empty((), value.dtype)
    array[()] = value
    if type(array[()]) is not type(value) or not _same(array[()], value):
        raise UnsupportedValueError("numpy does not keep it in an array. Return value.item()")
    # longlong is another type than int64, but numpy's files and == do not tell their dtypes apart.
    char = value.dtype.char
    fields = {} if np.dtype(value.dtype.str).char == char else {"char": char}
    return tag("numpy.scalar", to_base64(npy.write(array)), **fields)


def _scalar_back(value: str, char: str = "") -> np.generic:
    array = npy.read(from_base64(value))
    if array.shape:
        raise FormatError("The stored scalar is an array.")
    return array.astype(as_str(char))[()] if char else array[()]


def _same(one: Any, other: Any) -> bool:
    return one.tobytes() == other.tobytes() if one.dtype.kind in "V" else bool(one == other or other != other)


def _dtype_out(encoder: Encoder, value: np.dtype) -> Any:
    text = to_base64(npy.write(np.empty(0, value)))
    if _dtype_back(text) != value:  # it has an array within, or texts without a length
        raise UnsupportedValueError("the dtype is none that an array has. Return str(...) of it")
    return tag("numpy.dtype", text)


def _dtype_back(value: str) -> np.dtype:
    return npy.read(from_base64(value)).dtype


def _objects_out(encoder: Encoder, value: np.ndarray) -> Any:
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    items = encoder.sequence(value, list(value.ravel(order)))
    return tag("numpy.objects", items, shape=list(value.shape), order=order)


def _objects_back(value: list, shape: list, order: str) -> np.ndarray:
    flat = np.empty(len(as_list(value)), dtype=object)
    for position, item in enumerate(value):  # a slice assignment would unpack nested lists
        flat[position] = item
    return flat.reshape(tuple(as_list(shape)), order=as_str(order))


TYPES = [
    TaggedType("numpy.scalar", (np.generic,), _scalar_out, _scalar_back, exact=False),
    TaggedType("numpy.dtype", (np.dtype,), _dtype_out, _dtype_back, exact=False, scalar=False),
    TaggedType("numpy.objects", (np.ndarray,), _objects_out, _objects_back, scalar=False),
]
