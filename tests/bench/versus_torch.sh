#!/usr/bin/env bash
# A training step of lockstep (SyncBN on) beside PyTorch DDP over gloo (no SyncBN: it has none on CPU), both on
# 2 ranks x 1 thread, interleaved; prints medians of ROUNDS runs, and the ratio to PyTorch's better layout.
#   PYTHON=venv/bin/python tests/bench/versus_torch.sh [DEPTH ...]      (PYTHON has torch; default depths 20 110)
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
rounds=${ROUNDS:-5}
lockstep=build/release/lockstep
mpirun=mpirun
[ ! -x .deps/bin/mpirun ] || mpirun=.deps/bin/mpirun
export OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
"$python" -c 'import torch' || { echo "versus_torch: $python has no torch; set PYTHON" >&2; exit 66; }

median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
ours() { $mpirun -n 2 --bind-to core "$lockstep" bench step tests/bench/synthetic.cfg --set model.depth="$1" --json | sed -E 's/.*"step_ms":([0-9.]+).*/\1/'; }
torch() { "$python" -m torch.distributed.run --nproc_per_node 2 tests/bench/torch_ddp.py --depth "$@" 2>/dev/null; }

echo "model      lockstep ms   torch ms (nchw)   torch ms (channels last)   lockstep / torch's best"
[ $# -gt 0 ] || set -- 20 110
for depth in "$@"; do
  a=() b=() c=()
  for ((i = 0; i < rounds; ++i)); do
    a+=("$(ours "$depth")")
    b+=("$(torch "$depth")")
    c+=("$(torch "$depth" --channels-last)")
  done
  m=$(printf '%s\n' "${a[@]}" | median) n=$(printf '%s\n' "${b[@]}" | median) l=$(printf '%s\n' "${c[@]}" | median)
  awk -v d="$depth" -v m="$m" -v n="$n" -v l="$l" \
      'BEGIN {best = n < l ? n : l; printf "resnet%-4d %11.1f %17.1f %26.1f %25.2f\n", d, m, n, l, m / best}'
done
