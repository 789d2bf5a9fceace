#!/usr/bin/env bash
# Trainings over a network: on nodes of slurm/local-cluster they give the bits of one node with the same grid. Replicas,
# stages, both, and data sent by rank 0. Needs root; exits with 77 where it cannot run, and says why.
# Usage: nodes_test.sh LOCKSTEP
set -euo pipefail
source "$(dirname "$0")/two_nodes.sh" "$1" --no-slurm

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
epochs = 2
micro_batches = 2
[parallel]
threads = 1
END

fail() {
  echo "nodes_test: $1"
  tail -n 40 ./*.log
  exit 1
}

# Bytes that a node has sent over its link.
sent() { "$cluster" run "$1" cat /proc/net/dev | awk '/eth0:/ { print $10 }'; }

# train RUN RANKS PER_NODE [OPTION ...]
train() {
  local run=$1 ranks=$2 per_node=$3
  shift 3
  timeout 60 "$cluster" mpirun -n "$ranks" --per-node "$per_node" "$LOCKSTEP" train small.cfg --set "run.name=$run" "$@" \
    >"$run.log" 2>&1 || fail "$run ended with $?"
}

# The same words, but for the times.
metrics() {
  python3 - "runs/$1/metrics.jsonl" <<'END'
import json, sys
for line in open(sys.argv[1]):
    m = json.loads(line)
    print({k: m[k] for k in m if not k.endswith("_ms") and k != "images_per_second"})
END
}

# same_bits NAME RANKS [OPTION ...]: with the options on one node, and on two.
same_bits() {
  local name=$1 ranks=$2 before
  shift 2
  train "$name-one" "$ranks" "$ranks" "$@"
  before=$(sent n1)
  train "$name-two" "$ranks" $((ranks / 2)) "$@"
  [ $(($(sent n1) - before)) -ge 1000000 ] || fail "$name: n1 has sent only $(($(sent n1) - before)) bytes"
  [ "$(metrics "$name-two" | grep -c "'loss'")" = 8 ] || fail "$name: not 8 steps"
  diff <(metrics "$name-one") <(metrics "$name-two") || fail "$name: other metrics on two nodes than on one"
}

same_bits replicas 2
same_bits stages 2 --set parallel.stages=2
same_bits both 4 --set parallel.stages=2
same_bits ring 4 --set parallel.all_reduce=ring  # else sums are made node by node, in another order
train scatter 2 1 --set data.distribute=scatter
diff <(metrics replicas-one) <(metrics scatter) || fail "data sent by rank 0 gave other metrics"
echo "replicas, stages and both, on two nodes: the bits of one"
