"""The backends that are measured, each in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from embedded.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
OURS = "include.s3_xcom_backend.S3XComBackend"


class Peer:
    """A backend in an environment of its own, as of a day its packages fitted together."""

    def __init__(self, title: str, backend: str, day: str, *packages: str) -> None:
        self.title, self.backend, self.day, self.packages = title, backend, day, packages

    def python(self, directory: Path) -> Path:
        if not self.packages:
            return Path(sys.executable)
        venv = directory / self.backend
        uv = shutil.which("uv") or str(ROOT / ".venv-uv/bin/uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, venv], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", venv, "--exclude-newer", self.day]
        subprocess.run([*install, *self.packages], check=True)
        return venv / "bin/python"


PEERS = [
    Peer("this backend", OURS, ""),
    Peer("the tutorials' backend", "tests.benchmarks.tutorial_backend.TutorialBackend", ""),
    Peer(
        "astronomer-providers 1.19.0",
        "astronomer.providers.amazon.aws.xcom_backends.s3.S3XComBackend",
        "2024-09-01",
        *("astronomer-providers[amazon]==1.19.0", "apache-airflow==2.9.3", "pandas<2.2", "pyarrow"),
    ),
    Peer(
        "Airflow 2.10's XComObjectStorageBackend",
        "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
        "2025-06-01",
        *("apache-airflow==2.10.5", "apache-airflow-providers-common-io==1.5.4"),
        *("apache-airflow-providers-amazon[s3fs]", "pandas<2.2", "pyarrow"),
    ),
]


def environment(stack: Stack, home: Path) -> dict[str, str]:
    """For all backends, with a metadata database of its own: each peer is of another Airflow."""
    connection = {
        "conn_type": "aws",
        "login": "a",
        "password": "b",
        "extra": {"endpoint_url": stack.s3.url, "region_name": "us-east-1"},
    }
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__S3_XCOM__BUCKET": stack.s3.bucket,
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": f"s3://aws_default@{stack.s3.bucket}/peer",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
        "XCOM_BACKEND_BUCKET_NAME": stack.s3.bucket,
        "BENCH_ENDPOINT": stack.s3.url,
    }


def run(command: list[Any], env: dict[str, str], cwd: Path) -> str:
    done = subprocess.run(list(map(str, command)), env=env, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "failed")
    return done.stdout.strip().splitlines()[-1]
