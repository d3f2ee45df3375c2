"""What the repository promises beside its code's behaviour."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.release import XCOM_MODULE, dag_bag

ROOT = Path(__file__).resolve().parents[2]


def run_python(code: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_loading_the_backend_imports_nothing_else():
    code = f"""
import os, sys
os.environ.pop("AIRFLOW__CORE__XCOM_BACKEND", None)
import {XCOM_MODULE}
before = set(sys.modules)
import include.s3_xcom_backend
print(*sorted(set(sys.modules) - before))
"""
    own = [
        "include",
        "include.s3_xcom",
        *(f"include.s3_xcom.on_airflow{x}" for x in ("", ".deletion", ".local_files", ".releases")),
    ]
    loaded = [name for name in run_python(code).split() if "releases.airflow" not in name]
    assert loaded == [*own, "include.s3_xcom_backend"]


def test_no_module_takes_the_place_of_a_name_of_its_package():
    """As it does when it is imported after the package: ``package.name`` is the module then."""
    code = """
import contextlib, importlib, pkgutil, types
import include.s3_xcom
for found in pkgutil.walk_packages(include.s3_xcom.__path__, "include.s3_xcom."):
    if found.ispkg and ".releases." not in found.name:
        package = importlib.import_module(found.name)
        names = {n: v for n, v in vars(package).items() if not isinstance(v, types.ModuleType)}
        for module in pkgutil.iter_modules(package.__path__, found.name + "."):
            with contextlib.suppress(ImportError):  # of a library that is not installed here
                importlib.import_module(module.name)
        print(*(f"{found.name}.{n}" for n, v in names.items() if vars(package)[n] is not v))
"""
    assert run_python(code).split() == []


def test_airflow_loads_the_backend():
    code = f"from {XCOM_MODULE} import XCom; print(XCom.__module__, XCom.__name__)"
    assert run_python(code).split() == ["include.s3_xcom_backend", "S3XComBackend"]


def test_the_dags_parse_without_errors_warnings_or_queries(monkeypatch, recwarn):
    from airflow.models import Variable

    def forbidden(*_, **__):
        pytest.fail("a variable was read while a DAG file was parsed")

    monkeypatch.setattr(Variable, "get", forbidden)
    bag = dag_bag(ROOT / "dags")
    assert bag.import_errors == {}
    assert {"TestDag", "KindsOfValues", "FanOut"} <= set(bag.dags)
    ours = [warning for warning in recwarn if Path(warning.filename).is_relative_to(ROOT / "dags")]
    assert ours == []


@pytest.fixture
def project(tmp_path) -> Path:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / ".env.example", tmp_path)
    return tmp_path


def test_env_is_written_once_with_new_secrets_that_only_the_owner_reads(project):
    make_env = [project / "scripts/make_env.sh"]
    subprocess.run(make_env, check=True)
    first = (project / ".env").read_text()
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600
    secrets = dict(re.findall(r"^(\w+(?:_PASSWORD|_KEY))=(.*)$", first, re.M))
    generated = [value for name, value in secrets.items() if not name.startswith("AWS_")]
    assert len(generated) == 8
    assert all(len(value) >= 32 for value in generated)
    assert len(set(generated)) == len(generated)

    subprocess.run(make_env, check=True)
    assert (project / ".env").read_text() == first


def test_an_env_of_an_earlier_version_gets_the_new_settings_only(project):
    before = "# mine\nUI_PASSWORD=chosen\nS3_BUCKET=mine\n"
    (project / ".env").write_text(before)
    subprocess.run([project / "scripts/make_env.sh"], check=True)
    after = (project / ".env").read_text()
    assert after.startswith(before)
    assert after.count("COMPOSE_PROFILES=localstack\n") == 1
    assert after.count("UI_PASSWORD=") == after.count("S3_BUCKET=") == 1
    assert len(re.search(r"^REDIS_PASSWORD=(.*)$", after, re.M)[1]) >= 32
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600


CONFS = [
    '{"query": "SELECT \'a\' AS a"}',
    '{"query": "SELECT $1, $$x$$, $(HOME), ${HOME}, `id`"}',
    '{"query": "SELECT $(1, \\"a b\\" # ; & | * \\\\ !"}',
]


@pytest.mark.parametrize("conf", CONFS)
@pytest.mark.parametrize("by_environment", [False, True], ids=["as an argument", "by the environment"])
def test_make_trigger_hands_over_its_conf_as_it_was_written(tmp_path, conf, by_environment):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "scripts").mkdir()
    compose = tmp_path / "scripts/compose.sh"
    compose.write_text("#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    compose.chmod(0o755)
    arguments = [] if by_environment else [f"CONF={conf}"]
    environment = {**os.environ, **({"CONF": conf} if by_environment else {})}
    command = ["make", "-s", "trigger", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)[-3:] == ["TestDag", "--conf", conf]


def test_every_setting_of_the_compose_file_is_in_the_example():
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yaml").read_text()))
    documented = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.M))
    # What EXECUTOR and the release mean for Airflow, scripts/derived.sh knows.
    derived = set(re.findall(r"\b(AIRFLOW\w+)=", (ROOT / "scripts/derived.sh").read_text()))
    assert used - derived == documented - {"EXECUTOR"}


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("S3_BUCKET=My_Bucket", "S3 takes 3 to 63 lower-case letters"),
        ("S3_BUCKET=a..b", "S3 takes 3 to 63 lower-case letters"),
        ("AIRFLOW_PORT=80a", "AIRFLOW_PORT in .env is '80a'. Set it to a number."),
        ("AIRFLOW_PORT=", "AIRFLOW_PORT in .env is empty"),
        ("LOCALSTACK_PORT=70000", "Ports go from 1 to 65535"),
        ("WORKERS=two", "WORKERS in .env is 'two'"),
        ("FERNET_KEY=short", "FERNET_KEY in .env is no key"),
        ("UI_USER=admin\r", "line ends of Windows"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_a_line(project, setting, says):
    subprocess.run([project / "scripts/make_env.sh"], check=True, capture_output=True)
    check = [project / "scripts/check_settings.sh"]
    outside = {"PATH": os.environ["PATH"]}
    assert subprocess.run(check, env=outside, capture_output=True, text=True).stderr == ""
    name = setting.partition("=")[0]
    env = project / ".env"
    env.write_text(re.sub(f"^{name}=.*$", lambda _: setting, env.read_text(), flags=re.M), newline="")
    done = subprocess.run(check, env=outside, capture_output=True, text=True)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert says in line


@pytest.mark.parametrize(
    ("docker", "says"),
    [
        (None, "there is no docker"),
        ('case "$1" in compose) exit 1;; *) exit 0;; esac', "needs Compose v2"),
        ('case "$1" in info) exit 1;; *) exit 0;; esac', "daemon does not answer"),
        ('case "$*" in "compose version --short") echo v2.23.3;; esac', "needs 2.24 or later"),
        (
            'case "$*" in *--short) echo 2.26.1;; "volume ls"*) echo s3-xcom_postgres-data;; esac',
            "Put the old .env back",
        ),
    ],
    ids=["no docker", "compose v1 only", "no daemon", "old compose", "lost .env"],
)
def test_a_machine_that_cannot_run_the_stack_is_told_why(project, docker, says):
    programs = project / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "env"):
        (programs / name).symlink_to(shutil.which(name))
    if docker is not None:
        (programs / "docker").write_text(f"#!/bin/bash\n{docker}\n")
        (programs / "docker").chmod(0o755)
    environment = {**os.environ, "PATH": str(programs)}
    command = [project / "scripts/compose.sh", "ps"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert says in done.stderr
