"""The DAGs under a real scheduler with LocalExecutor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

QUERIES = {
    "the table": "SELECT * FROM my_table",
    "a file": "include/sql/felt_by_people.sql",
    "no rows": "SELECT * FROM my_table WHERE false",
    "bad SQL": "SELECT * FROM no_such_table",
    "no result": "SET search_path TO public",
    "too many": "SELECT n FROM generate_series(1, 1025) AS n",
    "not allowed": "DELETE FROM my_table RETURNING *",
    "outside": "../../etc/passwd.sql",
}


@pytest.fixture(scope="module")
def scheduler(stack):
    process = stack.airflow.start_scheduler()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def run_ids(scheduler) -> dict[str, str]:
    """A run of TestDag for each query, all at the same time; and one of KindsOfValues."""
    from scripts import run_dag

    runs = {"kinds": run_dag.trigger("KindsOfValues")}
    for name, query in QUERIES.items():
        runs[name] = run_dag.trigger("TestDag", {"query": query})
    for name, run_id in runs.items():
        run_dag.wait("KindsOfValues" if name == "kinds" else "TestDag", run_id)
    return runs


@pytest.fixture
def states(run_ids) -> Callable[[str], dict[str, Counter]]:
    from scripts import run_dag

    return lambda name: run_dag.states("KindsOfValues" if name == "kinds" else "TestDag", run_ids[name])


@pytest.fixture
def log(run_ids, stack) -> Callable[[str], str]:
    """The log of Get_Data."""

    def read(name: str) -> str:
        folder = f"dag_id=TestDag/run_id={run_ids[name]}/task_id=Get_Data"
        return (stack.directory / "airflow/logs" / folder / "attempt=1.log").read_text()

    return read


def test_each_row_of_the_table_is_handled_by_a_task_of_its_own(run_ids, states):
    from embedded import report

    assert states("the table") == {"Get_Data": Counter(success=1), "retrieve_data": Counter(success=40)}
    rows = report.pulled_rows(run_ids["the table"])
    expected = report.table_rows()
    assert len(expected) == 40
    assert rows == expected
    assert [list(map(type, row.values())) for row in rows] == [
        list(map(type, row.values())) for row in expected
    ]


def test_the_database_holds_references_and_s3_the_data(run_ids, s3):
    prefix = f"xcom/dag_id=TestDag/run_id={run_ids['the table'].replace(':', '%3A').replace('+', '%2B')}/"
    keys = [item.key.removeprefix(prefix) for item in s3.objects.filter(Prefix=prefix)]
    assert len(keys) == 41
    assert sum(key.startswith("task_id=Get_Data/map_index=-1/return_value-") for key in keys) == 1
    assert {key.split("/")[1] for key in keys if key.startswith("task_id=retrieve_data/")} == {
        f"map_index={n}" for n in range(40)
    }


def test_the_query_can_be_a_file_below_base_dir(run_ids, states):
    from embedded import report

    rows = report.pulled_rows(run_ids["a file"])
    assert states("a file")["retrieve_data"] == Counter(success=len(rows))
    assert list(rows[0]) == ["id", "place", "magnitude", "felt_reports"]
    reports = [row["felt_reports"] for row in rows]
    assert reports == sorted(reports, reverse=True)


def test_a_query_without_rows_succeeds_and_says_so(states, log):
    assert states("no rows") == {"Get_Data": Counter(success=1), "retrieve_data": Counter(skipped=1)}
    assert "returned no rows: retrieve_data is skipped" in log("no rows")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("bad SQL", 'relation "no_such_table" does not exist'),
        ("no result", "takes a SELECT"),
        ("too many", "AIRFLOW__CORE__MAX_MAP_LENGTH"),
        ("not allowed", "permission denied for table my_table"),
        ("outside", "is not below BASE_DIR"),
    ],
)
def test_a_query_that_cannot_be_expanded_over_fails_with_the_reason(states, log, run_ids, s3, name, says):
    assert states(name)["Get_Data"] == Counter(failed=1)
    assert says in log(name)
    encoded = run_ids[name].replace(":", "%3A").replace("+", "%2B")
    assert list(s3.objects.filter(Prefix=f"xcom/dag_id=TestDag/run_id={encoded}/")) == []


def test_every_kind_of_value_arrives(states):
    assert len(states("kinds")) == 8
    assert all(counts == Counter(success=1) for counts in states("kinds").values())
