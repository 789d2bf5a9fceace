#!/usr/bin/env bash
# A training on two nodes that a job of higher priority preempts, and another that is told its time is up: both save,
# go back into the queue and end with the metrics of one that was left alone. Needs root, Slurm and munge.
# Usage: requeue_test.sh LOCKSTEP
set -euo pipefail
source "$(dirname "$0")/two_nodes.sh" "$1"

cat >small.cfg <<END
[data]
source = synthetic
synthetic_samples = 64
height = 12
width = 12
[model]
depth = 8
[train]
batch = 16
epochs = 100000
validate_every = 0
[checkpoint]
every_steps = 10
END

fail() {
  echo "requeue_test: $1"
  squeue --all || true
  tail -n 60 ./*.log
  exit 1
}

# submit NAME START: the job's number. Its job file is NAME.cfg.
submit() {
  [ -e "$1.cfg" ] || cp small.cfg "$1.cfg"
  LOCKSTEP_START=$2 sbatch --parsable --output="$1.log" --cpus-per-task=1 "$source_dir/slurm/train.sbatch" "$1.cfg" \
    --set "run.name=$1"
}

state() { scontrol show job --oneliner "$1"; }

# until_true SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || fail "not within the time: $*"
    sleep 0.1
  done
}

lines() { [ -e "runs/$1/metrics.jsonl" ] && [ "$(wc -l <"runs/$1/metrics.jsonl")" -ge "$2" ]; }
ended() { [[ $(state "$1") =~ JobState=(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL) ]]; }
requeued() { [[ $(state "$1") =~ Restarts=[1-9] ]]; }

# It was to go on for ever; however fast the machine is, it ends 40 steps after it was requeued. Slurm lets a requeued
# job wait until its old credentials are no more valid.
go_on() {
  until_true 60 requeued "$1"
  sed -i "s/^\[train\]/&\nmax_steps = $(($(wc -l <"runs/$2/metrics.jsonl") + 40))/" "$2.cfg"
  scontrol update JobId="$1" StartTime=now 2>/dev/null || true
}

finish() {
  until_true 120 ended "$1"
  [[ $(state "$1") =~ JobState=COMPLETED.*ExitCode=0:0 ]] || fail "$(state "$1")"
}

# The same words, but for the times.
metrics() {
  head -n "$2" "runs/$1/metrics.jsonl" | python3 <(cat <<'END'
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    print({k: m[k] for k in m if not k.endswith("_ms") and k != "images_per_second"})
END
  )
}

preempted=$(submit preempted srun)
until_true 60 lines preempted 20
high=$(sbatch --parsable --partition=high --nodes=2 --exclusive --output=high.log --wrap='sleep 2')
go_on "$preempted" preempted
until_true 60 ended "$high"
finish "$preempted"

limited=$(submit limited mpirun)
until_true 60 lines limited 20
scancel --batch --signal=USR1 "$limited"  # what --signal=B:USR1@120 does before the time limit
go_on "$limited" limited
finish "$limited"

steps=$(cat runs/preempted/metrics.jsonl runs/limited/metrics.jsonl | sed 's/{"step":\([0-9]*\).*/\1/' | sort -n | tail -n 1)
sed "s/^\[train\]/&\nmax_steps = $steps/" small.cfg >whole.cfg
finish "$(submit whole srun)"
for run in preempted limited; do
  steps=$(wc -l <runs/$run/metrics.jsonl)
  [ "$(metrics $run "$steps" | grep -c loss)" -ge 60 ] || fail "$run has too few steps"
  grep -q 'at step-.*back into the queue' $run.log || fail "$run did not go back into the queue"
  grep -q 'resuming from' $run.log || fail "$run did not resume"
  diff <(metrics whole "$steps") <(metrics $run "$steps") || fail "$run has other metrics"
done
echo "preempted and limited trainings ended with the metrics of the one that was left alone"
