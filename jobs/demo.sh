#!/usr/bin/env bash
# What `make demo` shows: a ResNet-20 trained on two ranks, all of them killed in the middle, which goes
# on by itself, and is evaluated. Each call is a run of its own, in runs/demo-DATE.
set -euo pipefail
cd "$(dirname "$0")/.."
lockstep=build/release/lockstep
name=demo-$(date +%Y%m%d-%H%M%S)
run=runs/$name
job=(jobs/demo.cfg --set "run.name=$name")

say() { printf '\n== %s\n' "$*"; }

# All descendants of a process, by what /proc tells (procps may not be there).
descendants() {
  local status parent child
  for status in /proc/[0-9]*/status; do
    parent=$(sed -n 's/^PPid:[[:space:]]*//p' "$status" 2>/dev/null) || continue
    [ "$parent" = "$1" ] || continue
    child=${status#/proc/}
    child=${child%/status}
    descendants "$child"
    echo "$child"
  done
}

# mpirun and the ranks: not what filters the output, which bash makes a child of the launcher too.
ranks() {
  local pid
  for pid in $(descendants "$1"); do
    case $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) in *" train "*) echo "$pid" ;; esac
  done
}

# The newest step in metrics.jsonl.
steps_done() {
  local last=
  [ ! -e "$run/metrics.jsonl" ] || last=$(tail -n 1 "$run/metrics.jsonl")
  [[ $last =~ \"step\":([0-9]+) ]] && echo "${BASH_REMATCH[1]}" || echo 0
}

say "Training on two ranks: lockstep launch -n 2 train ${job[*]}"
$lockstep launch -n 2 train "${job[@]}" 2> >(grep --line-buffered -v -e '^-*$' -e prterun -e 'signal 9\.$' >&2) &
launch=$!
trap 'kill -9 $launch $(descendants $launch) 2>/dev/null || true' EXIT
until [ "$(steps_done)" -ge 225 ]; do
  if ! kill -0 $launch 2>/dev/null; then
    wait $launch && status=0 || status=$?
    echo "demo: the training ended with $status before it could be killed" >&2
    exit $((status == 0 ? 70 : status))
  fi
  sleep 0.2
done

say "kill -9 of mpirun and all ranks, after $(steps_done) steps: it goes on from the newest good checkpoint"
kill -9 $(ranks $launch)
wait $launch
trap - EXIT

say "Evaluation of the newest checkpoint: lockstep launch -n 2 eval ${job[*]}"
$lockstep launch -n 2 eval "${job[@]}"

say "Everything about this run is in $run"
ls -1 "$run"
