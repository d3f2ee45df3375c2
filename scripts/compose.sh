#!/usr/bin/env bash
# compose.sh ARGUMENT...: docker compose for this stack, with LocalStack if it is the endpoint.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "error: $*" >&2
  exit 1
}

command -v docker >/dev/null || fail "there is no docker on this machine. Use 'make demo', or install Docker."
docker compose version >/dev/null 2>&1 ||
  fail "docker compose does not answer: this needs Compose v2, a plugin of Docker (docker-compose v1 is too old)."
docker info >/dev/null 2>&1 ||
  fail "the Docker daemon does not answer. Start it, and check that you may use it ('docker info')."

scripts/make_env.sh
# setting NAME: its value, from the environment before .env, as Compose has it
setting() { printf '%s' "${!1:-$(sed -n "s/^$1=//p" .env)}"; }

profiles=()
case $(setting S3_ENDPOINT_URL) in
  *//localstack:*) profiles+=(--profile localstack) ;;
esac
case $(setting EXECUTOR) in
  local | "") export AIRFLOW_EXECUTOR=LocalExecutor ;;
  celery)
    export AIRFLOW_EXECUTOR=CeleryExecutor
    AIRFLOW_BROKER_URL=redis://:$(setting REDIS_PASSWORD)@redis:6379/0
    export AIRFLOW_BROKER_URL
    profiles+=(--profile celery)
    [ -z "$(setting FLOWER_PORT)" ] || profiles+=(--profile flower)
    ;;
  *) fail "EXECUTOR is '$(setting EXECUTOR)'. Set it to local or celery." ;;
esac
case ${1-} in
  down | ps | logs | stop) profiles=(--profile localstack --profile celery --profile flower) ;; # whatever runs
esac
exec docker compose "${profiles[@]}" "$@"
