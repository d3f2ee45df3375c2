#!/usr/bin/env bash
# compose.sh ARGUMENT...: docker compose for this stack, with the settings that follow from others.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "error: $*" >&2
  exit 1
}

[ "${BASH_VERSINFO[0]}" -gt 4 ] || [ "${BASH_VERSINFO[*]:0:2}" = "4 4" ] ||
  fail "this bash is $BASH_VERSION. It needs 4.4 or later (on macOS: brew install bash)."
command -v docker >/dev/null || fail "there is no docker on this machine. Use 'make demo', or install Docker."
docker compose version >/dev/null 2>&1 ||
  fail "docker compose does not answer: this needs Compose v2, a plugin of Docker (docker-compose v1 is too old)."
docker info >/dev/null 2>&1 ||
  fail "the Docker daemon does not answer. Start it, and check that you may use it ('docker info')."
version=$(docker compose version --short)
version=${version#v}
IFS=. read -r major minor _ <<<"$version"
((major > 2 || (major == 2 && ${minor%%[!0-9]*} > 23))) ||
  fail "docker compose is $version. docker-compose.yaml needs 2.24 or later."
project=${COMPOSE_PROJECT_NAME:-s3-xcom}
if [ ! -e .env ] && [[ $'\n'$(docker volume ls --quiet)$'\n' == *$'\n'"${project}_postgres-data"$'\n'* ]]; then
  fail "there is no .env, but the data of a stack that had one: its passwords and keys open them. Put the old .env" \
    "back, or delete the data: docker volume rm ${project}_{postgres-data,airflow-logs,s3-objects}"
fi

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
