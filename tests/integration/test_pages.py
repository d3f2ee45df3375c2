"""The pages about the data of XComs, as any web framework passes them on."""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.s3_xcom import File, batches, items, keys, rows
from include.s3_xcom.admin import browse
from include.s3_xcom.admin.look import apart
from include.s3_xcom.keys import Owner
from include.s3_xcom.push import push
from include.s3_xcom.s3.listings import Page
from include.s3_xcom.s3.store import Store
from tests.helpers import hostile
from tests.helpers.requests import asked
from tests.helpers.visitor import Visitor, links, more_memory, url

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024


@pytest.fixture
def visitor(prefix) -> Visitor:
    return Visitor()


def put(s3, prefix: str, body: bytes, *, suffix: str = ".json", dag: str = "dag", **metadata: str) -> str:
    """An object that no push made.

    :return: the address of its page
    """
    key = f"{prefix}/dag_id={dag}/run_id=run/task_id=task/map_index=-1/key-{'0' * 32}{suffix}"
    s3.put_object(Key=key, Body=body, Metadata=metadata)
    return url("object", key=key)


def test_from_the_dags_to_a_cell(visitor, new_task):
    task = new_task("a dag: +% <b>", "a task")
    task.push(pd.DataFrame({"name": ["first", "second <i>"]}))
    dags = visitor.text("/listing")
    assert "a dag: +% &lt;b&gt;" in dags
    [dag] = links(dags, "a dag: +%")
    [run] = links(visitor.text(dag), "manual__")
    objects = visitor.text(run)
    assert "pandas.DataFrame (2 x 1)" in objects
    [one] = links(objects, "a task")
    page = visitor.text(one)
    assert "second &lt;i&gt;" in page
    assert "/task/a task" in links(page)
    assert "This look took 1 request" in page
    [back] = links(page, "manual__")
    assert links(visitor.text(back)) == links(objects)


def test_a_page_of_a_listing_costs_one_list(visitor, prefix):
    for number in range(250):
        push(
            [number],
            Owner("dag", f"manual__2026-01-01T00:00:{number % 5:02d}+00:00", f"task {number}", -1, "key"),
        )
    run = url("listing", dag="dag", run="manual__2026-01-01T00%3A00%3A00%2B00%3A00")
    for address in ("/listing", url("listing", dag="dag"), run):
        with asked(hasty=True) as seen:
            visitor.text(address)
        assert [name for name, _ in seen] == ["ListObjectsV2"]
    runs = visitor.text(url("listing", dag="dag"))
    assert re.findall(r"00:00:0\d", runs)[::-1] == sorted(re.findall(r"00:00:0\d", runs))
    assert len(links(visitor.text(run), "task")) == 50
    assert len(links(visitor.text(f"{run}&q=task 20"), "task")) == 3


def test_a_long_listing_has_pages(visitor, prefix, monkeypatch):
    monkeypatch.setattr(browse, "OBJECTS", 4)
    monkeypatch.setattr(browse, "FOLDERS", 3)
    for number in range(10):
        push([number], Owner(f"dag {number}", "run", "task", -1, "key"))
        push([number], Owner("one", "run", f"task {number}", -1, "key"))
    for address, words, count in (
        ("/listing", "dag ", 10),
        (url("listing", dag="one", run="run"), "task ", 10),
    ):
        found, pages = [], 0
        while address:
            text = visitor.text(address)
            found += links(text, words)
            address = next(iter(links(text, "Next page")), None)
            pages += 1
        assert len(set(found)) == len(found) == count
        assert pages >= 3
    assert len(links(visitor.text(url("listing", q="dag 7")), "dag ")) == 1


def test_an_orphan_and_a_file_within_a_value_are_named_as_what_they_are(visitor, task, tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    push([1], Owner("dag", "run", "task", -1, "orphan"))
    task.push({"file": File(tmp_path / "a.csv")})
    [dag] = links(visitor.text("/listing"), "a dag")
    text = visitor.text(links(visitor.text(dag), "manual__")[0])
    assert text.count("<td>yes</td>") == 2
    assert "File within a value" in text
    assert "<td>no</td>" in visitor.text(url("listing", dag="dag", run="run"))


def test_expiry_is_told_where_objects_expire(visitor, task, monkeypatch):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__RETENTION_DAYS", "3")
    listed, page = [], Store.page

    def noting(*arguments: Any, **options: Any) -> Page:
        found = page(*arguments, **options)
        listed.extend(found.objects)
        return found

    monkeypatch.setattr(Store, "page", noting)
    task.push([1])
    text = visitor.text(
        url("listing", dag="a%20dag", run=task.object_key().split("/")[2].removeprefix("run_id="))
    )
    [each] = listed
    assert f'<td class="number">{"2 d 23 h" if each.age else "3 d"}</td>' in text


def test_who_may_not_read_a_dag_sees_nothing_of_it(prefix):
    push({"a": "secret"}, Owner("mine", "run", "task", -1, "key"))
    push({"a": "secret"}, Owner("yours", "run", "task", -1, "key"))
    push({"a": "secret"}, Owner("long " * 100, "run", "task", -1, "key"))
    everything = Visitor()
    mine = Visitor(lambda dag: dag.is_whole and dag.text == "mine")
    assert "mine" in mine.text("/listing")
    assert "yours" not in mine.text("/listing")
    assert "long" not in mine.text("/listing")
    for dag in ("yours", links(everything.text("/listing"), "long")[0].partition("dag=")[2]):
        listing = f"/listing?dag={dag}"
        [run] = links(everything.text(listing), "run")
        [one] = links(everything.text(run), "task")
        download, *_ = links(everything.text(one), "Download")
        for address in (listing, run, one, download, f"{download}&as=csv"):
            text = mine.text(address, 404)
            assert "secret" not in text
            assert "you may not read" in text
    assert len(links(mine.text(url("listing", dag="mine")), "run")) == 1


@pytest.mark.parametrize(
    "address",
    [
        "/object?key=../../etc/passwd",
        "/object?key=",
        "/object",
        "/download?key=x",
        "/asset?name=../site.py",
        "/listing?run=run",
        url("object", key="other/dag_id=a/run_id=b/task_id=c/map_index=-1/key-" + "0" * 32),
        url("object", key="deployment/dag_id=a/run_id=b/task_id=c/map_index=-1/key-" + "0" * 32),
    ],
)
def test_what_is_no_address_of_an_xcom_is_not_found(visitor, address):
    assert 'role="alert"' in visitor.text(address, 404)


def test_an_object_as_it_is_and_as_csv(visitor, task, s3):
    frame = pd.DataFrame(
        {"n": range(50_000), "t": [f'text "{i}", \n' for i in range(50_000)], "x": [None, 1.5] * 25_000}
    )
    for value in (frame, rows(frame), batches(frame, 7000), batches([frame[:100], frame[100:]])):
        task.push(value)
        key = task.object_key()
        answer = visitor.get(url("download", key=key))
        body = s3.Object(key).get()["Body"].read()
        assert b"".join(answer.body) == body
        assert answer.headers["Content-Length"] == str(len(body))
        assert (
            answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''task-return_value.parquet"
        )
        assert answer.headers["Content-Type"] == "application/octet-stream"
        text = visitor.content(url("download", key=key, **{"as": "csv"})).decode()
        pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text)), frame)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (pd.Series([1, 2], name="s", index=["a", "b"]), [["", "s"], ["a", "1"], ["b", "2"]]),
        (pd.Index(["a"], name="i"), [["i"], ["a"]]),
        (pd.array([1, None], "Int64"), [["values"], ["1"], [""]]),
        (pd.DataFrame({"a": []}), [["a"]]),
        (pa.table({"a": [1]}), [["a"], ["1"]]),
    ],
)
def test_what_else_is_a_table_has_a_csv_too(visitor, task, value, expected):
    task.push(value)
    text = visitor.content(url("download", key=task.object_key(), **{"as": "csv"})).decode()
    assert [row for row in csv.reader(io.StringIO(text)) if row] == expected


def test_every_row_of_a_csv_is_one_row(visitor, task):
    expected = [["x\ry", "1"], ["z\n", "2"], ["\r\n", "3"]]
    task.push(pd.DataFrame({"a": [text for text, _ in expected], "b": [1, 2, 3]}))
    text = visitor.content(url("download", key=task.object_key(), **{"as": "csv"})).decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["a", "b"], *expected]


def test_a_csv_holds_the_numbers_that_were_pushed(visitor, task):
    numbers = [2**53 + 1, *[1] * 10_000, None, 2**62]
    task.push(pa.table({"a": numbers}))
    text = visitor.content(url("download", key=task.object_key(), **{"as": "csv"})).decode()
    assert text.splitlines()[1:] == ["" if number is None else str(number) for number in numbers]
    wide = pd.DataFrame([range(400)] * 20)
    task.push(batches(wide, 5))
    text = visitor.content(url("download", key=task.object_key(), **{"as": "csv"})).decode()
    assert [len(row) for row in csv.reader(io.StringIO(text))] == [400] * 21
    task.push(pd.MultiIndex.from_arrays([[1], [2]], names=["a", "a"]))
    text = visitor.content(url("download", key=task.object_key(), **{"as": "csv"})).decode()
    assert text.splitlines() == ["a,a", "1,2"]


def csv_of(visitor: Visitor, task: Any, value: Any, form: str = "csv") -> str:
    task.push(value)
    content = visitor.content(url("download", key=task.object_key(), **{"as": form}))
    return content.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda frame: frame,
        rows,
        lambda frame: batches(frame, 7000),
        lambda frame: batches([frame[:12_000], frame[12_000:]]),
        lambda frame: pa.table({"day": pa.array(frame["day"]), "n": frame["n"]}),
        lambda frame: frame.set_index("day"),
        lambda frame: frame.set_index(["day", "n"]),
    ],
    ids=["frame", "rows", "batches", "chunks", "table", "index", "levels"],
)
def test_times_have_one_format_in_all_of_a_csv(visitor, task, wrap):
    count = 25_000
    days = pd.Series([pd.Timestamp("2026-01-01")] * count)
    spans = pd.Series([pd.Timedelta(days=1)] * count)
    frame = pd.DataFrame(
        {
            "day": days.where(days.index != count - 1, pd.Timestamp("2026-01-01 00:00:00.000005")),
            "n": range(count),
            "zoned": days.dt.tz_localize("Europe/Berlin"),
            "span": spans.where(spans.index != count - 1, pd.Timedelta(microseconds=-1)),
            "time": [datetime.time(1)] * (count - 1) + [datetime.time(1, 0, 0, 1)],
            "date": [datetime.date(2026, 1, 1)] * count,
            "x": [1.0] * (count - 1) + [1e-9],
        }
    )
    found = pd.read_csv(io.StringIO(csv_of(visitor, task, wrap(frame))), parse_dates=["day"])
    assert found["day"].tolist() == frame["day"].tolist()
    for name in set(found) & {"zoned", "time", "date"}:
        assert found[name].str.len().nunique() == 1
    if "span" in found:
        assert pd.to_timedelta(found["span"]).tolist() == frame["span"].tolist()
        assert found["x"].tolist() == frame["x"].tolist()


def test_a_csv_is_exact_or_without_formulas(visitor, task):
    texts = ["=1+1", "+1", "-1", "@A1", "\t=1", "ok", None]
    frame = pd.DataFrame(
        {
            "=label": texts,
            "n": [-1] * 7,
            "d": [Decimal("-1.5")] * 7,
            "c": pd.Categorical(["=c"] * 7),
            "w": [pd.Timestamp("2026-01-01")] * 7,
        },
        index=pd.Index(["@i"] * 7, name="+name"),
    )
    exact = list(csv.reader(io.StringIO(csv_of(visitor, task, frame))))
    assert exact[0] == ["+name", "=label", "n", "d", "c", "w"]
    assert [row[1] for row in exact[1:]] == [*texts[:-1], ""]
    safe = list(csv.reader(io.StringIO(csv_of(visitor, task, frame, "spreadsheet"))))
    assert safe[0] == ["'+name", "'=label", "n", "d", "c", "w"]
    assert [row[1] for row in safe[1:]] == ["'=1+1", "'+1", "'-1", "'@A1", "'\t=1", "ok", ""]
    assert {(row[0], *row[2:]) for row in safe[1:]} == {
        ("'@i", "-1", "-1.5", "'=c", "2026-01-01 00:00:00.000")
    }
    table = csv_of(visitor, task, pa.table({"@": ["=1", "x"], "n": [-1, 2]}), "spreadsheet")
    assert table == "'@,n\n'=1,-1\nx,2\n"
    page = visitor.text(url("object", key=task.object_key()))
    assert "begin with an apostrophe" in page
    assert len(links(page, "CSV")) == 2


def test_objects_of_other_prefixes_do_not_exist(visitor, task, prefix, monkeypatch, tmp_path):
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    for value in (File(tmp_path / "secret.csv"), pd.DataFrame({"a": range(123)}), [1]):
        monkeypatch.setenv("AIRFLOW__S3_XCOM__PREFIX", prefix)
        task.push(value)
        key = task.object_key()
        visitor.text(url("object", key=key))
        for other in (f"{prefix}/below", "other", ""):
            monkeypatch.setenv("AIRFLOW__S3_XCOM__PREFIX", other)
            unknown = visitor.text(url("object", key=other + "/nothing"), 404)
            for address in (
                url("object", key=key),
                url("download", key=key),
                url("download", key=key, **{"as": "csv"}),
                url("download", key=key, **{"as": "spreadsheet"}),
            ):
                assert visitor.text(address, 404) == unknown
            for address in (
                "/listing",
                url("listing", dag="a%20dag"),
                url("listing", dag="a%20dag", run=keys.segment_of(key, "run_id")),
            ):
                assert "secret" not in visitor.text(address)
                assert key not in visitor.text(address)


def test_what_a_csv_cannot_be_made_of_says_so(visitor, s3, prefix):
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": range(1000)}), sink)
    body = bytearray(sink.getvalue())
    body[30:60] = bytes(30)
    address = put(s3, prefix, bytes(body), codec="table").replace("/object", "/download") + "&as=csv"
    assert "no valid table" in visitor.text(address, 422)


def test_of_a_list_there_is_no_csv(visitor, task):
    task.push([1])
    assert "there is no CSV" in visitor.text(url("download", key=task.object_key(), **{"as": "csv"}), 422)


def test_a_large_object_is_downloaded_with_constant_memory(visitor, task):
    frame = pd.DataFrame(np.random.default_rng(0).random((4_000_000, 8)))
    task.push(batches(frame[i : i + 400_000] for i in range(0, len(frame), 400_000)))
    del frame
    key = task.object_key()
    for address in (url("download", key=key), url("download", key=key, **{"as": "csv"})):
        with more_memory() as more:
            pieces, size = visitor.get(address).body, 0
            while size < 60 * MIB:
                size += len(next(pieces))
            pieces.close()
        assert more() < (170 if "csv" in address else 120) * MIB


# Bad input


def test_what_is_gone_altered_or_of_a_newer_format_is_said(visitor, task, s3):
    task.push([1, 2])
    address = url("object", key=task.object_key())
    s3.put_object(Key=task.object_key(), Body=b"[3]")
    assert "not the one that was pushed" in visitor.text(address, 502)
    s3.Object(task.object_key()).delete()
    assert "is no longer in the bucket" in visitor.text(address, 404)
    assert "is no longer in the bucket" in visitor.text(address.replace("/object", "/download"), 404)
    newer = json.loads(task.row()) | {"codec": "of tomorrow"}
    task.set_row(json.dumps(newer).encode())
    assert "which this version does not know" in visitor.text(address, 422)


HOSTILE = "<script>alert(1)</script>\x1b[31m\"'><img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    "value",
    [
        {"\ud800": "\ud800"},
        pd.DataFrame([["\ud800"]], columns=pd.Index(["\ud800"], dtype=object), dtype=object),
        rows(pd.DataFrame({"a": ["\ud800"]}, dtype=object)),
        items(["\ud800", {"\ud800": 1}]),
        np.array(["\ud800", "x"]),
        "\ud800" * 1000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_half_a_surrogate_pair_is_shown_as_an_escape(visitor, task, value):
    body = visitor.text(task_page(task, value))
    assert "\\ud800" in body or "no text in UTF-8" in body
    body.encode()


def test_hostile_content_and_names_stay_text(visitor, task, s3, prefix):
    shown = [
        task_page(task, pd.DataFrame({HOSTILE: [HOSTILE, HOSTILE, None]}, index=[HOSTILE] * 3)),
        task_page(task, {HOSTILE: [HOSTILE]}),
        task_page(task, items([{HOSTILE: HOSTILE}])),
        task_page(task, HOSTILE * 100),
        put(
            s3,
            prefix,
            HOSTILE.encode(),
            suffix=".html",
            type="%3Cscript%3E",
            codec="file",
            **{"file-name": "%3Cb%3E.html"},
        ),
        put(s3, prefix, b"[1]", type="%3Cscript%3E", codec="%3Cscript%3E", pushed="<script>"),
        put(s3, prefix, HOSTILE.encode(), dag="%3Cscript%3E%1B..%2F", codec="file"),
    ]
    for address in [*shown, "/listing", url("listing", dag="%3Cscript%3E%1B..%2F")]:
        body = visitor.get(address).body
        assert re.findall(r"<script[^>]*>", body) == ['<script src="/asset?name=theme.js">'], address
        assert "<img" not in body
        assert "<b>" not in body


def task_page(task, value: Any) -> str:
    from uuid import uuid4

    key = uuid4().hex
    task.push(value, key=key)
    return url("object", key=task.object_key(key))


LOOK = """
import json, re, sys, time
from tests.helpers.requests import asked
from tests.helpers.visitor import Visitor, more_memory

visitor, told = Visitor(), []
for address in json.loads(sys.argv[1]):
    assert visitor.get(address).status == 200, address
for address in json.loads(sys.argv[2]):
    started = time.monotonic()
    with asked(hasty=True) as seen, more_memory() as more:
        answer = visitor.get(address)
    words = re.findall('role="alert">.*: (.*)</p>', answer.body)
    told.append([answer.status, len(answer.body), time.monotonic() - started, more(), seen, words])
print(json.dumps(told))
"""


def test_whatever_lies_there_the_answer_is_small_and_moves_little(visitor, s3, prefix, task, stack):
    """In a process of its own, whose memory is its own."""
    ordinary = [
        task_page(task, value)
        for value in (
            pd.DataFrame({"a": [1]}),
            pa.table({"a": [1]}),
            [1],
            "text" * 1000,
            np.arange(9),
            (1, 2),
        )
    ]
    objects = hostile.large() | hostile.unbounded()
    addresses = [
        put(s3, prefix, body, dag=f"dag{number}", **metadata)
        for number, (body, metadata) in enumerate(objects.values())
    ]
    command = [sys.executable, "-W", "ignore", "-c", LOOK, json.dumps(ordinary), json.dumps(addresses)]
    environment = {**os.environ, "_AIRFLOW_PROCESS_CONTEXT": "server"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    told = dict(zip(objects, json.loads(done.stdout.splitlines()[-1])))
    for name, (status, length, seconds, more, seen, words) in told.items():
        print(
            f"{name}: {status} {words}, {length:,} bytes, {seconds:.2f} s, {more / MIB:.0f} MiB more, {seen}"
        )
        assert status in (200, 422), name
        assert length < 4 * MIB, name
        assert len(seen) <= 4, name
        assert sum(size for operation, size in seen if operation != "HeadObject") <= 2 * MIB, name
        assert more < 50 * MIB, name
    for name in hostile.unbounded():
        assert told[name][2] < apart.SECONDS + 5, name
    assert "more than 512 MiB of memory" in told["a Series that was pushed"][-1][0]
