"""The Compose stack as a user meets it: make, the UI's port, the REST API, S3 from outside."""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import subprocess
import time
import urllib.error
from collections import Counter
from urllib.parse import quote

import boto3
import pytest

from tests.stack.conftest import AIRFLOW_3, OURS


@pytest.fixture(scope="module")
def bucket(compose):
    return boto3.resource(
        "s3",
        endpoint_url=f"http://127.0.0.1:{compose.ports['LOCALSTACK_PORT']}",
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    ).Bucket("xcom")


def instances(compose, run_id: str) -> list[dict]:
    return compose.api(f"dags/TestDag/dagRuns/{quote(run_id)}/taskInstances?limit=100")["task_instances"]


def test_testdag_runs_over_the_rest_api_with_a_changed_query(compose, bucket):
    query = "SELECT * FROM my_table ORDER BY magnitude DESC LIMIT 6"
    run_id, state = compose.run_dag("TestDag", {"query": query})
    assert state == "success"
    states = Counter((item["task_id"], item["state"]) for item in instances(compose, run_id))
    assert states == {("Get_Data", "success"): 1, ("retrieve_data", "success"): 6}
    prefix = f"xcom/dag_id=TestDag/run_id={quote(run_id, safe='')}/"
    keys = [item.key for item in bucket.objects.filter(Prefix=prefix)]
    assert sum("/task_id=Get_Data/map_index=-1/" in key for key in keys) == 1
    assert sum("/task_id=retrieve_data/map_index=" in key for key in keys) == 6


def test_the_rest_api_shows_the_reference_not_the_data(compose):
    run_id, _ = compose.run_dag("TestDag", {"query": "SELECT * FROM my_table LIMIT 2"})
    entry = compose.api(
        f"dags/TestDag/dagRuns/{quote(run_id)}/taskInstances/Get_Data/xcomEntries/return_value"
    )
    assert entry["value"].startswith("rows (2 x 11), ")
    assert " s3://xcom/xcom/dag_id=TestDag/" in entry["value"]


def test_a_deleted_run_takes_its_objects_and_the_command_line_sweeps_the_others(compose):
    run_id, _ = compose.run_dag("TestDag", {"query": "SELECT * FROM my_table LIMIT 2"})
    cli = ("airflow-scheduler", "python", "-m", "include.s3_xcom")

    def referenced() -> list[str]:
        done = compose.run_in(*cli, "ls", "--dag", "TestDag", "--run", run_id, "--output", "json")
        return [line["referenced"] for line in json.loads(done.stdout)] if done.stdout.strip() else []

    assert referenced() == ["yes"] * 3
    compose.api(f"dags/TestDag/dagRuns/{quote(run_id)}", method="DELETE")
    deadline = time.monotonic() + 30  # Airflow 3 does it beside the request
    while referenced() and time.monotonic() < deadline:
        time.sleep(1)
    assert referenced() == []

    run_id, _ = compose.run_dag("TestDag", {"query": "SELECT * FROM my_table LIMIT 2"})
    assert referenced() == ["yes"] * 3
    sql = f"DELETE FROM xcom WHERE run_id = '{run_id}'"
    assert compose.run_in("postgres", "psql", "-U", "postgres", "-c", sql, "airflow").returncode == 0
    assert referenced() == ["no"] * 3
    done = compose.run_in(*cli, "sweep", "--delete", "--grace", "0s")
    assert "3 deleted" in done.stdout, done.stdout + done.stderr
    assert referenced() == []


def test_make_trigger_runs_a_dag_and_waits(compose):
    done = compose.make("trigger", "DAG=KindsOfValues")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "KindsOfValues: success in " in done.stdout
    quoted = compose.make(
        "trigger", """CONF={"query": "SELECT * FROM my_table WHERE alert = 'green' LIMIT 1"}"""
    )
    assert "TestDag: success in " in quoted.stdout, quoted.stdout + quoted.stderr


def test_make_trigger_says_what_went_wrong(compose):
    failed = compose.make("trigger", 'CONF={"query": "SELECT * FROM nothing"}')
    assert failed.returncode != 0
    assert "TestDag: failed in " in failed.stdout
    assert re.search(r'Get_Data failed: .*UndefinedTable.*"nothing" does not exist', failed.stdout), (
        failed.stdout
    )
    misspelt = compose.make("trigger", 'CONF={"querry": "SELECT 1"}')
    assert "TestDag has no parameter querry. It has: query." in misspelt.stderr
    unknown = compose.make("trigger", "DAG=Nope")
    assert "There is no DAG Nope. There are: " in unknown.stderr
    assert "TestDag" in unknown.stderr


def test_connections_and_variable_are_in_the_ui(compose):
    connections = compose.api("connections")["connections"]
    assert {item["connection_id"] for item in connections} == {"DB_CONN", "aws_default"}
    assert compose.api("variables/BASE_DIR")["value"] == "/opt/airflow"


def test_nothing_is_open_to_the_network_or_to_strangers(compose):
    ports = subprocess.check_output(["docker", "ps", *OURS, "--format", "{{.Ports}}"], text=True)
    published = [part for part in ports.replace("\n", ", ").split(", ") if "->" in part]
    assert len(published) == 2
    assert all(part.startswith("127.0.0.1:") for part in published)
    assert stat.S_IMODE((compose.folder / ".env").stat().st_mode) == 0o600
    with pytest.raises(urllib.error.HTTPError, match=r"401|403"):
        compose.api("dags", password="airflow")


def test_containers_do_not_run_as_root_and_see_the_code_read_only(compose):
    for service in ("airflow-scheduler", "airflow-webserver"):
        assert compose.run_in(service, "id", "-u").stdout.strip() != "0"
        assert compose.run_in(service, "touch", "/opt/airflow/include/x").returncode != 0
        assert compose.run_in(service, "touch", "/opt/airflow/dags/x").returncode != 0


@pytest.mark.parametrize(
    ("database", "statement", "says"),
    [
        ("airflow", "SELECT 1", "permission denied for database"),
        ("postgres", "SELECT 1", "permission denied for database"),
        ("demo", "DELETE FROM my_table", "permission denied for table"),
        ("demo", "CREATE TABLE mine (n int)", "permission denied for schema"),
    ],
)
def test_the_demo_user_can_only_read_its_own_database(compose, database, statement, says):
    url = f"postgresql://demo:{compose.settings['DEMO_DB_PASSWORD']}@127.0.0.1/{database}"
    done = compose.run_in("postgres", "psql", url, "-c", statement)
    assert done.returncode != 0
    assert says in done.stderr


def test_no_container_can_gain_privileges(compose):
    ids = subprocess.check_output(["docker", "ps", "--quiet", *OURS], text=True).split()
    assert len(ids) == (6 if AIRFLOW_3 else 5)
    for line in json.loads(subprocess.check_output(["docker", "inspect", *ids])):
        assert "no-new-privileges:true" in line["HostConfig"]["SecurityOpt"]
        assert not line["HostConfig"]["Privileged"]


def test_no_log_holds_a_value_or_a_secret(compose):
    canary = secrets.token_hex(8)
    # The statement is logged, so it does not hold the value as it stands.
    query = f"SELECT reverse('{canary[::-1]}') AS word, id FROM my_table LIMIT 2"
    _, state = compose.run_dag("TestDag", {"query": query})
    assert state == "success"
    logs = compose.compose("logs", "--no-color").stdout
    logs += compose.run_in("airflow-scheduler", "grep", "-r", "", "/opt/airflow/logs").stdout
    assert "Pushed rows (2 x 2)" in logs
    assert canary not in logs
    assert compose.secrets_in(logs) == []
    assert compose.secrets_in((compose.folder / ".env").read_text()) != []


def test_a_full_disk_is_named(compose):
    code = """
from pathlib import Path
from types import SimpleNamespace
from include.s3_xcom.on_airflow.releases import release
release.prepare_command_line()
try:
    from airflow.sdk.execution_time.xcom import XCom
except ImportError:
    from airflow.models import XCom
from include.s3_xcom import File
from include.s3_xcom.errors import DiskError
Path("/tmp/data.bin").write_bytes(bytes(80_000_000))
owner = dict(key="return_value", dag_id="TestDag", task_id="task", run_id="full disk", map_index=-1)
row = XCom.serialize_value(File("/tmp/data.bin"), **owner)
try:
    XCom.deserialize_value(SimpleNamespace(value=row)).download("/dev/shm")
except DiskError as error:
    print(error, list(Path("/dev/shm").iterdir()))
"""
    done = compose.run_in("airflow-scheduler", "python", "-c", code)
    assert "No space left on device" in done.stdout, done.stdout + done.stderr
    assert "run 'full disk', s3://xcom/xcom/" in done.stdout
    assert done.stdout.rstrip().endswith("[]")


def test_localstack_restarted_empty_heals(compose, bucket):
    query = "SELECT * FROM my_table LIMIT 2"
    before, _ = compose.run_dag("TestDag", {"query": query})
    assert compose.compose("rm", "--stop", "--force", "localstack").returncode == 0
    compose.remove_volume("s3-objects")
    assert compose.make("up").returncode == 0
    rules = bucket.meta.client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
    assert [rule["ID"] for rule in rules] == ["s3-xcom-abort-incomplete-uploads:xcom"]
    assert [item.key for item in bucket.objects.all()] == ["xcom/database.json"]  # the note of the database

    cleared = {
        "dry_run": False,
        "dag_run_id": before,
        "task_ids": ["retrieve_data"],
        "only_failed": False,
        "reset_dag_runs": True,
    }
    compose.api("dags/TestDag/clearTaskInstances", cleared)
    assert compose.wait("TestDag", before) == "failed"
    log = compose.run_in("airflow-scheduler", "grep", "-r", "no longer in the bucket", "/opt/airflow/logs")
    assert f"run '{before}', s3://xcom/xcom/dag_id=TestDag/" in log.stdout

    _, state = compose.run_dag("TestDag", {"query": query})
    assert state == "success"


def test_without_an_endpoint_localstack_is_no_part_of_the_stack(compose):
    env = compose.folder / ".env"
    text = env.read_text()
    assert "localstack" in compose.compose("config", "--services").stdout.split()
    try:
        env.write_text(re.sub(r"^S3_ENDPOINT_URL=.*$", "S3_ENDPOINT_URL=", text, flags=re.M))
        services = compose.compose("config", "--services").stdout.split()
    finally:
        env.write_text(text)
    processor = ["airflow-dag-processor"] if AIRFLOW_3 else []
    airflow = [*processor, "airflow-init", "airflow-scheduler", "airflow-triggerer", "airflow-webserver"]
    assert sorted(services) == [*airflow, "postgres"]


def test_make_up_can_be_repeated(compose):
    env = (compose.folder / ".env").read_text()
    assert compose.make("up").returncode == 0
    assert (compose.folder / ".env").read_text() == env


def show(compose, run_id: str) -> str:
    """What the command line says of Get_Data's result, which it pulls."""
    ids = f"--dag TestDag --run {run_id} --task Get_Data"
    done = compose.make("-s", "xcom", f"ARGS=show {ids}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_until_kept(compose, bucket) -> None:
    """What comes into LocalStack's bucket is kept soon after."""
    deadline = time.monotonic() + 60
    count = 'ls /var/lib/s3-objects | grep -c "json$"'
    while time.monotonic() < deadline:
        kept = compose.run_in("localstack", "sh", "-c", count).stdout.strip()
        if kept == str(len(list(bucket.objects.all()))):
            return
        time.sleep(1)
    pytest.fail("not all objects are kept")


def test_data_survives_down_and_up(compose, bucket):
    run_id, _ = compose.run_dag("TestDag", {"query": "SELECT * FROM my_table LIMIT 2"})
    runs, objects = compose.api("dags/TestDag/dagRuns")["total_entries"], len(list(bucket.objects.all()))
    shown = show(compose, run_id)
    wait_until_kept(compose, bucket)
    assert compose.make("down").returncode == 0
    assert compose.make("up").returncode == 0
    assert compose.api("dags/TestDag/dagRuns")["total_entries"] == runs > 0
    assert len(list(bucket.objects.all())) == objects > 0
    assert show(compose, run_id) == shown
    log = compose.run_in("airflow-scheduler", "grep", "-r", "Pushed rows", "/opt/airflow/logs")
    assert f"run_id={run_id}" in log.stdout


def test_a_killed_localstack_comes_back_with_what_it_held(compose, bucket):
    run_id, _ = compose.run_dag("TestDag", {"query": "SELECT * FROM my_table LIMIT 2"})
    shown = show(compose, run_id)
    wait_until_kept(compose, bucket)
    assert compose.compose("kill", "localstack").returncode == 0
    assert compose.make("up").returncode == 0
    assert show(compose, run_id) == shown
    found = next(iter(bucket.objects.filter(Prefix="xcom/dag_id=TestDag/")))
    assert found.Object().metadata["dag-id"] == "TestDag"


def test_plain_docker_compose_starts_and_stops_all(compose):
    assert compose.make("down").returncode == 0
    up = compose.plain("up", "--detach", "--wait")
    assert up.returncode == 0, up.stderr
    assert compose.run_dag("TestDag", {"query": "SELECT * FROM my_table LIMIT 1"})[1] == "success"
    assert compose.plain("down").returncode == 0
    assert subprocess.check_output(["docker", "ps", "--all", "--quiet", *OURS], text=True) == ""
    env = compose.folder / ".env"
    env.rename(env.with_name("away"))
    try:
        assert "run make env, which writes .env" in compose.plain("up", "--detach").stderr
    finally:
        env.with_name("away").rename(env)
    assert compose.make("up").returncode == 0


def test_what_changed_in_env_is_applied_or_said(compose):
    text = (compose.folder / ".env").read_text()
    try:
        compose.set(UI_PASSWORD="another-password", AWS_ACCESS_KEY_ID="another")
        done = compose.make("up")
        assert (
            "Note: UI_PASSWORD in .env is not the password of admin. To set it: make password" in done.stdout
        )
        assert "Note: the connection aws_default differs from what .env says." in done.stdout
        assert compose.make("password").returncode == 0
        assert compose.api("connections", password="another-password")
        compose.set(UI_PASSWORD="bad$port", AIRFLOW_PORT="0")
    finally:
        (compose.folder / ".env").write_text(text)
        assert compose.make("password").returncode == 0
    again = compose.make("up")
    assert "Note:" not in again.stdout


@pytest.mark.parametrize("conn_id", ["DB_CONN", "aws_default"])
def test_the_test_button_passes_for_the_connections(compose, conn_id):
    code = f"""
from include.s3_xcom.on_airflow.releases import release
release.prepare_command_line()
from airflow.models import Connection
from airflow.utils.session import create_session
with create_session() as session:
    connection = session.query(Connection).filter_by(conn_id={conn_id!r}).one()
    print(*connection.test_connection())
"""
    done = compose.run_in("airflow-scheduler", "python", "-W", "ignore", "-c", code)
    assert done.stdout.splitlines()[-1].startswith("True "), done.stdout + done.stderr


DEFERRABLE = """
import datetime
try:
    from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
except ImportError:
    from airflow.sensors.date_time import DateTimeSensorAsync
from airflow import DAG

with DAG("deferrable", start_date=datetime.datetime(2026, 1, 1), schedule=None):
    later = "{{ (dag_run.start_date + macros.timedelta(seconds=5)).isoformat() }}"
    DateTimeSensorAsync(task_id="wait", target_time=later)
"""


def test_a_deferred_task_comes_back_and_a_new_dag_is_found_soon(compose):
    path = compose.folder / "dags/deferrable.py"
    path.write_text(DEFERRABLE)
    start = time.monotonic()
    try:
        done = compose.make("trigger", "DAG=deferrable")
    finally:
        path.unlink()
    assert "deferrable: success in " in done.stdout, done.stdout + done.stderr
    assert "deferred" in done.stdout
    assert time.monotonic() - start < 120


def test_the_scheduler_is_healthy_after_each_start(compose):
    for number in range(int(os.environ.get("SCHEDULER_STARTS", "3"))):
        assert compose.compose("restart", "airflow-scheduler").returncode == 0
        done = compose.plain("up", "--detach", "--wait")
        assert done.returncode == 0, f"start {number}: {done.stderr}"


def test_the_command_line_saves_to_this_machine(compose, bucket):
    run_id, _ = compose.run_dag("TestDag", {"query": "SELECT * FROM my_table LIMIT 2"})
    listed = compose.make("-s", "xcom", f"ARGS=ls --dag TestDag --run {run_id}").stdout
    [address] = re.findall(r"s3://\S*task_id=Get_Data\S*", listed)
    command = ["make", "-s", "xcom", f"ARGS=show {address} --save -"]
    saved = subprocess.run(command, cwd=compose.folder, env=compose.environment, capture_output=True).stdout
    assert saved == bucket.Object(address.removeprefix("s3://xcom/")).get()["Body"].read()
    mapped = compose.make("-s", "xcom", f"ARGS=show --dag TestDag --run {run_id} --task retrieve_data")
    assert "The task is mapped: give --map-index." in mapped.stderr
