#!/usr/bin/env bash
# Memory against time of recomputation: steps that recompute and steps that keep everything, in turns in one process, with
# the time that was predicted beforehand. Ways: every:K, sqrt, or the part of none's arena that auto may take (0.6).
# Adds a line of JSON per way to OUT; memory_report.py makes table and picture of it.
#   tests/bench/memory_time.sh NET BATCH WAY...          resnet50, resnet110, resnet152, resnet1001
#   STEPS=5 THREADS=2 LOCKSTEP=build/release/lockstep OUT=build/bench/memory_time.jsonl
set -euo pipefail
cd "$(dirname "$0")/../.."
steps=${STEPS:-5} threads=${THREADS:-2} lockstep=${LOCKSTEP:-build/release/lockstep}
out=${OUT:-build/bench/memory_time.jsonl}
[ $# -ge 3 ] || { echo "usage: tests/bench/memory_time.sh NET BATCH WAY..." >&2; exit 64; }
net=$1 batch=$2
shift 2
keys=(--set "train.batch=$batch" --set "model.depth=${net#resnet}")
case $net in
  resnet50 | resnet152) keys+=(--set data.height=224 --set data.width=224 --set data.synthetic_classes=1000) ;;
  resnet1001) keys+=(--set model.block=bottleneck --set model.pre_activation=true) ;;
  resnet*) ;;
  *) echo "memory_time: unknown net $net" >&2; exit 64 ;;
esac
job=tests/bench/synthetic.cfg
mkdir -p "$(dirname "$out")"

# "WORD BYTES" lines of what a rank needs: the arena's and the whole.
bytes_of() { "$lockstep" plan $job "${keys[@]}" --threads "$threads" | awk '$1 == "arena," || $1 == "total" {
  for (i = 1; i <= NF; ++i) if ($i ~ /^[0-9,]+$/ && length($i) > 4) { gsub(",", "", $i); print $1, $i; break } }'; }
read -r arena total < <(bytes_of | awk '$1 == "arena," { a = $2 } $1 == "total" { t = $2 } END { print a, t }')

for way in "$@"; do
  memory=(--set "memory.recompute=$way")
  if [[ $way == 0.* ]]; then
    budget=$(awk -v a="$arena" -v t="$total" -v f="$way" 'BEGIN { printf "%d", (t - (1 - f) * a) / 1048576 }')
    memory=(--set memory.recompute=auto --set "memory.budget_mib=$budget")
  fi
  result=$("$lockstep" bench step $job "${keys[@]}" "${memory[@]}" --beside memory.recompute=none --beside memory.budget_mib=0 \
    --set "parallel.threads=$threads" --steps "$steps" --predict --json)
  printf '{"net":"%s","way":"%s","result":%s}\n' "$net" "$way" "$result" | tee -a "$out"
done
