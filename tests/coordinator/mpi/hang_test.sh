#!/usr/bin/env bash
# Rank 1 of three is stopped, skips a collective, waits for a message that nobody sends, or is merely late: the watchdog must name it and
# what the others wait in, keep what all did, and end the job with 76; a late rank must not alarm it.
# Usage: hang_test.sh MODE MPIRUN PROGRAM
set -uo pipefail
mode=$1 mpirun=$2 program=$3
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
begin=$SECONDS
said=$(timeout -s KILL 80 "$mpirun" --oversubscribe --bind-to none -n 3 "$program" "$mode" "$run" 2>&1)
code=$?
took=$((SECONDS - begin))
echo "$said"

fail() { echo "hang_test: $1" >&2; exit 1; }
if [ "$mode" = late ]; then
  [ "$code" = 0 ] || fail "exit code $code"
  [ -z "$(ls -A "$run")" ] || fail "a false alarm"
  exit 0
fi
[ "$code" = 76 ] || fail "exit code $code, not 76"
case $mode in
  stop) pattern='rank 1 does not answer.*rank [02] waits in world #[0-9]+ all_gather "sum of step 7"' reports=2 ;;
  skip) pattern='rank 1 \(process [0-9]+ on .*\) has not entered world #[0-9]+ all_gather "sum of step 7"' reports=3 ;;
  differ) pattern='all_gather "sum of step 7".*recv "another way" \(1 bytes, peer rank 2\).*different ways' reports=3 ;;
esac
grep -qE "lockstep: error: training hangs: .*$pattern" <<<"$said" || fail "no line says $pattern"
grep -qE "$pattern" "$run"/hang-*/summary.txt || fail "no summary"
[ "$(ls "$run"/hang-*/rank-0000?.json | wc -l)" -ge "$reports" ] || fail "not $reports reports: $(ls "$run"/hang-*)"
grep -q '"name": "sum of step 6"' "$run"/hang-*/rank-00000.json || fail "the report has no operations"
[ "$took" -le 30 ] || fail "the job ended after $took s; the deadline was 2"
echo "ended after $took s, with a deadline of 2"
