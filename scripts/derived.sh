#!/usr/bin/env bash
# derived.sh [FILE]: print the settings that follow from others, as NAME=value lines. A setting is that of the
# environment, else that of the file (.env), as Compose has it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

file=${1:-.env}
source scripts/setting.sh

profiles=()
case $(setting S3_ENDPOINT_URL) in
  *//localstack:*) profiles+=(localstack) ;;
esac
case $(setting EXECUTOR) in
  local | "") echo AIRFLOW_EXECUTOR=LocalExecutor ;;
  celery)
    echo AIRFLOW_EXECUTOR=CeleryExecutor
    echo "AIRFLOW_BROKER_URL=redis://:$(setting REDIS_PASSWORD)@redis:6379/0"
    profiles+=(celery)
    [ -z "$(setting FLOWER_PORT)" ] || profiles+=(flower)
    ;;
  *) echo "error: EXECUTOR is '$(setting EXECUTOR)'. Set it to local or celery." >&2 && exit 1 ;;
esac
case $(setting AIRFLOW_VERSION) in
  2.* | "") ;;
  *)
    echo AIRFLOW_SERVER=api-server
    echo AIRFLOW_CELERY_APP=airflow.providers.celery.executors.celery_executor.app
    echo AIRFLOW__CORE__AUTH_MANAGER=airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager
    profiles+=(airflow-3)
    ;;
esac
[ -z "$(setting SWEEP_HOURS)" ] || profiles+=(sweep)
IFS=,
echo "COMPOSE_PROFILES=${profiles[*]-}"
