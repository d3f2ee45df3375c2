#!/usr/bin/env bash
# Resolve requirements/*.in into their locked files. Airflow and LocalStack as of the days their releases
# came out: later releases of what they need no longer fit them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../requirements"
uv=$(command -v uv || echo ../.venv-uv/bin/uv)

lock() {
  "$uv" pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url --upgrade "$@"
}

lock --python-version 3.10 --exclude-newer 2023-04-03 airflow.in -o airflow.txt
lock --python-version 3.10 --universal --no-deps image.in -o image.txt
lock --python-version 3.10 -c airflow.txt dev.in -o dev.txt
lock --python-version 3.12 --exclude-newer 2026-09-25 airflow-3.in -o airflow-3.txt
lock --python-version 3.12 -c airflow-3.txt dev.in -o dev-3.txt
lock --python-version 3.10 --no-deps uv.in -o uv.txt
lock --python-version 3.11 audit.in -o audit.txt
lock --python-version 3.11 --exclude-newer 2025-10-20 localstack.in -o localstack.txt
