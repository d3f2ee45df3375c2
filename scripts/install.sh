#!/usr/bin/env bash
# Make .venv (Python 3.10: Airflow, tests) and .venv-localstack (Python 3.11) from the locked files.
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
  "$uv" venv --quiet --clear --python "$version" "$folder" || fail \
    "no Python $version was found for $folder, and uv could not fetch one. Install it" \
    "(pyenv install $version, your system's packages, or uv python install $version)."
  "$uv" pip sync --quiet --require-hashes --python "$folder" "$@"
  touch "$folder/.installed"
  echo "Made $folder (Python $version)."
}

find_uv
make_venv .venv 3.10 requirements/airflow.txt requirements/dev.txt
make_venv .venv-localstack 3.11 requirements/localstack.txt
