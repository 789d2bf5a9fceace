#!/usr/bin/env bash
# Eleven of thirteen ranks die, one after the other; the two that are left must get there. The
# launcher's end is not looked at: with ULFM it has flaws of its own.
# Usage: survivors_test.sh MPIRUN PROGRAM
set -uo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
left() { grep -ac '^2 ranks are left' "$log"; }
timeout -k 1 60 "$1" --with-ft ulfm --oversubscribe --bind-to none -n 13 "$2" >"$log" 2>&1 &
launcher=$!
while [ "$(left)" -lt 2 ] && kill -0 $launcher 2>/dev/null; do sleep 0.1; done
for _ in $(seq 20); do kill -0 $launcher 2>/dev/null && sleep 0.1; done
kill $launcher 2>/dev/null
wait $launcher
tr -d '\0' <"$log" | grep -v NBC_Progress
[ "$(left)" = 2 ] || { echo "survivors: not both got there" >&2; exit 1; }
