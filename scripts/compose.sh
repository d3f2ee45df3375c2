#!/usr/bin/env bash
# compose.sh ARGUMENT...: docker compose for this stack, with the settings that follow from others.
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
# Those of the environment count, which may say otherwise than .env: make up EXECUTOR=celery
derived=$(scripts/derived.sh)
set -a
eval "$derived"
set +a
case ${1-} in
  down | ps | logs | stop) COMPOSE_PROFILES=localstack,celery,flower,airflow-3,sweep ;; # whatever runs
esac
exec docker compose "$@"
