#!/usr/bin/env bash
# test_matrix.sh VERSION...: the unit and integration tests with each release of Airflow, in an environment that
# is thrown away. 2.11.2+boto3 is that release with the newest boto3. Writes the table in docs/upgrading.md.
# test_matrix.sh --install VERSION FOLDER: only make such an environment.
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
    2.10.5) echo 2025-02-20 ;; # pyarrow 19.0.1: 19.0.0 cannot read what later ones write
    2.11.0) echo 2025-05-26 ;;
    2.11.2) echo 2026-03-20 ;;
    3.0.6) echo 2025-09-05 ;;
    3.1.8) echo 2026-03-20 ;;
    3.2.2) echo 2026-07-01 ;;
    3.3.2) echo 2026-09-25 ;;
    *) echo "error: add the day of $1's release to $0." >&2 && exit 1 ;;
  esac
}

# install VERSION VENV: Airflow as of its day; the tests' own tools as they are today, next to it
install() {
  local pins=$2/pins.txt release=${1%+boto3} python=3.10 more="pandas<3"
  case $release in
    3.*) python=3.12 more=$'apache-airflow-providers-fab\napache-airflow-providers-standard\npandas\nsqlalchemy<2.1' ;;
  esac
  PYENV_VERSION=$python "$uv" venv --quiet --python "$python" "$2"
  "$uv" pip compile --quiet --no-header --no-annotate --python-version "$python" \
    --exclude-newer "$(day_of "$release")" --output-file "$pins" - <<EOF
apache-airflow==$release
apache-airflow-providers-amazon
apache-airflow-providers-postgres
psutil
pyarrow
$more
EOF
  "$uv" pip install --quiet --python "$2" --requirement "$pins" --constraint "$pins" \
    --requirement requirements/dev.in
  if [ "$release" != "$1" ]; then
    "$uv" pip install --quiet --python "$2" --upgrade boto3 botocore
    "$uv" pip list --python "$2" 2> /dev/null | grep -E "^(boto3|botocore) "
  fi
}

if [ "$1" = --install ]; then
  install "$2" "$3"
  exit
fi
rows=""
failed=0
for version in "$@"; do
  echo "== Airflow $version"
  venv=$(mktemp -d)
  log=$venv/pytest.log
  # In a process of its own, which stops at the first thing that fails: the other releases go on.
  if scripts/test_matrix.sh --install "$version" "$venv"; then
    "$venv/bin/python" -m pytest -p no:cacheprovider -n "${TEST_WORKERS:-2}" --dist loadfile \
      --no-loadscope-reorder tests/unit tests/integration | tee "$log" || failed=1
    result=$(tail -n 1 "$log" | tr -d '=' | xargs)
  else
    failed=1
    result="could not be installed"
  fi
  rows+="| $version | $result |"$'\n'
  rm -rf "$venv"
done
python3 scripts/write_matrix.py <<< "$rows"
exit "$failed"
