"""The DAGs under a real scheduler with LocalExecutor."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tests.helpers.release import xcom_class

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
    processes = stack.airflow.start()
    yield
    for process in processes:
        process.stop()


@pytest.fixture(scope="module")
def run_ids(scheduler) -> dict[str, str]:
    """A run of TestDag for each query, all at the same time; and one of KindsOfValues."""
    from scripts import run_dag

    runs = {
        dag_id: run_dag.trigger(dag_id)
        for dag_id in ("KindsOfValues", "Expansions", "FanOut", "Branches", "Timeouts")
    }
    for name, query in QUERIES.items():
        runs[name] = run_dag.trigger("TestDag", {"query": query})
    for name, run_id in runs.items():
        run_dag.wait(dag_of(name), run_id)
    return runs


def dag_of(name: str) -> str:
    return "TestDag" if name in QUERIES else name


@pytest.fixture
def states(run_ids) -> Callable[[str], dict[str, Counter]]:
    from scripts import run_dag

    return lambda name: run_dag.states(dag_of(name), run_ids[name])


@pytest.fixture
def log(run_ids, stack) -> Callable[..., str]:
    """The log of a task."""

    def read(name: str, task: str = "task_id=Get_Data") -> str:
        folder = f"dag_id={dag_of(name)}/run_id={run_ids[name]}/{task}"
        return (stack.directory / "airflow/logs" / folder / "attempt=1.log").read_text()

    return read


@pytest.fixture
def results(run_ids) -> Callable[[str, str], list]:
    """What the instances of a mapped task returned."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from include.s3_xcom.on_airflow.releases import release

    def pull(name: str, task_id: str) -> list:
        xcoms = release.table().c
        ids = xcoms.dag_id == dag_of(name), xcoms.run_id == run_ids[name], xcoms.task_id == task_id
        with create_session() as session:
            values = session.execute(select(xcoms.value).where(*ids).order_by(xcoms.map_index)).scalars()
            return [xcom_class().deserialize_value(SimpleNamespace(value=value)) for value in values]

    return pull


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
    assert says in log(name).replace("\\", "")  # Airflow 3 logs in JSON
    encoded = run_ids[name].replace(":", "%3A").replace("+", "%2B")
    assert list(s3.objects.filter(Prefix=f"xcom/dag_id=TestDag/run_id={encoded}/")) == []


def test_a_skipped_task_that_is_cleared_is_skipped_again(run_ids, states):
    """By the branch's decision, which the scheduler reads from its XCom."""
    from airflow.models import DagRun, TaskInstance
    from airflow.utils.session import create_session

    from scripts import run_dag

    expected = {"decide": Counter(success=1), "taken": Counter(success=1), "left": Counter(skipped=1)}
    assert states("Branches") == expected
    with create_session() as session:
        instances = session.query(TaskInstance).filter_by(dag_id="Branches", task_id="left")
        instances.update({"state": None})
        session.query(DagRun).filter_by(dag_id="Branches").update({"state": "running"})
    assert run_dag.wait("Branches", run_ids["Branches"]) == "success"
    assert states("Branches") == expected


def test_every_kind_of_value_arrives(states):
    assert len(states("KindsOfValues")) == 8
    assert all(counts == Counter(success=1) for counts in states("KindsOfValues").values())


ROWS = [{"n": 0, "place": "a"}, {"n": None, "place": None}, {"n": 2, "place": "c"}]


@pytest.mark.parametrize(
    ("task_id", "expected"),
    [
        ("by_row", ROWS),
        ("by_row_and_factor", ["a 1", "a 2", "None 1", "None 2", "c 1", "c 2"]),
        ("by_kwargs", ["1x", "2y"]),
        ("by_name", ["name a", "name None", "name c"]),
        ("by_pair", ["a x", "None y", "c None"]),
        ("by_row_again", ROWS),
        ("by_row_of_none", []),
    ],
)
def test_tasks_are_expanded_over_mapped_sequences(results, states, task_id, expected):
    assert results("Expansions", task_id) == expected
    assert states("Expansions")[task_id] == (
        Counter(success=len(expected)) if expected else Counter(skipped=1)
    )


def test_what_mapped_tasks_returned_is_passed_on_as_a_list(results):
    (collected,) = results("Expansions", "collect")
    assert type(collected) is list
    assert collected == ROWS


def test_a_batch_arrives_with_its_dtypes_and_index(results):
    from pandas.testing import assert_frame_equal

    from tests.dags.expansions import make_frame

    first, second = results("Expansions", "by_batch")
    assert_frame_equal(first, make_frame().iloc[:2])
    assert_frame_equal(second, make_frame().iloc[2:])


def test_a_large_plain_list_expanded_over_is_answered_with_advice(log, results):
    assert results("Expansions", "by_length") == [120_000, 120_000]
    text = log("Expansions", "task_id=make_large_list")
    assert "Each of the 2 tasks expanded over this list will download all 234.4 KiB" in text
    assert "items(...)" in text
    assert "Each of the" not in log("Expansions", "task_id=make_rows")


def test_a_mapped_task_reads_its_own_block_only(log):
    text = log("Expansions", "task_id=by_row/map_index=2")
    assert "Pulled rows (3 x 2)" in text
    assert len(re.findall(r'[ "]Read [\d.,]+ ', text)) == 1


def test_a_large_table_is_summarized_in_batches(results, states):
    assert states("FanOut")["summarize"] == Counter(success=4)
    (joined,) = results("FanOut", "join")
    assert list(joined.index) == list(range(50))
    assert set(joined["count"]) == {2000}
    assert joined["mean"].between(joined["min"], joined["max"]).all()


def test_execution_timeout_bounds_results_that_are_made_while_they_are_pushed(states, log):
    ended = states("Timeouts")
    for task_id in ("too_many_chunks", "never_ends", "expanded"):
        assert ended[task_id] == Counter(failed=1)
        assert "AirflowTaskTimeout" in log("Timeouts", f"task_id={task_id}")
    assert ended["in_time"] == Counter(success=1)
