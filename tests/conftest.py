"""What all tests share: markers, warnings of our own code; and for unit tests an Airflow without a stack."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STACK = pytest.StashKey()
"""The stack of the integration tests, where some of them are asked for."""

_own_warnings: list[str] = []
_HOME = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "servers(*names, why): the only S3 servers on which a test makes sense"
    )
    config.addinivalue_line("markers", "airflow_2(why): a test of what Airflow 3 does not have")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Give Airflow, which reads its configuration once, a home of its own before a test imports it."""
    if STACK in session.config.stash:
        return
    home = session.config.stash[_HOME] = tempfile.mkdtemp(prefix="s3xcom-unit-")
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "AWS_"))]:
        del os.environ[name]
    os.environ["AIRFLOW_HOME"] = home
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(ROOT / "plugins")
    os.environ["AIRFLOW__CORE__XCOM_BACKEND"] = "include.s3_xcom_backend.S3XComBackend"
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{home}/airflow.db"
    os.environ["AIRFLOW__S3_XCOM__BUCKET"] = "xcom"


def pytest_unconfigure(config: pytest.Config) -> None:
    if _HOME in config.stash:
        shutil.rmtree(config.stash[_HOME], ignore_errors=True)


def pytest_warning_recorded(warning_message: warnings.WarningMessage, nodeid: str) -> None:
    path = Path(warning_message.filename)
    if any(path.is_relative_to(ROOT / folder) for folder in ("include", "dags", "scripts", "embedded")):
        _own_warnings.append(f"{nodeid}: {path}:{warning_message.lineno}: {warning_message.message}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _own_warnings:
        print("\nOur own code warns:", *_own_warnings, sep="\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
