"""Where the elements of a mapped sequence lie."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.s3_xcom.errors import BadReferenceError, FormatError
from include.s3_xcom.mapped.block_check import CHECK_BYTES, AlteredError, lines_of, seal, unseal
from include.s3_xcom.mapped.layout import (
    BLOCK_BYTES,
    ENTRY_BYTES,
    MAX_PADDING,
    MAX_RUNS,
    Layout,
    Planner,
    from_entry,
    gather,
)


def lay_out(sizes: list[int]) -> tuple[Layout, bytes]:
    """Lines of these sizes, each with its number, as an object starting with a head of 7 bytes."""
    planner = Planner(7)
    lines = (b"%d" % number + b"x" * size + b"\n" for number, size in enumerate(sizes))
    body = b"".join([b"\0" * 7, *gather(lines, planner), planner.index()])
    return planner.layout(), body


def find(layout: Layout, body: bytes, number: int) -> tuple[bytes, int]:
    """An element as a reader finds it, and the bytes of its block."""
    block = layout.find(number)
    if block is None:
        entry = layout.entry(number)
        block = from_entry(body[entry : entry + ENTRY_BYTES])
    data = body[block.offset : block.end]
    return lines_of(data, block.first)[number - block.first], len(data)


@given(st.lists(st.integers(0, 200) | st.integers(0, 100_000), max_size=60))
@example([0, 0, 0, 0, 0, 87, 113, 157, 191, 1265, 2126, 1845, 280, 59238, 200, 65533])
@example([40_000, 25_000] + [1, 69_000] * 3 + [100, 69_500] * 10)
def test_every_element_is_found_in_its_block(sizes):
    layout, body = lay_out(sizes)
    layout = Layout.from_json(json.loads(json.dumps(layout.to_json())))
    assert layout.length == len(sizes)
    for number, size in enumerate(sizes):
        line, block_bytes = find(layout, body, number)
        assert line == b"%d" % number + b"x" * size
        assert block_bytes <= max(BLOCK_BYTES + MAX_PADDING, len(line) + 1 + CHECK_BYTES + 2 * MAX_PADDING)


@pytest.mark.parametrize(("size", "length"), [(300, 10_000), (20_000, 1000), (200_000, 100)])
def test_elements_of_like_size_need_no_index(size, length):
    layout, body = lay_out([size + i % 7 for i in range(length)])
    assert layout.indexed_from == length
    assert len(layout.runs) <= 3
    assert len(body) < length * (size + 10) * 1.08


def test_a_block_of_small_elements_holds_about_64_kib():
    layout, _ = lay_out([500] * 5000)
    assert layout.runs[0].elements * 500 == pytest.approx(BLOCK_BYTES, rel=0.05)


def test_padding_does_not_swell_what_varies():
    sizes = [10 if i % 100 else 50_000 for i in range(20_000)]
    _, body = lay_out(sizes)
    assert len(body) < sum(sizes) * 1.2


@pytest.mark.parametrize("length", [10, 1000, 10_000])
def test_the_layout_stays_small_however_many_elements_there_are(length):
    layout, _ = lay_out([(i * 7919) % 3000 * (i % 3) for i in range(length)])
    assert len(layout.runs) <= MAX_RUNS
    assert len(json.dumps(layout.to_json())) < 700


def test_a_check_is_whitespace_two_bits_a_character():
    found = {seal(b"", crc, CHECK_BYTES): crc for crc in (0, 0xE4000000, 0xFFFFFFFF)}
    assert found == {b" " * 16: 0, b"\n\r\t" + b" " * 13: 0xE4000000, b"\n" * 16: 0xFFFFFFFF}


@given(st.binary(max_size=40), st.integers(0, 2**40), st.integers(0, 20), st.data())
def test_a_block_is_unsealed_only_as_it_was_sealed_and_where_it_was(content, first, padding, data):
    content = content.rstrip(b" ")
    block = content + seal(content, first, len(content) + padding + CHECK_BYTES)
    assert unseal(block, first) == content
    position = data.draw(st.integers(0, len(block) - 1))
    flipped = block[position] ^ data.draw(st.integers(1, 255))
    altered = block[:position] + bytes([flipped]) + block[position + 1 :]
    for other, number in [(altered, first), (block, first + 1), (block[:-1], first), (block[1:], first)]:
        with pytest.raises(AlteredError):
            unseal(other, number)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"length": 1, "start": 0, "index": 5, "runs": [[1, 0, 5]]},
        {"length": 1, "start": 0, "index": 5, "runs": [[1, 1, 0]]},
        {"length": -1, "start": 0, "index": 5, "runs": []},
        {"length": 1, "start": "0", "index": 5, "runs": []},
        {"length": 1, "start": 0, "index": 5, "runs": [[1, 1]]},
        {"length": 1, "start": 0, "index": 5, "runs": 7},
    ],
)
def test_a_layout_that_no_push_writes_is_refused(fields):
    with pytest.raises(BadReferenceError, match="layout"):
        Layout.from_json(fields)


@pytest.mark.parametrize("entry", [b"", b"A" * 19, b"!" * 20, b"A" * 24])
def test_a_damaged_index_is_refused(entry):
    with pytest.raises(FormatError, match="index"):
        from_entry(entry)
