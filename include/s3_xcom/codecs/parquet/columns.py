"""Encode a column of pandas as an Arrow array, and decode it with its dtype.

A specification, which is a JSON object, says what the array alone does not tell.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.s3_xcom.codecs import arrow, pandas_releases, tagged_json
from include.s3_xcom.codecs.parquet import arrow_columns, object_columns
from include.s3_xcom.codecs.tagged_json import zones
from include.s3_xcom.codecs.tagged_json.tags import type_name
from include.s3_xcom.errors import FormatError, UnsupportedValueError

Spec = dict[str, Any]
Values = Any  # numpy.ndarray or pandas.api.extensions.ExtensionArray


def values_of(series: pd.Series | pd.Index) -> Values:
    """Return the values as an array of numpy's if they are one, otherwise as an array of pandas'."""
    if isinstance(series, pd.RangeIndex) or isinstance(series.dtype, np.dtype):
        return series.to_numpy()
    return series.array


def joined(arrays: list[Values]) -> Values:
    """Join values of one dtype."""
    if isinstance(arrays[0], np.ndarray):
        return np.concatenate(arrays).astype(arrays[0].dtype, copy=False)  # keeps the order of bytes
    return type(arrays[0])._concat_same_type(arrays)


def to_index(values: Values, **options: Any) -> pd.Index:
    """Return an Index of exactly these values: pandas does not guess another dtype."""
    return pd.Index(values, dtype=values.dtype, **options)


def encode_freq(index: pd.Index) -> Spec:
    """Return the freq of an index, if it has one. The freq of periods belongs to their dtype.

    :raises UnsupportedValueError: if it has no name by which it can be rebuilt
    """
    if getattr(index, "freq", None) is None or isinstance(index, pd.PeriodIndex):
        return {}
    try:
        has_name = pd.tseries.frequencies.to_offset(index.freqstr) == index.freq
    except ValueError:
        has_name = False
    if not has_name:
        raise UnsupportedValueError("its index has a freq without a name. Set index.freq = None first")
    return {"freq": index.freqstr}


def with_freq(index: pd.Index, spec: Spec) -> pd.Index:
    """Set the freq of a specification on an index. Inverse of :func:`encode_freq`.

    It need not fit: pandas keeps the freq of an index through tz_convert(), although days in one zone are not
    days in another.

    :raises FormatError: if this pandas has no such freq
    """
    if "freq" not in spec:
        return index
    name = pandas_releases.freq_of_moments(spec["freq"])
    try:
        freq = pd.tseries.frequencies.to_offset(name)
    except ValueError:
        raise FormatError(
            f"Its index has the freq {name}, which pandas {pd.__version__} does not have. Pull it with the "
            "release that pushed it, or set index.freq = None before the push."
        ) from None
    try:
        index.freq = freq
    except ValueError:
        index._data._freq = freq  # pandas' methods set it like this
    return index


def encode(values: Values) -> tuple[pa.Array, Spec]:
    """Return the values of a Series or Index as Arrow, and the specification that decoding needs.

    :raises UnsupportedValueError: if they would come back changed
    """
    dtype = values.dtype
    is_numpy = isinstance(dtype, np.dtype)
    if is_numpy and dtype.kind == "O":
        return object_columns.encode(values)
    kind = "numpy" if is_numpy else _EXTENSIONS.get(type(dtype).__name__)
    if kind is None:
        raise _unsupported(dtype)
    try:
        array, spec = _KINDS[kind][0](values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        raise UnsupportedValueError(
            f"its dtype {dtype} holds what Arrow cannot ({type(error).__name__}). Convert it with astype()"
        ) from None
    return array, {"kind": kind, **spec}


def decode(array: pa.ChunkedArray, spec: Spec) -> Values:
    """Decode what :func:`encode` returned."""
    return _KINDS[spec["kind"]][1](array, spec)


def to_text(array: pa.Array | pa.ChunkedArray) -> str:
    """Return a small Arrow array as text: an Arrow IPC stream in base64."""
    sink = pa.BufferOutputStream()
    table = pa.table({"values": array})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return base64.b64encode(sink.getvalue()).decode("ascii")


def from_text(text: str) -> pa.ChunkedArray:
    """Read what :func:`to_text` returned."""
    return arrow.read_stream(base64.b64decode(text, validate=True)).column(0)


def _unsupported(dtype: Any) -> UnsupportedValueError:
    return UnsupportedValueError(f"its dtype {dtype} is not supported. Convert it with astype() first")


def _encode_numpy(values: np.ndarray) -> tuple[pa.Array, Spec]:
    dtype = values.dtype
    spec = {"dtype": dtype.str}
    native = np.ascontiguousarray(values.astype(dtype.newbyteorder("="), copy=False))
    if dtype.kind in "biu" or (dtype.kind in "mM" and np.datetime_data(dtype) in _UNITS):
        array = pa.array(native)
        return (arrow_columns.stored_seconds(array) if dtype.kind == "M" else array), spec
    if dtype.kind == "f" and dtype.itemsize <= 8:
        # A missing number is stored as null, as pandas' writer of Parquet does.
        wide = native.astype("f4") if dtype.itemsize == 2 else native  # Parquet has no half floats
        return pa.array(wide, from_pandas=True), spec
    if dtype.kind == "c" and dtype.itemsize <= 16:
        parts = [pa.array(np.ascontiguousarray(part)) for part in (native.real, native.imag)]
        return pa.StructArray.from_arrays(parts, ["real", "imag"]), spec
    raise _unsupported(dtype)


_UNITS = {(unit, 1) for unit in ("s", "ms", "us", "ns")}


def _decode_numpy(array: pa.ChunkedArray, spec: Spec) -> np.ndarray:
    dtype = np.dtype(spec["dtype"])
    if dtype.kind == "c":
        values = np.empty(len(array), dtype)
        values.real, values.imag = (pc.struct_field(array, [i]).to_numpy() for i in (0, 1))
        return values
    if dtype.kind in "mM":
        unit, _ = np.datetime_data(dtype)
        pandas_releases.require_unit(unit)
        unit = unit if pa.types.is_integer(array.type) else array.type.unit
        stored = f"{dtype.kind}8[{unit}]"
        ticks = array.cast(pa.int64()).fill_null(np.iinfo("i8").min).to_numpy()
        return _own(ticks.view(stored).astype(dtype, copy=False))
    return _own(array.to_numpy().astype(dtype, copy=False))


def _own(values: np.ndarray) -> np.ndarray:
    return values if values.flags.writeable else values.copy()


def _encode_extension(values: Values) -> tuple[pa.Array, Spec]:
    spec = pandas_releases.describe_dtype(values.dtype)
    if pandas_releases.find_dtype(spec) != values.dtype:
        raise _unsupported(repr(values.dtype))
    return pa.array(values, from_pandas=True), spec


def _decode_extension(array: pa.ChunkedArray, spec: Spec) -> Values:
    if pa.types.is_large_string(array.type) and not pandas_releases.HAS_STR:
        array = array.cast(pa.string())  # earlier releases take only string
    dtype = pandas_releases.find_dtype(spec)
    if isinstance(dtype, (pd.Float32Dtype, pd.Float64Dtype)):  # pandas 3 would make NA of NaN
        mask = array.is_null().to_numpy()
        data = array.fill_null(1.0).to_numpy().astype(dtype.numpy_dtype, copy=True)
        return pd.arrays.FloatingArray(data, mask)
    return dtype.__from_arrow__(array)


def _encode_zoned(values: Any) -> tuple[pa.Array, Spec]:
    zone = zones.describe(values.dtype.tz, None)
    if pd.DatetimeTZDtype(values.dtype.unit, zones.rebuild(zone)) != values.dtype:
        raise UnsupportedValueError(
            f"its time zone, a {type_name(type(values.dtype.tz))}, equals no other of its name. Convert it "
            "with tz_convert() to a zoneinfo.ZoneInfo or datetime.timezone first"
        )
    array, _ = _encode_numpy(values.tz_convert("UTC").tz_localize(None).to_numpy())
    unit = values.dtype.unit
    if pa.types.is_integer(array.type):
        return array, {"zone": zone, "unit": unit}
    return array.cast(pa.timestamp(unit, zone.get("name") or "UTC")), {"zone": zone, "unit": unit}


def _decode_zoned(array: pa.ChunkedArray, spec: Spec) -> Values:
    naive = _decode_numpy(array, {"dtype": f"M8[{spec['unit']}]"})
    return pd.DatetimeIndex(naive).tz_localize("UTC").tz_convert(zones.rebuild(spec["zone"])).array


def _encode_category(values: pd.Categorical) -> tuple[pa.Array, Spec]:
    categories, inner = encode(values_of(values.categories))
    codes = pa.array(values.codes, mask=values.codes < 0)
    spec = {"ordered": values.ordered, "categories": to_text(categories), "spec": inner}
    spec |= encode_freq(values.categories)
    if pa.types.is_string(categories.type) or pa.types.is_large_string(categories.type):
        return pa.DictionaryArray.from_arrays(codes.cast(pa.int32()), categories), spec
    return codes, spec


def _decode_category(array: pa.ChunkedArray, spec: Spec) -> pd.Categorical:
    categories = with_freq(to_index(decode(from_text(spec["categories"]), spec["spec"])), spec)
    if pa.types.is_dictionary(array.type):
        texts = pd.Index(from_text(spec["categories"]).to_pylist(), dtype=object)
        codes = [np.empty(0, "i4"), *(_codes(chunk, texts) for chunk in array.chunks)]
        codes = np.concatenate(codes)
    else:
        codes = array.fill_null(-1).to_numpy()
    return pd.Categorical.from_codes(codes, categories=categories, ordered=spec["ordered"])


def _codes(chunk: pa.DictionaryArray, texts: pd.Index) -> np.ndarray:
    # Parquet keeps the values of a dictionary, but not their order.
    positions = np.append(texts.get_indexer(chunk.dictionary.to_pylist()), -1)
    return positions[chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)]


def _encode_interval(values: Any) -> tuple[pa.Array, Spec]:
    (left, inner), (right, _) = (encode(values_of(side)) for side in (values.left, values.right))
    array = pa.StructArray.from_arrays([left, right], ["left", "right"])
    return array, {"closed": values.closed, "spec": inner}


def _decode_interval(array: pa.ChunkedArray, spec: Spec) -> Values:
    left, right = (to_index(decode(pc.struct_field(array, [i]), spec["spec"])) for i in (0, 1))
    return pd.arrays.IntervalArray.from_arrays(left, right, closed=spec["closed"])


def _encode_sparse(values: Any) -> tuple[pa.Array, Spec]:
    try:
        array, inner = encode(values.to_dense())
        # The type of the fill value counts, too: Sparse[float64, 0] is not Sparse[float64, 0.0].
        spec = {"fill": tagged_json.to_json(values.fill_value), "index": values.kind, "spec": inner}
        again = _decode_sparse(pa.chunked_array([array]), tagged_json.loads(tagged_json.to_text(spec)))
        is_same = _tells(again) == _tells(values)
    except (TypeError, ValueError, FormatError):  # pandas loses some fill values, or fails for them
        is_same = False
    if not is_same:
        raise _unsupported(values.dtype)
    return array, spec


def _tells(values: Any) -> tuple[Any, ...]:
    """Return the content of a sparse array in a form that can be compared."""
    content = tagged_json.dumps_many(values.sp_values.tolist())
    places = values.sp_index.to_int_index().indices.tolist()
    return repr(values.dtype), type(values.fill_value), content, places


def _decode_sparse(array: pa.ChunkedArray, spec: Spec) -> Values:
    return pd.arrays.SparseArray(decode(array, spec["spec"]), fill_value=spec["fill"], kind=spec["index"])


def _encode_arrow(values: Any) -> tuple[pa.Array, Spec]:
    array = values.__arrow_array__()
    whole = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    stored, dictionaries = arrow_columns.stored(whole)
    spec = {"type": to_text(pa.chunked_array([], array.type))}  # the type as it is in an empty array
    if from_text(spec["type"]).type != array.type:
        raise _unsupported(values.dtype)
    return stored, spec | ({"dictionaries": list(map(to_text, dictionaries))} if dictionaries else {})


def _decode_arrow(array: pa.ChunkedArray, spec: Spec) -> Values:
    dictionaries = [from_text(text).combine_chunks() for text in spec.get("dictionaries", ())]
    return pd.arrays.ArrowExtensionArray(
        arrow_columns.rebuilt(array, from_text(spec["type"]).type, dictionaries)
    )


_EXTENSIONS = {
    **dict.fromkeys(("BooleanDtype", "Float32Dtype", "Float64Dtype"), "extension"),
    **{f"{sign}Int{bits}Dtype": "extension" for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **dict.fromkeys(("PeriodDtype", "StringDtype"), "extension"),
    "ArrowDtype": "arrow",
    "CategoricalDtype": "category",
    "DatetimeTZDtype": "zoned",
    "IntervalDtype": "interval",
    "SparseDtype": "sparse",
}
_KINDS = {
    "numpy": (_encode_numpy, _decode_numpy),
    "extension": (_encode_extension, _decode_extension),
    "zoned": (_encode_zoned, _decode_zoned),
    "category": (_encode_category, _decode_category),
    "interval": (_encode_interval, _decode_interval),
    "sparse": (_encode_sparse, _decode_sparse),
    "arrow": (_encode_arrow, _decode_arrow),
    "object": (object_columns.encode, object_columns.decode),
}
