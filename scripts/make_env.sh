#!/usr/bin/env bash
# Write .env from .env.example, with new secrets for the empty ones. An existing .env stays as it is, but for
# settings that are new in the example, and for those at its end that follow from the others.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

follows='# --- Written by make from the settings above, for plain docker compose. Edit those ---'

random_base64() { head -c 32 /dev/urandom | base64 | tr '+/' '-_'; }
random_hex() { head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

umask 077
new=$(mktemp .env.XXXXXX)
trap 'rm -f "$new" "$new.whole"' EXIT
[ ! -e .env ] || sed "/^$follows/,\$d" .env >"$new"
while IFS= read -r line; do
  name=${line%%=*}
  if [ -e .env ] && { [ "$name" = "$line" ] || grep -q "^$name=" "$new"; }; then continue; fi
  case $line in
    FERNET_KEY=) line+=$(random_base64) ;;
    *_PASSWORD= | *_SECRET_KEY=) line+=$(random_hex) ;;
  esac
  printf '%s\n' "$line" >>"$new"
done <.env.example

if [ ! -e .env ]; then
  mv -n "$new" .env
  echo "Wrote .env with new secrets (only you can read it)."
elif ! cmp -s "$new" <(sed "/^$follows/,\$d" .env); then
  cp "$new" .env
  echo "Added the settings to .env that are new in .env.example."
fi
{
  cat "$new"
  echo "$follows"
  env -i PATH="$PATH" scripts/derived.sh
} >"$new.whole"
cmp -s "$new.whole" .env || cp "$new.whole" .env
