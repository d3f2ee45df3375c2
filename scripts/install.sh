#!/usr/bin/env bash
# Make .venv (Python 3.10: Airflow 2.5, tests), or with AIRFLOW_VERSION=3.3.2 .venv-3 (Python 3.12: that Airflow), and
# .venv-localstack (Python 3.11), from the locked files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "error: $*" >&2
  exit 1
}

find_uv() {
  if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then
    uv=uv
    return
  fi
  uv=.venv-uv/bin/uv
  [ ! -x "$uv" ] || return 0
  command -v python3 >/dev/null || fail "neither uv nor python3 is on this machine. Install one of them."
  echo "uv is not on this machine: fetching it into .venv-uv"
  python3 -m venv .venv-uv || fail "python3 cannot make a virtual environment (Debian: apt install python3-venv)."
  .venv-uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
}

# make_venv FOLDER VERSION FILE...
make_venv() {
  local folder=$1 version=$2
  shift 2
  # For pyenv, whose python3.12 answers only where that version is chosen.
  PYENV_VERSION=$version "$uv" venv --quiet --clear --python "$version" "$folder" || fail \
    "no Python $version was found for $folder, and uv could not fetch one. Install it" \
    "(pyenv install $version, your system's packages, or uv python install $version)."
  "$uv" pip sync --quiet --require-hashes --python "$folder" "$@"
  touch "$folder/.installed"
  echo "Made $folder (Python $version)."
}

case ${AIRFLOW_VERSION:-2.5.3} in
  2.5.3 | 3.3.2) ;;
  *) fail "2.5.3 and 3.3.2 are locked here, not Airflow $AIRFLOW_VERSION. The Compose stack runs other releases." ;;
esac
find_uv
[ .venv-localstack/.installed -nt requirements/localstack.txt ] ||
  make_venv .venv-localstack 3.11 requirements/localstack.txt
if [ "${AIRFLOW_VERSION:-2.5.3}" = 2.5.3 ]; then
  make_venv .venv 3.10 requirements/airflow.txt requirements/dev.txt
else
  make_venv .venv-3 3.12 requirements/airflow-3.txt requirements/dev-3.txt
fi
