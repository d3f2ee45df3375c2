"""The Compose stack, started from nothing in a folder and a Compose project of its own."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from embedded.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "s3-xcom-test"
VERSION = os.environ.get("AIRFLOW_VERSION", "2.5.3")
"""Of Airflow: make test-stack AIRFLOW_VERSION=3.3.2 PYTHON_VERSION=3.12"""

AIRFLOW_3 = VERSION.startswith("3.")
RELEASE = {"AIRFLOW_VERSION": VERSION, "PYTHON_VERSION": os.environ.get("PYTHON_VERSION", "3.10")}
"""As .env has it."""

# The worker of 3.17.1 knows no task of Airflow 2.
PACKAGES = {"2.11.2": ["apache-airflow-providers-celery==3.14.1"]}

collect_ignore = ["test_browser.py", "test_browser_pages.py"] if AIRFLOW_3 else ["test_browser_3.py"]
if VERSION != "2.5.3":  # later ones have another grid
    collect_ignore.append("test_browser.py")
OURS = ["--filter", f"label=com.docker.compose.project={PROJECT}"]


class ComposeStack:
    """A copy of the repository's files, on ports of its own."""

    def __init__(self, folder: Path, project: str = PROJECT) -> None:
        self.folder = folder
        self._project = project
        names = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(names, cwd=ROOT, text=True).splitlines():
            if (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self.ports = {name: free_port() for name in ("AIRFLOW_PORT", "LOCALSTACK_PORT")}
        self._token: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        ports = {name: str(port) for name, port in self.ports.items()}
        ours = {name: value for name, value in os.environ.items() if name not in RELEASE}
        return {**ours, **ports, "COMPOSE_PROJECT_NAME": self._project}

    @property
    def settings(self) -> dict[str, str]:
        return dict(re.findall(r"^(\w+)=(.*)$", (self.folder / ".env").read_text(), re.M))

    def set(self, **settings: str) -> None:
        """Write .env with these settings."""
        assert self.make("env").returncode == 0
        text = (self.folder / ".env").read_text()
        for name, value in settings.items():
            text, found = re.subn(f"^{name}=.*$", f"{name}={value}", text, flags=re.M)
            assert found == 1, name
        (self.folder / ".env").write_text(text)

    def add_packages(self, *pins: str) -> None:
        """Have packages of one's own in the image."""
        with (self.folder / "requirements/own.txt").open("a") as file:
            file.writelines(f"{pin}\n" for pin in pins)

    def secrets_in(self, text: str) -> list[str]:
        """The names of the generated secrets that a text holds."""
        generated = [name for name in self.settings if name.endswith(("_PASSWORD", "_KEY"))]
        return [name for name in generated if not name.startswith("AWS_") and self.settings[name] in text]

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a target as a user would."""
        command = ["make", *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["scripts/compose.sh", *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)

    def plain(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Docker Compose as people type it, with nothing but .env."""
        command = ["docker", "compose", *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)

    def remove_volume(self, name: str) -> None:
        subprocess.run(["docker", "volume", "rm", f"{self._project}_{name}"], check=True)

    def run_in(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        return self.compose("exec", "-T", service, *command)

    def api(
        self, path: str, body: dict | None = None, method: str | None = None, password: str | None = None
    ) -> Any:
        """Call Airflow's REST API, with the password of .env if none is given."""
        headers = {"Authorization": self._authorization(password or self.settings["UI_PASSWORD"])}
        return self._request(f"/api/{'v2' if AIRFLOW_3 else 'v1'}/{path}", body, headers, method)

    def _authorization(self, password: str) -> str:
        user = self.settings["UI_USER"]
        if not AIRFLOW_3:
            return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
        if self._token is None or password != self.settings["UI_PASSWORD"]:
            login = {"username": user, "password": password}
            self._token = self._request("/auth/token", login)["access_token"]
        return f"Bearer {self._token}"

    def _request(
        self, path: str, body: dict | None, headers: dict | None = None, method: str | None = None
    ) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['AIRFLOW_PORT']}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={**({} if body is None else {"Content-Type": "application/json"}), **(headers or {})},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
            return json.loads(text) if text else None

    def run_dag(self, dag_id: str, conf: dict, seconds: float = 300) -> tuple[str, str]:
        """Trigger a DAG and wait for its end.

        :return: the id of the run and its state
        """
        run_id = self.trigger(dag_id, conf)
        return run_id, self.wait(dag_id, run_id, seconds)

    def trigger(self, dag_id: str, conf: dict) -> str:
        """Trigger a DAG; return the id of the run."""
        self.api(f"dags/{dag_id}", {"is_paused": False}, "PATCH")
        when = {"logical_date": None} if AIRFLOW_3 else {}
        return self.api(f"dags/{dag_id}/dagRuns", {"conf": conf, **when})["dag_run_id"]

    def wait(self, dag_id: str, run_id: str, seconds: float = 300) -> str:
        """Wait for the end of a run; return its state."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.api(f"dags/{dag_id}/dagRuns/{quote(run_id)}")["state"]
            if state in ("success", "failed"):
                return state
            time.sleep(2)
        pytest.fail(f"{dag_id} has not ended within {seconds} s")


@pytest.fixture
def page(compose: ComposeStack) -> Iterator[Any]:
    """The UI, in a browser."""
    from tests.stack.browser import opened

    with opened(compose.ports["AIRFLOW_PORT"]) as page:
        yield page


@pytest.fixture(scope="session")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """The stack, healthy. Its volumes are removed at the end."""
    stack = ComposeStack(tmp_path_factory.mktemp("clone"))
    try:
        stack.set(**RELEASE)
        stack.add_packages(*PACKAGES.get(VERSION, ()))
        done = stack.make("up")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "UI_PASSWORD in .env" in done.stdout
        assert stack.secrets_in(done.stdout + done.stderr) == []
        yield stack
    finally:
        stack.make("clean")
