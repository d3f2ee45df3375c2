"""``python -m include.s3_xcom init``: safe to repeat, and beside other people's rules."""

from __future__ import annotations

import pytest

from include.s3_xcom.__main__ import main
from include.s3_xcom.errors import SettingError

has_all_settings = pytest.mark.servers("localstack", why="it has all of the settings")

KEY = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def new_bucket(s3, monkeypatch):
    name = "made-by-init"
    monkeypatch.setenv("AIRFLOW__S3_XCOM__BUCKET", name)
    yield name
    for prefix in ("one", "two", "xcom"):
        s3.meta.client.delete_object(Bucket=name, Key=f"{prefix}/database.json")
    s3.meta.client.delete_bucket(Bucket=name)


@has_all_settings
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


@has_all_settings
def test_init_keeps_the_rules_of_deployments_with_other_prefixes(s3, new_bucket, monkeypatch, capsys):
    for prefix, days in (("one", "30"), ("two", "0"), ("one", "7")):
        monkeypatch.setenv("AIRFLOW__S3_XCOM__PREFIX", prefix)
        monkeypatch.setenv("AIRFLOW__S3_XCOM__RETENTION_DAYS", days)
        assert main(["init"]) == 0
    rules = s3.meta.client.get_bucket_lifecycle_configuration(Bucket=new_bucket)["Rules"]
    assert {rule["ID"]: rule["Filter"]["Prefix"] for rule in rules} == {
        "s3-xcom-abort-incomplete-uploads:one": "one/dag_id=",
        "s3-xcom-abort-incomplete-uploads:two": "two/dag_id=",
        "s3-xcom-expire:one": "one/dag_id=",
    }
    assert [rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule] == [7]
    assert "objects expire after 7 days" in capsys.readouterr().out


@has_all_settings
def test_init_encrypts_with_the_key_that_is_set(s3, new_bucket, monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__SSE", "aws:kms")
    monkeypatch.setenv("AIRFLOW__S3_XCOM__KMS_KEY_ID", KEY)
    assert main(["init"]) == 0
    assert "default encryption on (aws:kms)" in capsys.readouterr().out
    encryption = s3.meta.client.get_bucket_encryption(Bucket=new_bucket)["ServerSideEncryptionConfiguration"]
    assert encryption["Rules"] == [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY},
            "BucketKeyEnabled": True,
        }
    ]


@has_all_settings
@pytest.mark.parametrize("size", [2**30, 5 * 2**20], ids=["in one piece", "in parts"])
def test_each_object_is_encrypted_as_set(task, s3, monkeypatch, tmp_path, size):
    from include.s3_xcom import File
    from include.s3_xcom.s3 import copies, uploads

    monkeypatch.setattr(uploads, "SINGLE_PUT_BYTES", size)
    monkeypatch.setattr(copies, "SINGLE_COPY_BYTES", size)
    monkeypatch.setenv("AIRFLOW__S3_XCOM__SSE", "AES256")
    (tmp_path / "data.csv").write_bytes(b"1,a\n" * 2_000_000)
    task.push(File(tmp_path / "data.csv"))
    task.push(task.pull(), key="copy")
    for key in ("return_value", "copy"):
        assert s3.Object(task.object_key(key)).server_side_encryption == "AES256"
        assert task.pull(key).path.read_bytes() == (tmp_path / "data.csv").read_bytes()


def test_a_key_without_its_encryption_is_refused(task, monkeypatch):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__KMS_KEY_ID", KEY)
    with pytest.raises(SettingError, match="Set sse to aws:kms"):
        task.push([1])


def test_init_without_a_bucket_setting_fails_with_a_message(stack, monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW__S3_XCOM__BUCKET", "")
    assert main(["init"]) == 1
    assert "AIRFLOW__S3_XCOM__BUCKET" in capsys.readouterr().err
