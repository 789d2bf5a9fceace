# A local cluster of two nodes for a test, taken down when the test ends; for `source`, with LOCKSTEP in $1, and
# --no-slurm where the test does without Slurm. Leaves the test in a folder that both nodes see, and sets source_dir
# and cluster. Needs root, and Slurm and munge; where they are missing the test exits with 77.
source_dir=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
LOCKSTEP=$(realpath "$1")
cluster=$source_dir/slurm/local-cluster
"$cluster" check "${@:2}" || exit 77
LOCKSTEP_CLUSTER_DIR=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-slurm-test.XXXXXX")/cluster
export LOCKSTEP_CLUSTER_DIR LOCKSTEP

stop() {
  "$cluster" down || true
  rmdir "$(dirname "$LOCKSTEP_CLUSTER_DIR")"
}
trap stop EXIT
"$cluster" up 2 "${@:2}"
if [ "${2:-}" != --no-slurm ]; then
  SLURM_CONF=$("$cluster" conf)
  export SLURM_CONF
fi
cd "$LOCKSTEP_CLUSTER_DIR/shared"
