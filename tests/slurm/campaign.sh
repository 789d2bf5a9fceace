#!/usr/bin/env bash
# What takes too long for every build: trainings on two nodes that lose a node, that Slurm itself preempts or ends at
# their time limit, started by srun and by mpirun. Each goes back into the queue by itself and ends with the metrics of
# one that was left alone. And those that a user cancels or stops, which stay out of it.
# Usage: campaign.sh LOCKSTEP [CASE...]; the cases are below. Without any: all of them.
set -euo pipefail
source "$(dirname "$0")/requeued.sh" "$1"
shift

# lose NODE START: the node dies with all that runs on it, and comes back later.
lose() {
  local run=$3 job
  job=$(submit "$run" "$2")
  until_true 60 lines "$run" 20
  "$cluster" kill "$1"
  go_on "$job" "$run"
  "$cluster" start "$1"
  finish "$job"
}

preempt() {
  local run=$2 job
  job=$(submit "$run" "$1")
  until_true 60 lines "$run" 20
  sbatch --parsable --partition=high --nodes=2 --exclusive --output=high.log --wrap='sleep 6' >/dev/null
  go_on "$job" "$run"
  finish "$job"
}

# Where PreemptMode=CANCEL Slurm does not take the job back by itself.
preempt_by_cancel() {
  scontrol update PartitionName=low PreemptMode=CANCEL
  preempt "$@"
  scontrol update PartitionName=low PreemptMode=REQUEUE
}

# A user takes the job back, and Slurm has no need of the script for it.
requeue() {
  local run=$2 job
  job=$(submit "$run" "$1")
  until_true 60 lines "$run" 20
  scontrol requeue "$job"
  go_on "$job" "$run"
  finish "$job"
  ! grep -a 'cannot be requeued' "$run.log" || fail "$run was requeued, and says that it was not"
}

# Stopped politely; then once more, while ranks do not get to the end of a step: one dies.
stop_politely() {
  local run=$2 job
  job=$(submit "$run" "$1")
  until_true 60 lines "$run" 20
  "$LOCKSTEP" stop "runs/$run"
  finish "$job"
  [[ $(state "$job") =~ Restarts=0 ]] || fail "stopped, and requeued: $(state "$job")"
  job=$(submit "$run" "$1" --signal=B:CONT@1)
  until_true 60 lines "$run" $(($(wc -l <"runs/$run/metrics.jsonl") + 5))
  local ranks
  ranks=$(ranks_of "$run")
  kill -STOP $ranks
  touch "runs/$run/stop"
  kill -KILL $ranks
  finish "$job"
  [[ $(state "$job") =~ Restarts=0 ]] || fail "stopped while a rank died, and requeued: $(state "$job")"
  [ ! -e "runs/$run/stop" ] || fail "the file is still there"
}

# Of an array's tasks each goes back by itself, the last one too, whose number is the array's; a cancelled one does not.
array() {
  local run=$2 job task
  job=$(LOCKSTEP_START=$1 sbatch --parsable --array=1-2 --nodes=1 --output="$run-%a.log" --cpus-per-task=1 \
    "$source_dir/slurm/train.sbatch" small.cfg --set "run.name=$run-%a")
  for task in 1 2; do until_true 60 lines "$run-$task" 20; done
  scancel --batch --signal=USR1 "${job}_2"
  until_true 60 requeued "${job}_2"
  until_true 120 grep -aq 'resuming from' "$run-2.log"
  [[ $(state "${job}_1") =~ JobState=RUNNING.*Restarts=0 ]] || fail "its neighbour was disturbed: $(state "${job}_1")"
  scancel "${job}_2"
  until_true 60 ended "${job}_2"
  [[ $(state "${job}_2") =~ JobState=CANCELLED.*Restarts=1 ]] || fail "cancelled after a requeue: $(state "${job}_2")"
  scancel "$job"
  until_true 60 ended "${job}_1"
  [[ $(state "${job}_1") =~ JobState=CANCELLED.*Restarts=0 ]] || fail "cancelled: $(state "${job}_1")"
}

# The processes of a run's ranks.
ranks_of() {
  local process words
  for process in /proc/[0-9]*; do
    words=$({ tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null) || continue
    [[ ! $words =~ ^[^\ ]*lockstep[^\ ]*\ train\ .*run.name=$1\  ]] || echo "${process#/proc/}"
  done
}

# Slurm counts time limits in minutes, and sends USR1 up to a minute before the time that is said. The ranks do not know the
# limit: SLURM_JOB_END_TIME is 0.
limit() {
  local run=$2 job
  job=$(SLURM_JOB_END_TIME=0 submit "$run" "$1" --time=2 --signal=B:USR1@20)
  until_true 60 lines "$run" 20
  until_true 130 requeued "$job"
  go_on "$job" "$run"
  finish "$job"
}

# Nobody says that the time is nearly over, but the ranks know when it is (SLURM_JOB_END_TIME), and save. Then a node dies.
alone() {
  local run=$2 job
  sed 's/^every_steps = .*/every_steps = 1000000000/' small.cfg >"$run.cfg"
  job=$(submit "$run" "$1" --time=1 --signal=B:CONT@1)
  until_true 60 lines "$run" 20
  until_true 60 saved "$run"
  [[ $(state "$job") =~ JobState=RUNNING ]] || fail "$run saved when it was over"
  "$cluster" kill n1
  go_on "$job" "$run"
  "$cluster" start n1
  finish "$job"
}

saved() { compgen -G "runs/$1/checkpoints/step-*" >/dev/null; }

# Every way in which scancel can be said.
cancel_all() {
  local n=0 options
  for options in "" --full "--signal=KILL" "--full --signal=KILL"; do
    cancel "$2-$((++n))" "$1" $options
  done
}

declare -A cases=(
  [cancelled-srun]="cancel_all srun" [cancelled-mpirun]="cancel_all mpirun"
  [stopped-srun]="stop_politely srun" [stopped-mpirun]="stop_politely mpirun"
  [array-srun]="array srun" [array-mpirun]="array mpirun"
  [requeued-srun]="requeue srun" [requeued-mpirun]="requeue mpirun"
  [preempted-by-cancel-srun]="preempt_by_cancel srun" [preempted-by-cancel-mpirun]="preempt_by_cancel mpirun"
  [second-node-srun]="lose n2 srun" [second-node-mpirun]="lose n2 mpirun"
  [first-node-srun]="lose n1 srun" [first-node-mpirun]="lose n1 mpirun"
  [preempted-srun]="preempt srun" [preempted-mpirun]="preempt mpirun"
  [limit-srun]="limit srun" [limit-mpirun]="limit mpirun"
  [alone-srun]="alone srun" [alone-mpirun]="alone mpirun")
[ $# -gt 0 ] || set -- $(printf '%s\n' "${!cases[@]}" | sort)
for case; do
  [ -n "${cases[$case]:-}" ] || fail "no case '$case'; there are: ${!cases[*]}"
  begin=$SECONDS
  ${cases[$case]} "$case"
  case $case in
    cancelled-* | stopped-* | array-*)
      echo "$case: $((SECONDS - begin)) s; ended as asked"
      continue ;;
  esac
  compare "$case"
  rm -rf "runs/whole"
  echo "$case: $((SECONDS - begin)) s; $(grep -ac 'resuming from' "$case.log") resumed, $(grep -aoE 'lost: [0-9]+ steps' "$case.log" | tail -n 1 || true)"
done
