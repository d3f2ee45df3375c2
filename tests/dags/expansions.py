"""Expansions: the ways Airflow expands over a mapped sequence."""

from __future__ import annotations

from typing import Any

import pendulum

from include.s3_xcom import batches, items, rows

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task


def make_frame() -> Any:
    import pandas as pd

    return pd.DataFrame({"n": pd.array([0, None, 2], dtype="Int64"), "place": ["a", None, "c"]})


@dag(dag_id="Expansions", schedule=None, start_date=pendulum.datetime(2023, 1, 1, tz="UTC"))
def expansions() -> None:
    @task
    def make_rows() -> Any:
        return rows(make_frame())

    @task
    def make_kwargs() -> Any:
        return items([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}])

    @task
    def make_batches() -> Any:
        return batches(make_frame(), 2)

    @task
    def make_large_list() -> Any:
        return ["canary" * 20_000, "canary" * 20_000]

    @task
    def make_empty() -> Any:
        return rows(make_frame().iloc[:0])

    @task(multiple_outputs=False)
    def by_row(row: dict[str, Any]) -> dict[str, Any]:
        return row

    @task
    def by_row_and_factor(row: dict[str, Any], factor: int) -> str:
        return f"{row['place']} {factor}"

    @task
    def by_kwargs(a: int, b: str) -> str:
        return f"{a}{b}"

    @task
    def by_name(name: str | None) -> str:
        return f"name {name}"

    @task
    def by_pair(pair: Any) -> str:
        row, kwargs = pair
        return f"{row['place']} {kwargs and kwargs['b']}"

    @task
    def by_batch(batch: Any) -> Any:
        return batch

    @task
    def by_length(text: str) -> int:
        return len(text)

    @task
    def push_again(whole: Any) -> Any:
        from pandas.testing import assert_frame_equal

        assert_frame_equal(whole.to_frame(), make_frame())
        return whole

    @task
    def collect(results: Any) -> Any:
        return results  # Airflow's own lazy sequence, over the XComs of all mapped tasks

    made = make_rows()
    kwargs = make_kwargs()
    collect(by_row.expand(row=made))
    by_row_and_factor.expand(row=made, factor=[1, 2])
    by_kwargs.expand_kwargs(kwargs)
    by_name.expand(name=made.map(lambda row: row["place"]))
    by_pair.expand(pair=made.zip(kwargs, fillvalue=None))
    by_batch.expand(batch=make_batches())
    by_row.override(task_id="by_row_again").expand(row=push_again(made))
    by_row.override(task_id="by_row_of_none").expand(row=make_empty())
    by_length.expand(text=make_large_list())


expansions()
