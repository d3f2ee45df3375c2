#!/usr/bin/env bash
# Build and start the Compose stack; return when every service is healthy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/compose.sh version >/dev/null # or says what is missing; writes .env, if there is none
scripts/check_settings.sh
running=$(scripts/compose.sh ps --services)
source scripts/setting.sh

scripts/compose.sh build --quiet
for name in AIRFLOW_PORT LOCALSTACK_PORT FLOWER_PORT; do
  port=$(setting "$name")
  if [ -z "$running" ] && [ -n "$port" ] && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "error: port $port is taken. Stop what listens there, or set another $name in .env." >&2
    exit 1
  fi
done

# What runs since other settings, and is no part of these: workers, LocalStack.
wanted=$(scripts/compose.sh config --services)
for service in $running; do
  grep -qx "$service" <<<"$wanted" || scripts/compose.sh rm --stop --force "$service" 2>/dev/null
done

# Names of the services that are not healthy, or have ended with an error.
failing() {
  scripts/compose.sh ps --all --format '{{.Service}} {{.Health}} {{.State}} {{.ExitCode}}' |
    awk '$2 == "unhealthy" || $2 == "starting" || ($(NF-1) == "exited" && $NF != 0) || $(NF-1) == "restarting" { print $1 }'
}

if ! scripts/compose.sh up --detach --wait; then
  echo "Not all is healthy. Once more: $(failing | xargs)" >&2
  failing | xargs --no-run-if-empty scripts/compose.sh restart
  if ! scripts/compose.sh up --detach --wait; then
    for service in $(failing); do
      echo "error: $service did not come up. Its last lines:" >&2
      scripts/compose.sh logs --no-log-prefix --tail 15 "$service" >&2
    done
    exit 1
  fi
fi
echo
scripts/compose.sh logs --no-log-prefix --since 10m airflow-init 2>/dev/null | sed -n 's/^.*note: /  Note: /p' | sort -u
memory=$(docker info --format '{{.MemTotal}}')
((memory >= 4 * 1000 ** 3)) || echo "  Note: Docker has $((memory / 1000 ** 2)) MB of memory. The stack needs 4 GB."
echo "  Airflow   http://127.0.0.1:$(setting AIRFLOW_PORT)"
if grep -qx flower <<<"$wanted"; then echo "  Flower    http://127.0.0.1:$(setting FLOWER_PORT)"; fi
if grep -qx localstack <<<"$wanted"; then echo "  S3        http://127.0.0.1:$(setting LOCALSTACK_PORT)"; fi
echo "  User      $(setting UI_USER)"
echo "  Password  UI_PASSWORD in .env"
echo
echo "Trigger TestDag there, or with 'make trigger'."
