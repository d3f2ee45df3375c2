"""``python -m include.s3_xcom init``: safe to repeat, and beside other people's rules."""

from __future__ import annotations

import pytest

from include.s3_xcom.__main__ import main


@pytest.fixture
def new_bucket(s3, monkeypatch):
    name = "made-by-init"
    monkeypatch.setenv("AIRFLOW__S3_XCOM__BUCKET", name)
    yield name
    s3.meta.client.delete_bucket(Bucket=name)


def test_init_makes_a_private_encrypted_bucket_and_can_be_repeated(s3, new_bucket, capsys):
    client = s3.meta.client
    assert main(["init"]) == 0
    assert "bucket created" in capsys.readouterr().out
    theirs = {
        "ID": "theirs",
        "Status": "Enabled",
        "Filter": {"Prefix": "logs/"},
        "Expiration": {"Days": 3},
    }
    rules = client.get_bucket_lifecycle_configuration(Bucket=new_bucket)["Rules"]
    client.put_bucket_lifecycle_configuration(
        Bucket=new_bucket, LifecycleConfiguration={"Rules": [theirs, *rules]}
    )
    assert main(["init"]) == 0
    assert "bucket created" not in capsys.readouterr().out
    after = client.get_bucket_lifecycle_configuration(Bucket=new_bucket)["Rules"]
    assert [rule["ID"] for rule in after] == ["theirs", "s3-xcom-abort-incomplete-uploads:xcom"]
    assert all(client.get_public_access_block(Bucket=new_bucket)["PublicAccessBlockConfiguration"].values())
    encryption = client.get_bucket_encryption(Bucket=new_bucket)["ServerSideEncryptionConfiguration"]
    assert encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_init_keeps_the_rules_of_deployments_with_other_prefixes(s3, new_bucket, monkeypatch, capsys):
    for prefix, days in (("one", "30"), ("two", "0"), ("one", "7")):
        monkeypatch.setenv("AIRFLOW__S3_XCOM__PREFIX", prefix)
        monkeypatch.setenv("AIRFLOW__S3_XCOM__RETENTION_DAYS", days)
        assert main(["init"]) == 0
    rules = s3.meta.client.get_bucket_lifecycle_configuration(Bucket=new_bucket)["Rules"]
    assert {rule["ID"]: rule["Filter"]["Prefix"] for rule in rules} == {
        "s3-xcom-abort-incomplete-uploads:one": "one/",
        "s3-xcom-abort-incomplete-uploads:two": "two/",
        "s3-xcom-expire:one": "one/",
    }
    assert [rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule] == [7]
    assert "objects expire after 7 days" in capsys.readouterr().out


def test_init_without_a_bucket_setting_fails_with_a_message(stack, monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__BUCKET", "")
    assert main(["init"]) == 1
    assert "AIRFLOW__S3_XCOM__BUCKET" in capsys.readouterr().err
