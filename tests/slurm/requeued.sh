# For the tests of trainings that go back into the queue, on the cluster of two_nodes.sh; for `source`, with LOCKSTEP in $1.
source "$(dirname "${BASH_SOURCE[0]}")/two_nodes.sh" "$1"

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
  echo "$(basename "$0"): $1"
  squeue --all || true
  tail -n 60 ./*.log
  grep -h error "$LOCKSTEP_CLUSTER_DIR"/log/n*.log | tail -n 20 || true
  exit 1
}

# submit NAME START [OPTION OF SBATCH ...]: the job's number. Its job file is NAME.cfg.
submit() {
  local name=$1 start=$2
  shift 2
  [ -e "$name.cfg" ] || cp small.cfg "$name.cfg"
  LOCKSTEP_START=$start sbatch --parsable --output="$name.log" --cpus-per-task=1 "$@" \
    "$source_dir/slurm/train.sbatch" "$name.cfg" --set "run.name=$name"
}

state() { scontrol show job --oneliner "$1"; }

# until_true SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || fail "not within the time: $* ($(state "${!#}" 2>&1))"
    sleep 0.1
  done
}

lines() { [ -e "runs/$1/metrics.jsonl" ] && [ "$(wc -l <"runs/$1/metrics.jsonl")" -ge "$2" ]; }
ended() { [[ $(state "$1") =~ JobState=(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL) ]]; }
requeued() { [[ $(state "$1") =~ Restarts=[1-9] ]]; }

# cancel RUN START [OPTION OF SCANCEL ...]: a training that a user cancels ends, and stays out of the queue.
cancel() {
  local run=$1 job
  job=$(submit "$run" "$2")
  shift 2
  until_true 60 lines "$run" 5
  scancel "$@" "$job"
  until_true 60 ended "$job"
  [[ $(state "$job") =~ JobState=CANCELLED.*Restarts=0 ]] || fail "cancelled by scancel $*: $(state "$job")"
}

# It was to go on for ever; however fast the machine is, it ends 40 steps after it was requeued. Slurm lets a requeued
# job wait until its old credentials are no more valid.
go_on() {
  until_true 90 requeued "$1"
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

# compare RUN...: they resumed, and have the metrics of a training that was left alone.
compare() {
  local run steps most=0
  for run; do
    steps=$(wc -l <"runs/$run/metrics.jsonl")
    [ "$steps" -le "$most" ] || most=$steps
  done
  sed "s/^\[train\]/&\nmax_steps = $most/" small.cfg >whole.cfg
  "$LOCKSTEP" launch -n 2 --threads 1 train whole.cfg --set run.name=whole >whole.log 2>&1 || fail "the whole training failed"
  for run; do
    steps=$(wc -l <"runs/$run/metrics.jsonl")
    [ "$(metrics "$run" "$steps" | grep -c loss)" -ge 60 ] || fail "$run has too few steps"
    grep -aq 'resuming from' "$run.log" || fail "$run did not resume"
    diff <(metrics whole "$steps") <(metrics "$run" "$steps") || fail "$run has other metrics"
  done
}
