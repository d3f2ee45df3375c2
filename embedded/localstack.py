"""LocalStack's S3, from its own virtual environment: it needs a newer Python than Airflow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path

from embedded.processes import Process, StartError, free_port

ROOT = Path(__file__).resolve().parent.parent
BUCKET = "xcom"
LOGIN = "any-login-will-do"
"""Both the access key and the secret key: LocalStack takes any. Masked in logs, so it is no word."""

PYTHON = ROOT / ".venv-localstack/bin/python"


class LocalStack:
    """A server on a free port of 127.0.0.1; what it holds is gone when it stops.

    :param directory: private and existing; it will hold state and log
    :param services: of AWS, in LocalStack's own names
    """

    name = "LocalStack"

    def __init__(self, directory: Path, services: str = "s3") -> None:
        self._services = services
        self._directory = directory / "localstack"
        self._log = directory / "localstack.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.bucket = BUCKET

    def launch(self) -> None:
        """Start it without waiting.

        :raises StartError: if it is not installed
        """
        if not PYTHON.exists():
            raise StartError(f"There is no {PYTHON}. Run `make install`.")
        self._directory.mkdir(exist_ok=True)
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self._directory),
            "TMPDIR": str(self._directory),
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "SERVICES": self._services,
            "EAGER_SERVICE_LOADING": "1",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DISABLE_EVENTS": "1",
            "DATA_DIR": str(self._directory),
            "FILESYSTEM_ROOT": str(self._directory / "filesystem"),
        }
        command = [PYTHON, "-m", "localstack.runtime.main"]
        self._process = Process(self.name, command, environment, self._log)

    def wait(self) -> None:
        """Wait until S3 answers, and make the bucket.

        :raises StartError: if it does not come up
        """
        self._process.wait_until(self._is_ready, seconds=90)
        environment = {
            "INIT_ENDPOINT_URL": self.url,
            "INIT_BUCKET": self.bucket,
            "INIT_PREFIX": "xcom",
            "INIT_REGION": "us-east-1",
            "INIT_RETENTION_DAYS": "0",
            "PROJECT_DIR": str(ROOT),
        }
        command = [PYTHON, ROOT / "scripts/prepare_localstack.py"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise StartError(f"The bucket could not be made:\n{done.stderr}")

    def stop(self) -> None:
        if hasattr(self, "_process"):
            self._process.stop(signal.SIGKILL)  # it has nothing to keep

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_localstack/health", timeout=2) as response:  # noqa: S310
                return json.load(response)["services"]["s3"] in ("available", "running")
        except (OSError, ValueError, KeyError):
            return False
