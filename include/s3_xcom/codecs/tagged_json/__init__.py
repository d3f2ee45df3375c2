"""Python values as JSON: plain if JSON can hold them, otherwise tagged."""

from __future__ import annotations

from include.s3_xcom.codecs.codec import Pulling
from include.s3_xcom.codecs.tagged_json.engine import (
    MAX_SHORT,
    NO_FILE,
    Parts,
    dumps,
    dumps_plain,
    is_lazy_sequence,
    is_scalar,
    join_scalars,
    loads,
    to_json,
    to_text,
    unwrap,
)
from include.s3_xcom.codecs.tagged_json.lines import (
    are_plain_names,
    dumps_lines,
    dumps_many,
    dumps_table,
    loads_many,
)
from include.s3_xcom.codecs.tagged_json.runs import are_plain

__all__ = [
    "MAX_SHORT",
    "NO_FILE",
    "Parts",
    "are_plain",
    "are_plain_names",
    "decode",
    "dumps",
    "dumps_lines",
    "dumps_many",
    "dumps_plain",
    "dumps_table",
    "is_lazy_sequence",
    "is_scalar",
    "join_scalars",
    "loads",
    "loads_many",
    "to_json",
    "to_text",
    "unwrap",
]


def decode(body: bytes | memoryview, pulling: Pulling) -> object:
    """Return the value of an object of tagged JSON. Raises what :func:`loads` raises."""
    return loads(bytes(body), {}, pulling.find_file)
