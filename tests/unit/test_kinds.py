"""Every kind of value of docs/types.md."""

from __future__ import annotations

import pytest

from include.s3_xcom import codecs
from include.s3_xcom.codecs import tagged_json
from include.s3_xcom.errors import FormatError, UnsupportedValueError
from tests.helpers import kinds
from tests.helpers.same import assert_same, round_trip

KEPT = {
    name: make for group, makes in kinds.KINDS.items() for name, make in makes.items() if group != "Refused"
}
CLASSES = next(makes for group, makes in kinds.KINDS.items() if group.startswith("Classes"))


@pytest.fixture(autouse=True)
def admit(monkeypatch):
    classes = r"airflow\..* tests\.helpers\.kinds\..*"
    monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", classes)


@pytest.mark.parametrize("name", KEPT)
def test_it_comes_back_equal(name):
    assert_same(round_trip(KEPT[name]()), KEPT[name]())


@pytest.mark.parametrize("name", KEPT)
def test_it_comes_back_equal_from_within_containers(name):
    value = {"k": [(KEPT[name](), 1)]}
    assert_same(round_trip(value), {"k": [(KEPT[name](), 1)]})


@pytest.mark.parametrize("name", KEPT)
def test_it_comes_back_equal_from_the_database_if_it_stays_there(name):
    row = codecs.encode_small(KEPT[name]())
    if row is not None:
        assert_same(tagged_json.loads(row), KEPT[name]())


@pytest.mark.parametrize("name", kinds.KINDS["Refused"])
def test_it_is_refused(name):
    value = kinds.KINDS["Refused"][name]()
    for pushed in (value, {"k": [value]}):
        with pytest.raises(UnsupportedValueError):
            codecs.encode(pushed)


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_rebuilt_only_where_airflow_admits_them(name, monkeypatch):
    encoded = codecs.encode(CLASSES[name]())
    monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", r"airflow\..*")
    with pytest.raises(FormatError, match="allowed_deserialization_classes"):
        codecs.decode(encoded.codec, bytes(encoded.body))
    with pytest.raises(UnsupportedValueError, match="allowed_deserialization_classes"):
        codecs.encode(CLASSES[name]())


def test_the_page_of_types_is_up_to_date():
    assert kinds.PAGE.read_text() == kinds.page(), "run make docs"
