"""Run by LocalStack whenever it has started: it forgets its buckets when it stops."""

import os
import subprocess
import sys

import boto3

sys.path.insert(0, os.environ["PROJECT_DIR"])

from include.s3_xcom.s3 import setup
from include.s3_xcom.settings import Settings

s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["INIT_ENDPOINT_URL"],
    region_name=os.environ["INIT_REGION"],
    aws_access_key_id="any",
    aws_secret_access_key="any",  # noqa: S106 - LocalStack asks for none
)
settings = Settings(
    bucket=os.environ["INIT_BUCKET"],
    prefix=os.environ["INIT_PREFIX"],
    retention_days=int(os.environ["INIT_RETENTION_DAYS"]),
)
setup.ensure(s3, settings)

if os.environ.get("INIT_KEEP_IN"):
    command = [sys.executable, os.path.join(os.environ["PROJECT_DIR"], "scripts/keep_objects.py")]
    subprocess.run([*command, "put-back"], check=True)
    subprocess.Popen([*command, "watch"], start_new_session=True)
