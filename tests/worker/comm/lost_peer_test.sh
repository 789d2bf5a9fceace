#!/usr/bin/env bash
# Kills the last of three ranks while the others wait for it in an all-reduce: the job must end by itself, with an error
# that names the rank, and leave nothing of ours in /dev/shm. Under ULFM it is the others that say so; else the launcher.
# Usage: lost_peer_test.sh KIND ulfm|plain MPIRUN PROGRAM
set -uo pipefail
kind=$1 mode=$2 mpirun=$3 program=$4
options=(--oversubscribe --bind-to none -n 3)
[ "$mode" = ulfm ] && options+=(--with-ft ulfm)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
ranks() { grep -aoE 'runs as process [0-9]+' "$log" | grep -oE '[0-9]+'; }
lives() {  # a zombie does not
  local state
  state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c1)
  [ -n "$state" ] && [ "$state" != Z ]
}
gone() {
  local process
  for process in $(ranks); do lives "$process" && return 1; done
  [ "$(ranks | wc -l)" = 3 ]
}
within() {  # within SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}
launcher_ended() { ! lives $launcher; }
fail() { echo "lost_peer: $1" >&2; cat "$log"; kill -9 $launcher 2>/dev/null; exit 1; }

"$mpirun" "${options[@]}" "$program" "$kind" >"$log" 2>&1 &
launcher=$!
within 60 gone || fail "the ranks hung"
# Open MPI's launcher has flaws of its own when ranks die under ULFM: now and then it ends with 0, or waits on when all ranks are
# gone. There it is the ranks that count.
within 10 launcher_ended || { [ "$mode" = ulfm ] && kill -9 $launcher; } || fail "the launcher hung"
wait $launcher
code=$?
[ "$code" = 0 ] && [ "$mode" = plain ] && fail "the job ended as if nothing had happened"
said=$(tr -d '\0' <"$log")
echo "$said"

[ "$(grep -c 'rank . runs as process' <<<"$said")" = 3 ] || fail "not all ranks came to the sum"
grep -q 'the sum came to an end' <<<"$said" && fail "a sum without one of its ranks"
if [ "$mode" = ulfm ]; then
  grep -q 'CommError: .*"waited for".*peer rank 2' <<<"$said" || fail "no survivor names the rank"
else
  tr '\n' ' ' <<<"$said" | grep -qiE 'rank 2 .*(signal 9|killed)' || fail "nobody names the rank and how it died"
fi
for process in $(grep -oE 'runs as process [0-9]+' <<<"$said" | grep -oE '[0-9]+'); do
  compgen -G "/dev/shm/lockstep-$process-*" && fail "left behind in /dev/shm"
done
exit 0
