"""Airflow on the private Postgres and LocalStack: its environment, and its processes."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

from embedded.localstack import LOGIN, LocalStack
from embedded.postgres import Postgres
from embedded.processes import Process, StartError, answers

ROOT = Path(__file__).resolve().parent.parent
UI_USER = "admin"


class Airflow:
    """Airflow with LocalExecutor, configured as in docker-compose.yaml.

    :param directory: private and existing; it will hold Airflow's home and logs
    :param dags: the folder of DAGs
    """

    def __init__(
        self, directory: Path, postgres: Postgres, s3: LocalStack, dags: Path = ROOT / "dags"
    ) -> None:
        self._directory = directory
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
            "AIRFLOW__CORE__XCOM_BACKEND": "include.s3_xcom_backend.S3XComBackend",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url("airflow"),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__S3_XCOM__BUCKET": s3.bucket,
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__WEBSERVER__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__WEBSERVER__WORKERS": "2",
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

    def start_scheduler(self) -> Process:
        return self._start("scheduler")

    def start_webserver(self, port: int) -> Process:
        """Start the UI and wait for it.

        :raises StartError: if it does not come up
        """
        process = self._start("webserver", "--port", str(port))
        process.wait_until(lambda: answers(port), seconds=120)
        return process

    def stop(self) -> None:
        for process in reversed(self._processes):
            # At once: a scheduler that is asked waits for its tasks, and its database goes away anyway.
            process.stop(signal.SIGKILL)

    def _start(self, *command: str) -> Process:
        log = self._directory / f"{command[0]}.log"
        process = Process(
            f"Airflow's {command[0]}", [sys.executable, "-m", "airflow", *command], self.environment, log
        )
        self._processes.append(process)
        return process


def _inherited() -> dict[str, str]:
    """This process's environment, without another Airflow's configuration or AWS's."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "AWS_", "PYTHON", "PG"))
    }
