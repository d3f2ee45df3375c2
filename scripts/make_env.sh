#!/usr/bin/env bash
# Write .env from .env.example, with new secrets for the empty ones. An existing .env stays as it is, but for
# settings that are new in the example, and for those at its end that follow from the others.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

follows='# --- Written by make from the settings above, for plain docker compose. Edit those. ---'

random_base64() { head -c 32 /dev/urandom | base64 | tr '+/' '-_'; }
random_hex() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

umask 077
new=$(mktemp .env.XXXXXX)
trap 'rm -f "$new"' EXIT
said=""
if [ -e .env ]; then
  sed "/^$follows/,\$d" .env >"$new"
else
  said="Wrote .env with new secrets (only you can read it)."
fi
while IFS= read -r line; do
  name=${line%%=*}
  if [ -e .env ] && { [ "$name" = "$line" ] || grep -q "^$name=" "$new"; }; then continue; fi
  case $line in
    FERNET_KEY=) line+=$(random_base64) ;;
    *_PASSWORD= | AWS_SECRET_ACCESS_KEY=) line+=$(random_hex 16) ;;
    *_SECRET_KEY=) line+=$(random_hex 32) ;;
  esac
  printf '%s\n' "$line" >>"$new"
  said=${said:-Added the settings to .env that are new in .env.example.}
done <.env.example
# From this file alone, whatever the environment says.
derived=$(env -i PATH="$PATH" scripts/derived.sh "$new")
printf '%s\n' "$follows" "$derived" >>"$new"

cmp -s "$new" .env || mv "$new" .env
[ -z "$said" ] || echo "$said"
