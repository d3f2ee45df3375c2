"""The values for Airflow's Helm chart: the configuration that they make is one that Airflow loads."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def values() -> dict:
    return yaml.safe_load((ROOT / "docs/kubernetes/values.yaml").read_text())


def test_airflow_loads_the_backend_and_its_settings_from_the_values(values, tmp_path):
    # The chart writes `config` into airflow.cfg, a section for each key, and gives `env` to each container.
    config = configparser.ConfigParser()
    config.read_dict(values["config"])
    with (tmp_path / "airflow.cfg").open("w") as stream:
        config.write(stream)
    given = {item["name"]: item["value"] for item in values["env"]}
    assert given["PYTHONPATH"] == "/opt/airflow"  # where the image has include/, here the root
    others = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    environment = {**others, **given, "PYTHONPATH": str(ROOT), "AIRFLOW_HOME": str(tmp_path)}
    code = (
        "from airflow.models.xcom import XCom;"
        "from include.s3_xcom.on_airflow.configuration import load_settings;"
        "print(XCom.__name__, vars(load_settings()))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert "S3XComBackend {'bucket': 'BUCKET', 'prefix': 'xcom', 'conn_id': ''" in done.stdout, done.stderr


def test_all_who_reach_s3_have_the_role(values):
    for name in ("workers", "scheduler", "webserver"):
        annotations = values[name]["serviceAccount"]["annotations"]
        assert annotations["eks.amazonaws.com/role-arn"].startswith("arn:aws:iam::")
