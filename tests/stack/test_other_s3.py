"""The Compose stack on another S3 server, with TLS and a certificate authority of its own."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.helpers.certificates import make_certificate
from tests.helpers.outside import bucket_at
from tests.servers import running
from tests.servers.seaweedfs import LOGIN, SeaweedFS
from tests.stack.conftest import RELEASE, ComposeStack

BUCKET = "with-tls"


@pytest.fixture(scope="module")
def gateway() -> str:
    """This machine's address, as containers see it."""
    form = "{{json (index .IPAM.Config 0)}}"
    config = json.loads(subprocess.check_output(["docker", "network", "inspect", "bridge", "-f", form]))
    # An engine that made the network since its start names no gateway, which is the first address then.
    return config.get("Gateway") or str(ipaddress.ip_network(config["Subnet"])[1])


@pytest.fixture(scope="module")
def server(gateway, tmp_path_factory) -> Iterator[SeaweedFS]:
    directory = tmp_path_factory.mktemp("s3")
    with running(SeaweedFS(directory, gateway, make_certificate(directory, "ca", address=gateway))) as server:
        yield server


@pytest.fixture(scope="module")
def elsewhere(server, tmp_path_factory) -> Iterator[ComposeStack]:
    """A stack whose .env names the server."""
    stack = ComposeStack(tmp_path_factory.mktemp("elsewhere"), "s3-xcom-elsewhere")
    stack.set(
        **RELEASE,
        S3_ENDPOINT_URL=server.url,
        S3_BUCKET=BUCKET,
        S3_ADDRESSING_STYLE="path",
        S3_CA_BUNDLE=str(server.certificate),
        AWS_ACCESS_KEY_ID=LOGIN,
        AWS_SECRET_ACCESS_KEY=LOGIN,
    )
    try:
        done = stack.make("up")
        assert done.returncode == 0, done.stdout + done.stderr
        yield stack
    finally:
        stack.make("clean")


def test_testdag_runs_on_it(elsewhere, server):
    services = elsewhere.compose("ps", "--services").stdout.split()
    assert "localstack" not in services
    _, state = elsewhere.run_dag("TestDag", {})
    assert state == "failed"  # there is no bucket, and the server is kept from making one
    assert BUCKET not in bucket_names(server)
    done = elsewhere.run_in("airflow-scheduler", "python", "-m", "include.s3_xcom", "init")
    assert done.returncode == 3
    assert "bucket created" in done.stdout
    assert "public access is NOT blocked" in done.stderr
    assert "default encryption is NOT on" in done.stderr
    _, state = elsewhere.run_dag("TestDag", {"query": "SELECT * FROM my_table LIMIT 3"})
    assert state == "success"
    bucket = bucket_at(server.url, BUCKET, verify=str(server.certificate))
    names = [item.key for item in bucket.objects.all()]
    assert sum("/task_id=retrieve_data/" in name for name in names) == 3


def bucket_names(server: SeaweedFS) -> list[str]:
    bucket = bucket_at(server.url, BUCKET, verify=str(server.certificate))
    return [item["Name"] for item in bucket.meta.client.list_buckets()["Buckets"]]
