#!/usr/bin/env bash
# The time that was predicted for a step beside the time that it took, for plans that predictions were never tuned on.
# Prints a line per plan, and the median and the worst error.
#   tests/bench/predict.sh [FIRST [LAST]]        of the plans below, from 1
#   STEPS=7 THREADS=2 LOCKSTEP=build/release/lockstep
set -euo pipefail
cd "$(dirname "$0")/../.."
steps=${STEPS:-7} threads=${THREADS:-2} lockstep=${LOCKSTEP:-build/release/lockstep}
plans=(
  "model.depth=32 train.batch=96"
  "model.depth=44 train.batch=64 memory.recompute=every:3"
  "model.depth=56 model.shortcut=A memory.recompute=sqrt"
  "model.depth=164 model.block=bottleneck model.pre_activation=true train.batch=48 memory.recompute=every:2"
  "model.family=wide model.depth=22 model.widen=2 train.batch=80"
  "model.family=wide model.depth=28 model.widen=2 train.batch=32 memory.recompute=sqrt"
  "model.family=densenet model.depth=40 train.batch=24"
  "model.family=resnext model.depth=29 model.cardinality=8 model.base_width=16 train.batch=16"
  "model.depth=29 model.block=bottleneck model.se_reduction=16 train.batch=64"
  "model.depth=18 data.height=224 data.width=224 data.synthetic_classes=100 train.batch=8"
  "model.depth=34 data.height=160 data.width=160 data.synthetic_classes=100 train.batch=12 memory.recompute=every:2"
  "model.depth=101 data.height=128 data.width=128 data.synthetic_classes=100 train.batch=8 memory.recompute=sqrt"
)
first=${1:-1} last=${2:-${#plans[@]}}
errors=()
for ((i = first; i <= last; ++i)); do
  words=()
  for key in ${plans[i - 1]}; do words+=(--set "$key"); done
  result=$("$lockstep" bench step tests/bench/synthetic.cfg "${words[@]}" --set "parallel.threads=$threads" --steps "$steps" --predict --json)
  read -r measured predicted ratio < <(sed -E 's/.*"step_ms":([0-9.]+).*"predicted_ms":([0-9.]+).*"step_over_predicted":([0-9.]+).*/\1 \2 \3/' <<<"$result")
  printf '%2d  measured %8.1f ms  predicted %8.1f ms  measured / predicted %.2f  %s\n' "$i" "$measured" "$predicted" "$ratio" "${plans[i - 1]}"
  errors+=("$(awk -v r="$ratio" 'BEGIN { e = 1 / r - 1; print e < 0 ? -e : e }')")
done
printf '%s\n' "${errors[@]}" | sort -n | awk '{ e[NR] = $1 } END {
  printf "error of the prediction: median %.0f%%, worst %.0f%%\n", 50 * (e[int((NR + 1) / 2)] + e[int(NR / 2) + 1]), 100 * e[NR] }'
