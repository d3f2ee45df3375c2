#!/usr/bin/env bash
# XComs of every kind, pushed on Airflow 2.5.3 and on 2.11.2, and read on 3.3.2 after the database was migrated: from
# 2.5.3 by way of 2.11.2, since Airflow 3 migrates from 2.7 on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

AIRFLOW_VERSION=3.3.2 make --no-print-directory install
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
scripts/test_matrix.sh --install 2.11.2 "$venv"
echo "== 2.11.2 to 3.3.2"
"$venv/bin/python" -W ignore -m tests.migration .venv-3/bin/python
echo "== 2.5.3 to 2.11.2 to 3.3.2"
.venv/bin/python -W ignore -m tests.migration "$venv/bin/python" .venv-3/bin/python
