#!/usr/bin/env bash
# test_matrix.sh VERSION...: the unit and integration tests with each release of Airflow, in an environment that
# is thrown away. 2.11.0+boto3 is that release with the newest boto3. Prints a table of what passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=$(command -v uv || echo "$PWD/.venv-uv/bin/uv")

# What fitted the release when it came out: later packages may not.
day_of() {
  case $1 in
    2.5.0) echo 2022-12-06 ;;
    2.5.3) echo 2023-04-03 ;;
    2.6.3) echo 2023-07-14 ;;
    2.7.3) echo 2023-11-10 ;;
    2.8.4) echo 2024-03-28 ;;
    2.9.3) echo 2024-07-20 ;;
    2.10.5) echo 2025-02-12 ;;
    2.11.0) echo 2025-05-26 ;;
    *) echo "error: add the day of $1's release to $0." >&2 && exit 1 ;;
  esac
}

# install VERSION VENV: Airflow as of its day; the tests' own tools as they are today, next to it
install() {
  local pins=$2/pins.txt release=${1%+boto3}
  "$uv" venv --quiet --python 3.10 "$2"
  "$uv" pip compile --quiet --no-header --no-annotate --python-version 3.10 --exclude-newer "$(day_of "$release")" \
    --output-file "$pins" - <<EOF
apache-airflow==$release
apache-airflow-providers-amazon
apache-airflow-providers-postgres
pandas<3
psutil
pyarrow
EOF
  "$uv" pip install --quiet --python "$2" --requirement "$pins" --constraint "$pins" \
    --requirement requirements/dev.in
  if [ "$release" != "$1" ]; then
    "$uv" pip install --quiet --python "$2" --upgrade boto3 botocore
    "$uv" pip list --python "$2" 2> /dev/null | grep -E "^(boto3|botocore) "
  fi
}

table=""
failed=0
for version in "$@"; do
  echo "== Airflow $version"
  venv=$(mktemp -d)
  install "$version" "$venv"
  log=$venv/pytest.log
  "$venv/bin/python" -m pytest -p no:cacheprovider tests/unit tests/integration | tee "$log" || failed=1
  table+="| $version | $(tail -n 1 "$log" | tr -d '=' | xargs) |"$'\n'
  rm -rf "$venv"
done
printf '\n| Airflow | tests |\n| --- | --- |\n%s' "$table"
exit "$failed"
