#!/usr/bin/env bash
# compose.sh ARGUMENT...: docker compose for this stack, with LocalStack unless S3 is AWS itself.
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
profiles=()
! grep -qE '^S3_ENDPOINT_URL=.+' .env || profiles+=(--profile localstack)
exec docker compose "${profiles[@]}" "$@"
