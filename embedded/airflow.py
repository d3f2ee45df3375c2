"""Airflow on the private Postgres and LocalStack: its environment, and its processes."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from embedded.localstack import LOGIN, LocalStack
from embedded.postgres import Postgres
from embedded.processes import Process, StartError, answers, free_port

AIRFLOW_3 = int(version("apache-airflow").split(".")[0]) >= 3
"""By the package's metadata: Airflow reads its configuration when it is imported, and only then."""

SERVER = "api-server" if AIRFLOW_3 else "webserver"

SCHEDULER = """
import boto3, pandas, pyarrow.parquet, airflow.providers.amazon.aws.hooks.base_aws
from airflow.__main__ import main
main()
"""
"""The scheduler as a program. It imports what tasks need: they are forked from it, so each saves a second."""

ROOT = Path(__file__).resolve().parent.parent
UI_USER = "admin"


class Airflow:
    """Airflow with LocalExecutor, configured as in docker-compose.yaml.

    :param directory: private and existing; it will hold Airflow's home and logs
    :param port: of the UI; None: any that is free
    :param dags: the folder of DAGs
    """

    def __init__(
        self,
        directory: Path,
        postgres: Postgres,
        s3: LocalStack,
        port: int | None = None,
        dags: Path = ROOT / "dags",
    ) -> None:
        self._directory = directory
        self.port = port or free_port()
        self._processes: list[Process] = []
        self.ui_password = secrets.token_hex(8)
        self.environment = {
            **_inherited(),
            "AIRFLOW_HOME": str(directory / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__XCOM_BACKEND": "include.s3_xcom_backend.S3XComBackend",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url("airflow"),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__S3_XCOM__BUCKET": s3.bucket,
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **(_of_3(self.port) if AIRFLOW_3 else _of_2()),
            "INIT_AWS_ACCESS_KEY_ID": LOGIN,
            "INIT_AWS_SECRET_ACCESS_KEY": LOGIN,
            "INIT_BASE_DIR": str(ROOT),
            "INIT_DB_CONN": postgres.url("demo"),
            "INIT_S3_ADDRESSING_STYLE": "auto",
            "INIT_S3_CA_BUNDLE": "",
            "INIT_S3_ENDPOINT_URL": s3.url,
            "INIT_S3_REGION": "us-east-1",
            "INIT_UI_PASSWORD": self.ui_password,
            "INIT_UI_USER": UI_USER,
            "PYTHONPATH": str(ROOT),
            "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
        }

    def prepare(self) -> None:
        """Make the metadata database, connections and variable.

        :raises StartError: if that fails
        """
        self.run(ROOT / "scripts/prepare_airflow.py")

    def run(self, *arguments: str | Path) -> str:
        """Run a Python program in Airflow's environment, to its end.

        :return: what it printed
        :raises StartError: if it fails
        """
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            env=self.environment, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise StartError(f"{Path(arguments[0]).name} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout

    def start(self, *, ui: bool = False) -> list[Process]:
        """Start what runs tasks, and wait for what they need.

        :param ui: the UI as well, which tasks of Airflow 3 need in any case
        :raises StartError: if something does not come up
        """
        processes = [self._start("scheduler"), self._start("triggerer")]
        if AIRFLOW_3:
            processes.append(self._start("dag-processor"))
        if ui or AIRFLOW_3:
            server = self._start(SERVER, "--port", str(self.port))
            server.wait_until(lambda: answers(self.port), seconds=120)
            processes.append(server)
        return processes

    def stop(self) -> None:
        for process in reversed(self._processes):
            # At once: a scheduler that is asked waits for its tasks, and its database goes away anyway.
            process.stop(signal.SIGKILL)

    def _start(self, *command: str) -> Process:
        log = self._directory / f"{command[0]}.log"
        program = ["-c", SCHEDULER] if command[0] == "scheduler" else ["-m", "airflow"]
        process = Process(
            f"Airflow's {command[0]}", [sys.executable, *program, *command], self.environment, log
        )
        self._processes.append(process)
        return process


def _of_2() -> dict[str, str]:
    return {
        "AIRFLOW__WEBSERVER__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
        "AIRFLOW__WEBSERVER__WORKERS": "2",
    }


def _of_3(port: int) -> dict[str, str]:
    return {
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    }


def _inherited() -> dict[str, str]:
    """This process's environment, without another Airflow's configuration or AWS's."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "AWS_", "PYTHON", "PG"))
    }
