"""What one release of pandas pushes, another pulls; or it says which it takes."""

from __future__ import annotations

from typing import Any

import pytest

from include.s3_xcom import codecs
from include.s3_xcom.errors import FormatError
from tests.helpers import other_pandas
from tests.helpers.same import assert_same

PUSHED = {path.stem: other_pandas.read(path) for path in sorted(other_pandas.FIXTURES.glob("pandas-*.zip"))}


def pulled(release: str, name: str) -> Any:
    return codecs.decode(*PUSHED[release][name])


def test_there_are_fixtures_of_each_line_of_releases():
    assert {release.split(".")[0] for release in PUSHED} == {"pandas-1", "pandas-2", "pandas-3"}


@pytest.mark.parametrize(
    ("release", "name"),
    [(release, name) for release in PUSHED for name in PUSHED[release] if name != "labels"],
)
def test_it_is_pulled_as_it_was_pushed_or_refused(release, name):
    expected = other_pandas.make(name)
    if expected is None:
        with pytest.raises(FormatError, match=r"which pandas has since 2\.\d; this machine has pandas \d"):
            pulled(release, name)
    else:
        assert_same(pulled(release, name), expected)


@pytest.mark.parametrize("release", PUSHED)
def test_labels_of_columns_are_the_same_texts(release):
    frame = pulled(release, "labels")
    assert list(frame.columns) == ["a", "b"]
    assert frame.to_dict("list") == {"a": [1], "b": [2.5]}
    expected = {"object", "str"} if release == "pandas-3.0" else {"object"}
    assert str(frame.columns.dtype) in expected
