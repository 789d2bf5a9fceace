#!/usr/bin/env bash
# The program as users run it: exit codes and messages.
# Usage: program_test.sh LOCKSTEP
set -uo pipefail
lockstep=$1
out=$(mktemp)
job=$out.cfg
trap 'rm -rf "$out" "$job" "$out.runs" "$out.bin" "$out.table"' EXIT
failures=0

# expect CODE PATTERN ARGUMENTS...: runs lockstep; the pattern must be in exactly one line of what it says.
expect() {
  local code=$1 pattern=$2 got lines
  shift 2
  "$lockstep" "$@" >"$out" 2>&1
  got=$?
  lines=$(grep -c -- "$pattern" "$out")
  [ "$got" = "$code" ] && [ "$lines" = 1 ] && return
  failures=$((failures + 1))
  echo "FAILED: lockstep $*"
  echo "  exit code $got, not $code; or '$pattern' is in $lines lines, not 1:"
  sed 's/^/  | /' "$out"
}

expect 0 '^Usage: lockstep SUBCOMMAND' --help
expect 64 '^Usage: lockstep SUBCOMMAND'
expect 0 '^lockstep [0-9]*\.[0-9]*\.[0-9]*$' --version
expect 64 "error: unknown subcommand 'lanuch'; did you mean 'launch'?" lanuch

for command in --help --version "train --help-job"; do  # output that cannot be written
  "$lockstep" $command 2>"$out" >/dev/full
  [ $? = 74 ] && grep -q 'cannot be written' "$out" || { failures=$((failures + 1)); echo "FAILED: lockstep $command >/dev/full"; }
done

expect 0 '^Usage: lockstep launch' launch --help
expect 64 "error: lockstep launch: .*'--ranks' is required" launch train a.cfg
expect 64 'error: lockstep launch: -n must be at least 1' launch -n 0 train a.cfg
expect 64 "unknown option '--thraeds'; did you mean '--threads'?" launch -n 2 --thraeds 2 train a.cfg
expect 64 'error: lockstep launch: what shall run?' launch -n 2
expect 0 ' -n 3 .*OMP_NUM_THREADS=2 .*/lockstep train a.cfg --set x=y$' \
  launch -n 3 --threads 2 --dry-run train a.cfg --set x=y

expect 0 ' -n 3 .*/lockstep train a.cfg$' launch -n 3 --threads 2 train a.cfg --dry-run

expect 64 'error: lockstep launch: --time 2h: give minutes, MM:SS, HH:MM:SS, D-HH' launch -n 2 --slurm --time 2h train a.cfg

# A misspelt subcommand is found before MPI starts.
expect 64 "error: unknown subcommand 'trian'; did you mean 'train'" launch -n 2 trian a.cfg
expect 64 "error: 'a.cfg' is a job file, and no subcommand; did you mean: train a.cfg?" launch -n 2 a.cfg
expect 0 '^  75  .*start the same command again' --help
expect 64 'error: lockstep stop: which run' stop

expect 0 '^Usage: lockstep predict RUN PICTURE' predict --help
expect 0 '^Usage: lockstep train' train --help
expect 64 'KIND:RANK:STEP' train "$(dirname "$0")/../../jobs/demo.cfg" --fault burn:1:2
expect 0 '^Usage: lockstep drill' drill --help
expect 64 "did you mean 'kill'" drill kil
expect 64 'must be at least 2' drill -n 1
expect 0 '^batch = 128$' train --help-job
expect 64 'no job file was named' train
expect 66 'error: job file nowhere.cfg does not exist' train nowhere.cfg
printf '[data]\nsource = idx\npath = nowhere\n[train]\nbacth = 3\n' >"$job"
expect 64 "$job:5: unknown key 'train.bacth'; did you mean 'train.batch'?" train "$job"
printf '[data]\nsource = idx\npath = nowhere\n' >"$job"
expect 64 "error: --set: train.batch = '0' is not valid" train "$job" --set train.batch=0
expect 66 'error: .*nowhere' train "$job" --set "run.directory=$out.runs"
# An error of all ranks is rank 0's to tell, once, without the boxes of mpirun; its exit code passes through.
expect 66 'nowhere' launch -n 2 train "$job" --set "run.directory=$out.runs"
expect 66 '' launch -n 2 train "$job" --set "run.directory=$out.runs"

printf '2 1 sums all ring\n' >"$out.table"
small="--set run.directory=$out.runs --set data.source=synthetic --set data.synthetic_samples=8 --set train.max_steps=1"
expect 64 "$out.table:1: this line has UP_TO_BYTES that is neither" train "$job" $small --set "parallel.all_reduce_table=$out.table"
expect 66 "error: .*$out.nothing" train "$job" $small --set "parallel.all_reduce_table=$out.nothing"
expect 64 "error: .*--phases shows one rank that has the whole model; leave it out, or leave out --auto" plan "$job" --auto --phases
expect 64 'only with parallel.all_reduce = auto' train "$job" --set parallel.all_reduce=mpi --set parallel.all_reduce_table=x

# sbatch that refuses the job is no success, and its code none of ours.
mkdir -p "$out.bin"
printf '#!/bin/sh\necho "sbatch: error: invalid partition" >&2\nexit 1\n' >"$out.bin/sbatch"
chmod +x "$out.bin/sbatch"
submitted="launch -n 1 --slurm --time 1:30:00 train $job $small --set parallel.probe=false"
PATH=$out.bin:$PATH expect 64 'error: lockstep launch --slurm: sbatch did not take the job' $submitted
grep -q '^#SBATCH --time=90$' "$out.runs/run.sbatch" || { failures=$((failures + 1)); echo "FAILED: --time 1:30:00"; }
printf '#!/bin/sh\necho "Submitted batch job 1"\n' >"$out.bin/sbatch"
PATH=$out.bin:$PATH expect 0 'Submitted batch job 1' $submitted
rm "$out.bin/sbatch"
command -v sbatch >/dev/null || expect 66 'there is no sbatch in PATH' $submitted

# Stacks that are too small are found before the first step.
export OMP_STACKSIZE=16k
expect 64 'needs 64 KiB: OMP_STACKSIZE = 16k; unset it, or set OMP_STACKSIZE=64k$' \
  train "$job" $small --set data.synthetic_samples=2 --set parallel.threads=2
unset OMP_STACKSIZE

expect 0 '^Usage: lockstep bench WHAT' bench --help
expect 64 'error: lockstep bench: what? Use step' bench
expect 64 "error: lockstep bench: unknown benchmark 'stpe'; did you mean 'step'?" bench stpe
expect 0 '^Usage: lockstep bench step' bench step --help
expect 64 "error: lockstep bench step: unknown option '--primitive'; did you mean '--primitives'?" bench step --primitive
expect 64 'error: lockstep bench step: --steps must be at least 1' bench step --steps 0 "$job"
expect 64 'error: a benchmark of the step has no coordinator' \
  bench step "$job" --set data.source=synthetic --set parallel.coordinator=dedicated
expect 64 'error: lockstep bench step: --primitives times all convolutions of the net' \
  bench step "$job" --set data.source=synthetic --set parallel.stages=2 --primitives
expect 64 'error: parallel.stages = 2 does not divide 1 workers' bench step "$job" --set data.source=synthetic --set parallel.stages=2
expect 0 '^Usage: lockstep bench allreduce' bench allreduce --help
expect 64 'error: lockstep bench allreduce: --window must be 1 to 8' bench allreduce --window 9
expect 64 'error: lockstep bench allreduce: one rank has nothing to sum' bench allreduce

printf '[data]\nsource = synthetic\nsynthetic_samples = 8\n[model]\ndepth = 8\n' >"$job"
# A budget that does not fit names the side; what recomputation cannot mend is said so.
expect 64 'bench step: the job of --beside: memory.budget_mib: a rank has 1.00 MiB' bench step "$job" --set train.batch=8 --beside memory.budget_mib=1
expect 64 'bench step: the job itself: memory.budget_mib: a rank has 1.00 MiB' bench step "$job" --set train.batch=8 --set memory.budget_mib=1 --beside model.depth=14
expect 64 'recomputation does not make it less' plan "$job" --set parallel.probe=off --set model.family=mlp --set model.depth=20 \
  --set model.counts=1 --set model.widths=64 --set memory.budget_mib=1 --set train.batch=8
expect 0 'x + F(x)/L' train --help-job
expect 0 '^Usage: lockstep bench loader' bench loader --help
expect 64 'error: lockstep bench loader: --threads 1,x: give numbers' bench loader "$job" --threads 1,x
expect 64 'error: lockstep bench loader: --images-per-second must be above 0' bench loader "$job" --images-per-second -1
expect 0 '^Usage: lockstep bench checkpoint' bench checkpoint --help
expect 64 'error: lockstep bench checkpoint: --rounds must be at least 1' bench checkpoint "$job" --rounds 0
expect 74 "error: .*$job" bench checkpoint "$job" --directory "$job/below-a-file"
rm -rf "$out.runs"
expect 0 'save / plain' bench checkpoint "$job" --rounds 1 --set "run.directory=$out.runs"
[ -d "$out.runs" ] && [ -z "$(ls -A "$out.runs")" ] || { failures=$((failures + 1)); echo "FAILED: bench checkpoint left files"; }

exit $((failures > 0))
