#!/usr/bin/env bash
# Build and start the Compose stack; return when every service is healthy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/compose.sh build --quiet
# setting NAME: its value, from the environment before .env, as Compose has it
setting() { printf '%s' "${!1:-$(sed -n "s/^$1=//p" .env)}"; }

running=$(scripts/compose.sh ps --quiet)
for name in AIRFLOW_PORT LOCALSTACK_PORT FLOWER_PORT; do
  port=$(setting "$name")
  if [ -z "$running" ] && [ -n "$port" ] && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "error: port $port is taken. Stop what listens there, or set another $name in .env." >&2
    exit 1
  fi
done

if [ "$(setting EXECUTOR)" != celery ] && [ -n "$running" ]; then
  EXECUTOR=celery scripts/compose.sh rm --stop --force airflow-worker redis flower 2> /dev/null
fi
if ! scripts/compose.sh up --detach --wait; then
  echo "error: a service did not come up. Its last lines:" >&2
  scripts/compose.sh logs --tail 15 >&2
  exit 1
fi
echo
echo "  Airflow   http://127.0.0.1:$(setting AIRFLOW_PORT)"
echo "  User      $(setting UI_USER)"
echo "  Password  UI_PASSWORD in .env"
echo
echo "Trigger TestDag there, or with 'make trigger'."
