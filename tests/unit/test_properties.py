"""Whatever a task returns comes back equal in type and content, or is refused. Never a silent change."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from include.s3_xcom import codecs
from include.s3_xcom.codecs import compression, tagged_json
from include.s3_xcom.codecs.tagged_json import runs
from include.s3_xcom.errors import FormatError, UnsupportedValueError
from tests.helpers import strategies
from tests.helpers.examples import EXAMPLES, examples
from tests.helpers.same import assert_same

# pandas warns of what some generated values do to each other, such as dates beside timestamps in one index.
pytestmark = pytest.mark.filterwarnings("ignore")


thorough = examples(EXAMPLES)
slower = examples(EXAMPLES // 2)
slowest = examples(EXAMPLES // 4)


def check(value) -> None:
    """A value of the kinds of docs/types.md: to refuse it is no success."""
    encoded = codecs.encode(value)
    event(f"codec {encoded.codec}")
    assert_same(codecs.decode(encoded.codec, bytes(encoded.body)), value)


@thorough
@given(strategies.values)
def test_any_value(value):
    check(value)


@thorough
@given(strategies.values)
def test_any_value_in_bulk(value):
    """As if any list were long enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "MIN_ITEMS", 1)
        check(value)


@slower
@given(st.sampled_from(strategies.DOCUMENTS).flatmap(lambda kind: st.lists(kind | st.none(), max_size=4)))
def test_any_list_of_documents_in_bulk(values):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "MIN_ITEMS", 1)
        check(values)


@thorough
@given(
    st.lists(strategies.values, max_size=4)
    | st.lists(st.sampled_from(strategies.CONTENTS).flatmap(lambda x: x))
)
def test_texts_of_many_values_are_those_of_each(values):
    try:
        texts = [tagged_json.dumps(value).decode() for value in values]
    except UnsupportedValueError:
        with pytest.raises(UnsupportedValueError):
            tagged_json.dumps_many(values)
    else:
        assert tagged_json.dumps_many(values) == texts
        assert_same(
            tagged_json.loads_many(",".join(texts), len(texts)), [tagged_json.loads(text) for text in texts]
        )


@slowest
@given(strategies.frames())
def test_any_frame(frame):
    check(frame)


@slower
@given(strategies.data)
def test_any_array_series_or_index(value):
    check(value)


@thorough
@given(strategies.scalars)
def test_any_short_scalar_stays_in_the_database(value):
    row = codecs.encode_small(value)
    if row is None:  # bytes are no scalar; and Airflow's migration takes NULs out
        is_long = len(tagged_json.dumps(value)) > codecs.SMALL_BYTES
        assert is_long or isinstance(value, bytes) or "\0" in str(value)
    else:
        assert_same(tagged_json.loads(row), value)


@thorough
@given(st.sampled_from(["gzip", "zstd"]), st.binary(), st.data())
def test_compressed_data_comes_back_and_altered_data_never_grows(name, data, draw):
    packed = compression.compress(name, data)
    assert compression.decompress(name, packed, len(data)) == data
    position = draw.draw(st.integers(0, len(packed) - 1))
    altered = bytearray(packed)
    altered[position] ^= draw.draw(st.integers(1, 255))
    with contextlib.suppress(FormatError):
        assert len(compression.decompress(name, bytes(altered), len(data))) == len(data)


CODECS = ["json", "tagged", "text", "zip", "npy", "parquet", "table", "arrow"]


@thorough
@given(st.sampled_from(CODECS), st.binary(max_size=200))
def test_random_bytes_are_decoded_or_refused_as_malformed(codec, body):
    with contextlib.suppress(FormatError):
        codecs.decode(codec, body)


@slower
@given(strategies.values, st.randoms(use_true_random=False))
def test_altered_objects_are_decoded_or_refused_as_malformed(value, rng: random.Random):
    try:
        encoded = codecs.encode(value)
    except UnsupportedValueError:
        return
    body = bytearray(encoded.body)
    for _ in range(rng.randint(1, 4)):
        if body:
            position = rng.randrange(len(body))
            body[position : position + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
    with contextlib.suppress(FormatError):
        codecs.decode(encoded.codec, bytes(body))


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_compression_bomb_is_refused_before_it_unfolds(name):
    bomb = compression.compress(name, bytes(50_000_000))
    with pytest.raises(FormatError):
        compression.decompress(name, bomb, 1000)
