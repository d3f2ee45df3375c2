#!/usr/bin/env bash
# Write .env from .env.example, with new secrets for the empty ones. An existing .env stays as it is, but for
# settings that are new in the example.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

random_base64() { head -c 32 /dev/urandom | base64 | tr '+/' '-_'; }
random_hex() { head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

umask 077
new=$(mktemp .env.XXXXXX)
trap 'rm -f "$new"' EXIT
[ ! -e .env ] || cp .env "$new"
while IFS= read -r line; do
  name=${line%%=*}
  if [ -e .env ] && { [ "$name" = "$line" ] || grep -q "^$name=" .env; }; then continue; fi
  case $line in
    FERNET_KEY=) line+=$(random_base64) ;;
    *_PASSWORD= | *_SECRET_KEY=) line+=$(random_hex) ;;
  esac
  printf '%s\n' "$line" >>"$new"
done <.env.example

if [ ! -e .env ]; then
  mv -n "$new" .env
  echo "Wrote .env with new secrets (only you can read it)."
elif ! cmp -s "$new" .env; then
  mv "$new" .env
  echo "Added the settings to .env that are new in .env.example."
fi
