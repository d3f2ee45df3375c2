"""Keys and references: readable, reversible, and not to be led astray."""

from __future__ import annotations

import json

import pytest

from include.s3_xcom.errors import BadReferenceError
from include.s3_xcom.keys import Owner, make_stem, parse_key
from include.s3_xcom.reference import ObjectInfo, Reference, check, parse_reference
from include.s3_xcom.settings import Settings

SETTINGS = Settings(bucket="data", prefix="team/xcom")
OWNER = Owner("TestDag", "manual__2026-01-01T00:00:00+00:00", "Get_Data", -1, "return_value")
HEAD = (
    "team/xcom/dag_id=TestDag/run_id=manual__2026-01-01T00%3A00%3A00%2B00%3A00/task_id=Get_Data/map_index=-1/"
)


def fields(**changes) -> dict:
    key = HEAD + "return_value-" + "0" * 32 + ".json"
    reference = Reference("data", key, 10, '"etag"', ObjectInfo("json", "list", [3]))
    return {**json.loads(reference.to_json()), **changes}


def checked(parsed: dict) -> Reference:
    reference = parse_reference(parsed)
    check(reference, SETTINGS)
    return reference


def test_a_key_shows_the_xcom_and_is_new_each_time():
    keys = {make_stem(SETTINGS, OWNER) + ".json" for _ in range(3)}
    assert len(keys) == 3
    for key in keys:
        assert key.startswith(HEAD + "return_value-")
        assert key.endswith(".json")
        assert parse_key(key) == OWNER


@pytest.mark.parametrize(
    "text",
    ["a/b", "..", ".", "a=b", "per%cent", "sp ace", "naïve", "日本", "a+b:c", "?#&\\\n", "~", "-" * 40],
)
def test_ids_stay_in_their_segment_and_come_back(text):
    owner = Owner(text, text, text, 3, text)
    key = make_stem(SETTINGS, owner) + ".parquet"
    assert key.count("/") == 6
    assert "/../" not in key
    assert parse_key(key) == owner
    assert checked(fields(key=key)).owner == owner


def test_the_longest_ids_fit_into_a_key_and_stay_apart():
    owners = [Owner("日" * 249 + end, "%" * 250, "x" * 250, 1023, "k" * 512) for end in "ab"]
    keys = [make_stem(Settings("b", "p" * 60), owner) + ".parquet" for owner in owners]
    assert all(len(key.encode()) <= 1024 for key in keys)
    assert parse_key(keys[0]).dag_id != parse_key(keys[1]).dag_id


def test_a_reference_says_for_people_what_and_where():
    line = str(parse_reference(fields(type="pandas.DataFrame", shape=[1000, 6], size=2048)))
    assert line.startswith("pandas.DataFrame (1,000 x 6), 2.0 KiB, s3://data/team/xcom/dag_id=TestDag/")


@pytest.mark.parametrize(
    "changes",
    [
        {"bucket": "other"},
        {"key": "team/xcom2/" + HEAD.removeprefix("team/xcom/") + "k-" + "0" * 32 + ".json"},
        {"key": HEAD + "../../../secret-" + "0" * 32 + ".json"},
        {"key": "team/xcom/../../etc/passwd"},
        {"key": "/" + HEAD + "k-" + "0" * 32 + ".json"},
        {"key": HEAD + "k-" + "0" * 32 + ".json\n"},
        {"key": ""},
    ],
    ids=["bucket", "longer prefix", "dots", "no xcom", "slash", "newline", "empty"],
)
def test_a_reference_is_not_followed_out_of_bucket_and_prefix(changes):
    with pytest.raises(BadReferenceError, match="leads out"):
        checked(fields(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"key": 5},
        {"size": -1},
        {"size": True},
        {"shape": "x"},
        {"shape": [1.5]},
        {"etag": None},
        {"version": 0},
    ],
    ids=repr,
)
def test_a_malformed_reference_is_refused(changes):
    with pytest.raises(BadReferenceError):
        parse_reference(fields(**changes))


def test_a_newer_reference_asks_for_an_update():
    with pytest.raises(BadReferenceError, match="Update include/"):
        parse_reference(fields(version=2))
