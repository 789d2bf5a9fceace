#!/usr/bin/env bash
# Trainings on two nodes: one that a job of higher priority preempts, and one that is told that its time is over. Both
# save, go back into the queue and end with the metrics of one that was left alone. Then some that a user ends, which do
# not. campaign.sh does more of this.
# Usage: requeue_test.sh LOCKSTEP
set -euo pipefail
source "$(dirname "$0")/requeued.sh" "$1"

preempted=$(submit preempted srun)
limited=$(submit limited mpirun)
until_true 60 lines limited 20
scancel --batch --signal=USR1 "$limited"  # what --signal=B:USR1@120 does before the time limit
until_true 60 requeued "$limited"
until_true 60 lines preempted 20
sbatch --parsable --partition=high --nodes=2 --exclusive --output=high.log --wrap='sleep 6' >/dev/null  # longer than credentials of the job's steps
go_on "$limited" limited
go_on "$preempted" preempted
finish "$preempted"
finish "$limited"
compare preempted limited
for run in preempted limited; do
  grep -aq 'at step-.*back into the queue' $run.log || fail "$run did not go back into the queue"
done
# What a user ends stays out of the queue: cancelled, or stopped politely.
cancel cancelled-srun srun
cancel cancelled-mpirun mpirun --full
stopped=$(submit stopped srun)
until_true 60 lines stopped 5
"$LOCKSTEP" stop runs/stopped
until_true 60 ended "$stopped"
[[ $(state "$stopped") =~ JobState=COMPLETED.*Restarts=0.*ExitCode=0:0 ]] || fail "stopped: $(state "$stopped")"
echo "preempted and limited trainings ended with the metrics of the one that was left alone; what a user ended stayed out of the queue"
