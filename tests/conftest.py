"""One private Postgres and LocalStack for the whole session, started when a test first asks for them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from embedded.stack import Stack

_stack = Stack()


def pytest_configure() -> None:
    # Before any test module imports Airflow, which reads its configuration once.
    os.environ.clear()
    os.environ.update(_stack.airflow.environment)


def pytest_unconfigure() -> None:
    _stack.stop()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Postgres and LocalStack, with Airflow's database, connections and bucket prepared."""
    with _stack:
        yield _stack
