#!/usr/bin/env bash
# check_settings.sh: refuse settings in .env with which nothing would work, a line for each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=0
fail() {
  echo "error: $*" >&2
  failed=1
}
source scripts/setting.sh

if grep -q $'\r' .env; then
  fail ".env has line ends of Windows. Convert it: sed -i 's/\\r\$//' .env"
fi
for name in AIRFLOW_PORT LOCALSTACK_PORT FLOWER_PORT WORKERS PARALLELISM S3_RETENTION_DAYS SWEEP_HOURS; do
  value=$(setting "$name")
  case $value in
    "") case $name in FLOWER_PORT | SWEEP_HOURS) ;; *) fail "$name in .env is empty. Set it to a number." ;; esac ;;
    *[!0-9]*) fail "$name in .env is '$value'. Set it to a number." ;;
    *) case $name in *_PORT) ((10#$value >= 1 && 10#$value <= 65535)) || fail "$name in .env is $value. Ports go from 1 to 65535." ;; esac ;;
  esac
done
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
bucket=$(setting S3_BUCKET)
if ! [[ $bucket =~ ^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$ && $bucket != *..* ]]; then
  fail "S3_BUCKET in .env is '$bucket'. S3 takes 3 to 63 lower-case letters, digits, dots and hyphens."
fi
if ! [[ $(setting FERNET_KEY) =~ ^[A-Za-z0-9_-]{43}=$ ]]; then
  fail "FERNET_KEY in .env is no key: 32 bytes in base64 are one. Take another only with a new database (make clean)."
fi
exit "$failed"
