"""Values of Postgres, SQLAlchemy and Airflow's context: carried exactly, or refused with advice."""

from __future__ import annotations

import datetime
import pickle

import pandas as pd
import psycopg2
import psycopg2.extras
import pytest
import sqlalchemy
from psycopg2.extras import DateRange, DateTimeTZRange, NumericRange

from include.s3_xcom import items, rows
from include.s3_xcom.errors import UnsupportedValueError
from tests.helpers.same import assert_same


@pytest.fixture
def connection(stack):
    connection = psycopg2.connect(stack.postgres.url("airflow"))
    yield connection
    connection.close()


def fetch(connection, query: str, **options) -> list:
    with connection.cursor(**options) as cursor:
        cursor.execute(query)
        return cursor.fetchall()


BYTEA = r"SELECT 1 AS n, '\xdead'::bytea AS b UNION ALL SELECT 2, NULL ORDER BY n"


def test_bytea_in_a_frame_comes_back_as_it_is(task, connection):
    frame = pd.read_sql(BYTEA, connection)
    assert type(frame["b"][0]) is memoryview
    task.push(frame)
    pulled = task.pull()
    assert type(pulled["b"][0]) is memoryview
    assert pulled["b"].tolist() == frame["b"].tolist()
    assert bytes(pulled["b"][0]) == b"\xde\xad"


def test_bytea_in_rows_is_bytes(task, connection):
    frame = pd.read_sql(BYTEA, connection)
    for sequence in (rows(frame), pushed(task, rows(frame))):
        assert_same(list(sequence), [{"n": 1, "b": b"\xde\xad"}, {"n": 2, "b": None}])
        pickle.dumps(sequence[0])
    assert type(task.pull().to_frame()["b"][0]) is memoryview


def pushed(task, value):
    task.push(value)
    return task.pull()


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"a": (x, x)}, lambda x: items([x])])
def test_a_memoryview_comes_back_as_one(task, wrap):
    for format_ in "Bcbd":
        view = memoryview(b"\0\xff" * 1000).cast(format_)
        pulled = pushed(task, wrap(view))
        found = (
            pulled if type(pulled) is memoryview else pulled["a"][1] if type(pulled) is dict else pulled[0]
        )
        assert type(found) is memoryview
        assert found.format == format_
        assert found.tobytes() == view.tobytes()


@pytest.mark.parametrize(
    "view",
    [memoryview(b"abcd")[::2], memoryview(b"abcd").cast("B", [2, 2])],
    ids=["with gaps", "in two dimensions"],
)
def test_a_memoryview_that_bytes_would_change_is_refused(task, view):
    for value in (
        view,
        [view],
        pd.DataFrame({"b": pd.Series([view], dtype=object)}) if view.ndim == 1 else [view],
    ):
        with pytest.raises(UnsupportedValueError, match=r"Return bytes\(\.\.\.\) of it"):
            task.push(value)


RANGES = """SELECT '[1,5)'::int4range AS a, 'empty'::int4range AS b, '(,5]'::numrange AS c,
    '[2026-01-01,2026-02-01)'::daterange AS d, tstzrange(now(), NULL) AS e, NULL::numrange AS f"""


def test_ranges_come_back(task, connection):
    for value in (
        fetch(connection, RANGES),
        pd.read_sql(RANGES, connection),
        rows(pd.read_sql(RANGES, connection)),
    ):
        pulled = pushed(task, value)
        if isinstance(value, pd.DataFrame):
            pulled, value = pulled.iloc[0].tolist(), value.iloc[0].tolist()
        else:
            pulled, value = list(pulled), list(value)
        assert pulled == value
        assert repr(pulled) == repr(value)  # equal ranges may be written in two ways


@pytest.mark.parametrize(
    "value",
    [NumericRange(empty=True), NumericRange(1, None, "[]"), DateRange(None, datetime.date(2026, 1, 1), "()"),
     DateTimeTZRange()],
    ids=repr,
)  # fmt: skip
def test_a_range_keeps_its_kind_and_its_bounds(task, value):
    pulled = pushed(task, [value])[0]
    assert type(pulled) is type(value)
    assert repr(pulled) == repr(value)


def test_a_memoryview_keeps_what_may_be_written_and_numbers_that_equal_nothing(task):
    view = memoryview(bytearray(b"abc"))
    pulled = pushed(task, [view])[0]
    assert pulled == view
    assert not pulled.readonly
    frame = pd.DataFrame({"b": pd.Series([view, memoryview(b"x")], dtype=object)})
    assert [cell.readonly for cell in pushed(task, frame)["b"]] == [False, True]
    numbers = memoryview(bytes.fromhex("000000000000f87f") * 2).cast("d")
    assert pushed(task, [numbers])[0].tobytes() == numbers.tobytes()


def of_sqlalchemy(stack) -> dict:
    engine = sqlalchemy.create_engine(stack.postgres.url("airflow"))
    with engine.connect() as connection:
        result = connection.execute(sqlalchemy.text("SELECT 1 AS a"))
        row = result.fetchone()
    return {"row": row, "mapping": row._mapping, "result": result}


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("named tuple", r"Return tuple\(row\), or row\._asdict\(\)"),
        ("dict row", r"Return dict\(row\), or list\(row\)"),
        ("real dict row", "Return the plain dict it is made of"),
        ("description", r"such as \[c\.name for c in description\]"),
        ("cursor", r"Return cursor\.fetchall\(\)"),
        ("row", r"Return tuple\(row\), or dict\(row\._mapping\)"),
        ("mapping", r"Return dict\(\.\.\.\) of it"),
        ("result", r"\[tuple\(row\) for row in result\]"),
    ],
)
@pytest.mark.parametrize("nested", [False, True], ids=["alone", "in a list"])
def test_what_cannot_be_rebuilt_is_refused_with_what_to_return(task, connection, stack, name, advice, nested):
    extras = psycopg2.extras
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS a")
        values = {
            "named tuple": fetch(connection, "SELECT 1 AS a", cursor_factory=extras.NamedTupleCursor)[0],
            "dict row": fetch(connection, "SELECT 1 AS a", cursor_factory=extras.DictCursor)[0],
            "real dict row": fetch(connection, "SELECT 1 AS a", cursor_factory=extras.RealDictCursor)[0],
            "description": cursor.description[0],
            "cursor": cursor,
            **of_sqlalchemy(stack),
        }
        with pytest.raises(UnsupportedValueError, match=advice):
            task.push([values[name]] if nested else values[name])


LAZY = ["execution_date", "next_execution_date", "prev_execution_date", "tomorrow_ds", "yesterday_ds_nodash"]


@pytest.fixture
def context(new_task):
    """The context of a task that runs."""
    from airflow import DAG
    from airflow.models import DagRun, TaskInstance
    from airflow.operators.empty import EmptyOperator
    from airflow.utils.context import lazy_mapping_from_context
    from airflow.utils.session import create_session

    task = new_task("lazy")
    with create_session() as session:
        instance = session.query(TaskInstance).filter_by(**task.ids).one()
        run = session.query(DagRun).filter_by(run_id=task.ids["run_id"]).one()
        with DAG(task.ids["dag_id"], start_date=run.execution_date, schedule="@daily"):
            instance.task = EmptyOperator(task_id="task")
        # As the arguments of a Python task get it.
        yield lazy_mapping_from_context(instance.get_template_context(session=session))


@pytest.mark.airflow_2("has no lazy values in a task's context")
@pytest.mark.filterwarnings("ignore:Accessing")
@pytest.mark.parametrize("name", LAZY)
def test_lazy_values_of_the_context_come_back_as_what_they_stand_for(task, context, name):
    import lazy_object_proxy

    value = context[name]
    assert type(value) is lazy_object_proxy.Proxy
    expected = value.__wrapped__
    for wrap, unwrap in (
        (lambda x: x, lambda x: x),
        (lambda x: [x], lambda x: x[0]),
        (lambda x: {"a": {"b": (x,)}}, lambda x: x["a"]["b"][0]),
        (lambda x: {x: 1}, lambda x: next(iter(x))),
        (lambda x: pd.DataFrame({"c": pd.Series([x], dtype=object)}), lambda x: x["c"][0]),
        (lambda x: items([x]), lambda x: x[0]),
    ):
        if expected is None and isinstance(wrap(value), pd.DataFrame):
            continue
        found = unwrap(pushed(task, wrap(value)))
        assert type(found) is type(expected)
        assert found == expected


@pytest.mark.airflow_2("has another class for them, which test_dags pushes")
def test_lazy_results_of_mapped_tasks_become_lists_at_any_depth(task, new_task, stack):
    from airflow.models import TaskInstance, XCom, xcom
    from airflow.operators.empty import EmptyOperator
    from airflow.utils.session import create_session

    mapped = new_task()
    with create_session() as session:
        for map_index in range(3):
            instance = TaskInstance(
                EmptyOperator(task_id="task"), run_id=mapped.ids["run_id"], map_index=map_index
            )
            instance.dag_id = mapped.ids["dag_id"]
            session.add(instance)
    for map_index in range(3):
        XCom.set(key="return_value", value={"n": map_index}, map_index=map_index, **mapped.ids)
    with create_session() as session:
        query = XCom.get_many(
            run_id=mapped.ids["run_id"], key="return_value", task_ids="task", dag_ids=mapped.ids["dag_id"],
            session=session,
        ).order_by(None).order_by(XCom.map_index)  # fmt: skip
        if hasattr(xcom, "LazyXComAccess"):  # until 2.7
            lazy = xcom.LazyXComAccess.build_from_xcom_query(query)
        else:
            statement = query.with_entities(xcom.BaseXCom.value).statement
            lazy = xcom.LazyXComSelectSequence.from_select(statement, order_by=[], session=session)
        expected = [{"n": n} for n in range(3)]
        assert pushed(task, lazy) == expected
        assert pushed(task, {"all": lazy, "again": [lazy]}) == {"all": expected, "again": [expected]}
        assert list(pushed(task, items(lazy))) == expected
