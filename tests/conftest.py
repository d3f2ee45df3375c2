"""One private Postgres and S3 server for the whole session, started when a test first asks for them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from embedded.airflow import AIRFLOW_3
from embedded.stack import Stack
from tests.servers import CHOSEN, SERVERS

ROOT = Path(__file__).resolve().parent.parent

_own_warnings: list[str] = []
_STACK = pytest.StashKey[Stack]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "servers(*names, why): the only S3 servers on which a test makes sense"
    )
    config.addinivalue_line("markers", "airflow_2(why): a test of what Airflow 3 does not have")
    # Before any test module imports Airflow, which reads its configuration once.
    stack = config.stash[_STACK] = Stack(new_s3=SERVERS[CHOSEN])
    dags = stack.directory / "dags"
    dags.mkdir()
    (dags / "examples").symlink_to(ROOT / "dags")
    (dags / "tests").symlink_to(ROOT / "tests/dags")
    stack.airflow.environment["AIRFLOW__CORE__DAGS_FOLDER"] = str(dags)
    # Some ids of runs are odd; Airflow 2.6 and later ask for a pattern.
    stack.airflow.environment["AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN"] = "(?s).*"
    os.environ.clear()
    os.environ.update(stack.airflow.environment)
    if AIRFLOW_3:
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"  # which has the database


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is of Airflow 2 alone; on another S3 server, what does not concern it."""
    if AIRFLOW_3:
        _keep(config, items, lambda item: item.get_closest_marker("airflow_2") is None)
    if CHOSEN == "localstack":
        return
    _keep(config, items, lambda item: "stack" in item.fixturenames and _is_for(item, CHOSEN))


def _keep(config: pytest.Config, items: list[pytest.Item], is_kept: Callable[[pytest.Item], bool]) -> None:
    left_out = [item for item in items if not is_kept(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if is_kept(item)]


def _is_for(item: pytest.Item, server: str) -> bool:
    return all(server in marker.args for marker in item.iter_markers("servers"))


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_STACK].stop()


def pytest_warning_recorded(warning_message: warnings.WarningMessage, nodeid: str) -> None:
    path = Path(warning_message.filename)
    if any(path.is_relative_to(ROOT / folder) for folder in ("include", "dags", "scripts", "embedded")):
        _own_warnings.append(f"{nodeid}: {path}:{warning_message.lineno}: {warning_message.message}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _own_warnings:
        print("\nOur own code warns:", *_own_warnings, sep="\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def stack(pytestconfig: pytest.Config) -> Iterator[Stack]:
    """Postgres and LocalStack, with Airflow's database, connections and bucket prepared."""
    with pytestconfig.stash[_STACK] as stack:
        yield stack
