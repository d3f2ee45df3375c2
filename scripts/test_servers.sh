#!/usr/bin/env bash
# test_servers.sh TEST...: the tests on each S3 server but LocalStack. Says which servers are not on this machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

servers=(seaweedfs)
missing=""
for program in ceph ceph-mon ceph-osd monmaptool radosgw radosgw-admin; do
  command -v "$program" > /dev/null || missing+=" $program"
done
[ -n "$missing" ] || servers+=(ceph)

table=""
failed=0
for server in "${servers[@]}"; do
  echo "== $server"
  log=$(mktemp)
  S3_SERVER=$server .venv/bin/python -m pytest "$@" | tee "$log" || failed=1
  table+="| $server | $(tail -n 1 "$log" | tr -d '=' | xargs) |"$'\n'
  rm -f "$log"
done
printf '\n| S3 server | tests |\n| --- | --- |\n%s' "$table"
if [ -n "$missing" ]; then
  echo "Ceph was NOT tested: this machine lacks$missing (Debian's packages radosgw, ceph-mon, ceph-osd, ceph-common)."
fi
exit "$failed"
