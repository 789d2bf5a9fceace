#!/usr/bin/env bash
# Training steps of lockstep beside PyTorch's on the same cores: ResNet-20, 56, 110 and WRN-16-4 (batch 128, 32 x 32),
# ResNet-50 (batch 16, 224 x 224), in f32 and, where the CPU computes it, bf16, on two grids:
#   1x2   1 rank x 2 threads; PyTorch: one process with two threads
#   2x1   2 ranks x 1 thread with SyncBN; PyTorch: DDP over gloo, without SyncBN (it has none on CPU)
# The sides take turns, ROUNDS times; PyTorch runs both memory formats each time, and its better one counts.
# Each round is a line of OUT/versus_torch.jsonl; versus_report.py makes table, CSV and picture of it.
#   tests/bench/versus_torch.sh [NET ...]
#   PYTHON    a Python that has torch; default: .deps/bench/bin/python (.setup/install.sh --bench), else python3
#   PRECISIONS="f32 bf16"   bf16: activations here, autocast there; default: bf16 only with avx512_bf16 or AMX
#   ROUNDS=5 STEPS=5 GRIDS="1x2 2x1" OUT=build/bench LOCKSTEP=build/release/lockstep BATCH= (of all nets)
#   APPEND=1  adds to the rounds that OUT has
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=.deps/bench/bin/python
[ -x $venv ] || venv=python3
python=${PYTHON:-$venv}
rounds=${ROUNDS:-5} steps=${STEPS:-5} out=${OUT:-build/bench} lockstep=${LOCKSTEP:-build/release/lockstep}
[ -x "$lockstep" ] || { echo "versus_torch: there is no $lockstep; run make build first" >&2; exit 66; }
"$python" -c 'import torch' 2>/dev/null ||
  { echo "versus_torch: $python has no torch; run .setup/install.sh --bench, or set PYTHON" >&2; exit 66; }
grep -qsE 'avx512_bf16|amx_bf16' /proc/cpuinfo && precisions=${PRECISIONS:-f32 bf16} || precisions=${PRECISIONS:-f32}
[ $# -gt 0 ] || set -- resnet20 resnet56 resnet110 resnet50 wrn-16-4

# The job's keys that make it net $1.
keys_of() {
  case $1 in
    resnet50) echo model.depth=50 data.height=224 data.width=224 data.synthetic_classes=1000 ;;
    resnet*) echo model.depth="${1#resnet}" ;;
    wrn-*-*) local depth=${1#wrn-}; echo model.family=wide model.depth="${depth%-*}" model.widen="${depth#*-}" ;;
    *) echo "versus_torch: unknown net $1; use resnet20, resnet56, resnet110, resnet50, wrn-16-4" >&2; return 64 ;;
  esac
}
for net in "$@"; do keys_of "$net" >/dev/null; done
batch_of() { [ "$1" = resnet50 ] && echo "${BATCH:-16}" || echo "${BATCH:-128}"; }

# GRID NET PRECISION: a line of JSON.
ours() {
  local words=(bench step tests/bench/synthetic.cfg --json --steps "$steps" --set train.batch="$(batch_of "$2")"
    --set train.precision="$3") key keys
  keys=$(keys_of "$2")
  for key in $keys; do words+=(--set "$key"); done
  if [ "$1" = 1x2 ]; then
    "$lockstep" "${words[@]}" --set parallel.threads=2
  else
    "$lockstep" launch -n 2 --threads 1 "${words[@]}"
  fi
}
torch() {
  local words=(tests/bench/torch_peer.py --net "$2" --batch "$(batch_of "$2")" --steps "$steps" --precision "$3")
  if [ "$1" = 1x2 ]; then
    OMP_NUM_THREADS=2 "$python" "${words[@]}" --threads 2
    return
  fi
  local store code=0
  store=$(mktemp -u)
  OMP_NUM_THREADS=1 RANK=1 WORLD_SIZE=2 "$python" "${words[@]}" --store "$store" >/dev/null &
  OMP_NUM_THREADS=1 RANK=0 WORLD_SIZE=2 "$python" "${words[@]}" --store "$store" || code=$?
  wait $! || code=$?
  rm -f "$store"
  return $code
}

mkdir -p "$out"
results=$out/versus_torch.jsonl
[ "${APPEND:-0}" = 1 ] || : >"$results"
cpu=$(lscpu 2>/dev/null | sed -n 's/^Model name: *//p' | head -n 1)
for precision in $precisions; do
  for net in "$@"; do
    for grid in ${GRIDS:-1x2 2x1}; do
      for ((round = 0; round < rounds; ++round)); do
        a=$(ours "$grid" "$net" "$precision")
        b=$(torch "$grid" "$net" "$precision")
        printf '{"net":"%s","grid":"%s","precision":"%s","batch":%d,"date":"%s","cpu":"%s","ours":%s,"torch":%s}\n' \
          "$net" "$grid" "$precision" "$(batch_of "$net")" "$(date -u +%F)" "$cpu" "$a" "$b" >>"$results"
      done
    done
  done
done
"${REPORT_PYTHON:-python3}" tests/bench/versus_report.py "$results" "$out"
