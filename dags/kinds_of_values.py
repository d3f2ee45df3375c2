"""KindsOfValues: each kind of value the backend is made for, pushed by one task, checked by the next."""

from __future__ import annotations

import csv
import datetime
import os
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pendulum

from include.s3_xcom import File

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task


def make_rows() -> list[dict[str, Any]]:
    """Some rows of several types, the same on each call."""
    day = datetime.date(2018, 2, 6)
    return [
        {"day": day, "place": "Hualian, Taiwan", "magnitude": Decimal("6.4"), "felt": 261},
        {"day": day, "place": "Isangel, Vanuatu", "magnitude": Decimal("5.6"), "felt": None},
    ]


def make_frame() -> Any:
    """A DataFrame whose dtypes, missing values and index a CSV would lose."""
    import pandas as pd

    frame = pd.DataFrame(make_rows()).astype({"place": "category", "felt": "Int64"})
    return frame.set_index(pd.Index(["us1000chhc", "us1000chl5"], name="id"))


def write_csv(path: Path) -> Path:
    """The rows as a CSV file."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(make_rows()[0]))
        writer.writeheader()
        writer.writerows(make_rows())
    return path


@dag(
    dag_id="KindsOfValues",
    description="A DataFrame, a CSV file, a dict and a list, pushed and checked",
    schedule=None,
    start_date=pendulum.datetime(2023, 1, 1, tz="UTC"),
    catchup=False,
    # Otherwise Airflow logs what a task returns.
    default_args={"show_return_value_in_logs": False},
    tags=["s3-xcom", "example"],
    doc_md=__doc__,
)
def kinds_of_values() -> None:
    @task
    def push_dataframe() -> Any:
        return make_frame()

    @task
    def check_dataframe(frame: Any) -> None:
        from pandas.testing import assert_frame_equal

        assert_frame_equal(frame, make_frame(), check_exact=True)

    @task
    def push_csv() -> File:
        # It is read after the task has returned, and then deleted.
        handle, path = tempfile.mkstemp(suffix=".csv")
        os.close(handle)
        return File(write_csv(Path(path)), delete=True)

    @task
    def check_csv(file: File) -> None:
        with tempfile.TemporaryDirectory() as directory:
            expected = write_csv(Path(directory) / "expected.csv").read_bytes()
        assert file.name.endswith(".csv")
        assert file.path.read_bytes() == expected
        assert list(file.read_csv()["magnitude"]) == [6.4, 5.6]

    # Without multiple_outputs=False, Airflow takes the annotation for one XCom a key.
    @task(multiple_outputs=False)
    def push_dict() -> dict[str, Any]:
        return {"rows": make_rows(), "by": {1: "one", (2, 3): "a tuple"}}

    @task
    def check_dict(value: dict[str, Any]) -> None:
        assert value == {"rows": make_rows(), "by": {1: "one", (2, 3): "a tuple"}}
        assert type(value["rows"][0]["magnitude"]) is Decimal

    @task
    def push_list() -> list[dict[str, Any]]:
        return make_rows()

    @task
    def check_list(value: list[dict[str, Any]]) -> None:
        assert value == make_rows()

    check_dataframe(push_dataframe())
    check_csv(push_csv())
    check_dict(push_dict())
    check_list(push_list())


kinds_of_values()
