#!/usr/bin/env bash
# slurm/train.sbatch on two nodes of a local cluster, started by srun and by mpirun: both train, and
# come to the same bits. And an array, which is a sweep. Needs root, Slurm and munge.
# Usage: train_test.sh LOCKSTEP
set -euo pipefail
source "$(dirname "$0")/two_nodes.sh" "$1"

cat >small.cfg <<END
[data]
source = synthetic
synthetic_samples = 64
[model]
depth = 8
[train]
batch = 16
epochs = 2
END

# batch LOG EXIT_CODE WORDS...: submits train.sbatch with the words and waits for its end. (sbatch --wait
# looks only every few seconds.)
batch() {
  local log=$1 expected=$2 job state
  shift 2
  job=$(sbatch --parsable --output="$log" --cpus-per-task=1 "$source_dir/slurm/train.sbatch" "$@")
  until state=$(scontrol show job --oneliner "$job") &&
        [[ $state =~ JobState=(COMPLETED|FAILED|CANCELLED|TIMEOUT) ]]; do
    sleep 0.2
  done
  [[ $state =~ ExitCode=$expected:0 ]] && return
  echo "train.sbatch $* did not end with $expected: $state"
  cat "$log"
  exit 1
}

# said WORDS LOG: a log may be a moment behind the job's state.
said() {
  local try
  for try in $(seq 50); do
    grep -q -- "$1" "$2" && return
    sleep 0.2
  done
  echo "$2 does not say \"$1\":"
  cat "$2"
  exit 1
}

for start in srun mpirun; do
  LOCKSTEP_START=$start batch $start.log 0 small.cfg --set "run.name=$start"
  said '2 ranks x 1 threads on 2 nodes (n\[1-2\]), started by '$start $start.log
  # The same words in both files, but for the times.
  python3 - "runs/$start/metrics.jsonl" >$start.losses <<'END'
import json, sys
for line in open(sys.argv[1]):
    metrics = json.loads(line)
    print({key: metrics[key] for key in metrics if "loss" in key or "norm" in key or key == "step"})
END
done
[ "$(grep -c "'loss'" srun.losses)" = 8 ] || { echo "not 8 steps:"; cat srun.losses; exit 1; }
diff srun.losses mpirun.losses

# An array is a sweep: its tasks fill in their number, in the job file and in the words.
{ printf '[run]\nname = sweep-%%a  # %%j\n'; cat small.cfg; } >sweep.cfg
sweep=$(sbatch --parsable --array=3-4 --nodes=1 --output=sweep.log --cpus-per-task=1 "$source_dir/slurm/train.sbatch" sweep.cfg --set run.seed=%a)
while [ -n "$(squeue --noheader --jobs="$sweep" 2>/dev/null)" ]; do sleep 0.2; done
for task in 3 4; do
  grep -q "^seed = $task" "runs/sweep-$task/job.cfg" || { echo "no sweep of $task:"; cat sweep.log; exit 1; }
done

# What is wrong comes out as lockstep's own exit code.
batch missing.log 66 missing.cfg
said 'n[12] has no missing.cfg' missing.log
LOCKSTEP_START=srun batch wrong.log 64 small.cfg --set train.bacth=3
said "did you mean 'train.batch'" wrong.log
LOCKSTEP_START=mpirun batch wrong.log 64 small.cfg --set train.bacth=3
said "did you mean 'train.batch'" wrong.log
echo "trained on two nodes by srun and by mpirun, with the same losses"
