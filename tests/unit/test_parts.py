"""How bytes that come piece by piece are gathered into the parts of an upload."""

from __future__ import annotations

import pytest

from include.s3_xcom.s3 import parts


@pytest.mark.parametrize(
    ("pieces", "sizes"),
    [
        ([b"x" * 30], [10, 10, 10]),
        ([b"x" * 25], [10, 10, 5]),
        ([b"x"] * 21, [10, 10, 1]),
        ([b"x" * 7, b"", b"x" * 7], [10, 4]),
        ([b"x" * 10], [10]),
    ],
    ids=["a multiple", "with a rest", "byte by byte", "an empty piece", "one part"],
)
def test_no_part_is_empty_and_none_but_the_last_is_short(monkeypatch, pieces, sizes):
    monkeypatch.setattr(parts, "PART_BYTES", 10)
    made = list(parts.gather(iter(pieces)))
    assert [len(part) for part in made] == sizes
    assert b"".join(made) == b"".join(pieces)


def test_parts_grow_so_that_a_large_object_fits(monkeypatch):
    monkeypatch.setattr(parts, "PART_BYTES", 1)
    sizes = [len(part) for part in parts.gather(iter([b"x" * 4000]))]
    assert (sizes[0], sizes[999], sizes[1000], sizes[1999], sizes[2000]) == (1, 1, 2, 2, 3)
    assert sum(sizes) == 4000
