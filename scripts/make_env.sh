#!/usr/bin/env bash
# Write .env from .env.example, with new secrets for the empty ones. An existing .env stays as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ ! -e .env ] || exit 0

random_base64() { head -c 32 /dev/urandom | base64 | tr '+/' '-_'; }
random_hex() { head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

umask 077
new=$(mktemp .env.XXXXXX)
trap 'rm -f "$new"' EXIT
while IFS= read -r line; do
  case $line in
    FERNET_KEY=) line+=$(random_base64) ;;
    *_PASSWORD= | *_SECRET_KEY=) line+=$(random_hex) ;;
  esac
  printf '%s\n' "$line"
done <.env.example >"$new"
mv -n "$new" .env
echo "Wrote .env with new secrets (only you can read it)."
