#!/usr/bin/env bash
# Includes go only along data <- layers <- worker <- coordinator <- jobs, and each third party stays in
# its room: MPI in worker/comm, HDF5 and image codecs in data, oneDNN in layers/cpu. Outside of layers/cpu
# nothing asks an op's type.
set -u
cd "$(dirname "$0")/.."
failed=0

forbid() {  # forbid WHERE PATTERN WHY [BUT]
  local found
  found=$(grep -rnE --include='*.h' --include='*.cpp' "$2" $1 | grep -vE "${4:-^$}") || return 0
  printf '%s:\n%s\n' "$3" "$found"
  failed=1
}

forbid data        '#include "(layers|worker|coordinator|jobs)/' "data includes a room to its right"
forbid layers      '#include "(worker|coordinator|jobs)/'        "layers includes a room to its right"
forbid worker      '#include "(coordinator|jobs)/'               "worker includes a room to its right"
forbid coordinator '#include "jobs/'                             "coordinator includes jobs"
forbid coordinator/plan   '#include "coordinator/(stages|health|bench)/' "coordinator/plan includes what is built on it"
forbid coordinator/stages '#include "coordinator/(health|bench)/'       "coordinator/stages includes what is built on it"
forbid coordinator/health '#include "coordinator/(stages|bench)/'       "coordinator/health includes a folder beside it"
forbid "coordinator/plan coordinator/stages" '#include "coordinator/[a-z_]+\.h' \
  "a folder of coordinator includes back" '"coordinator/job\.h'
forbid "$(echo coordinator/*.h coordinator/*.cpp)" '#include "coordinator/bench/' "a run includes a benchmark"
forbid "data layers worker coordinator jobs" '#include "tests/'  "a room includes tests"

forbid layers/ops  '#include "layers/([a-z_]+\.h|[cg]pu/)' "layers/ops includes what is built on it" \
  '"layers/(parameter|shape)\.h"'
forbid "worker coordinator jobs layers/*.h layers/*.cpp" \
  '(holds_alternative|get_if|[^_]get)<(Conv|BatchNorm|GroupNorm|Layer|Position|Activation|Add|Lerp|Attention|Concat|Channel|Pool|Upsample|Flatten|Global|Linear|Dropout|Stochastic|Branch|Scale|Softmax|Pixel)' \
  "an op's type is asked where its traits should be"

outside_comm="data layers coordinator jobs $(find worker -maxdepth 1 -type f)"
forbid "$outside_comm" '#include <mpi\.h>'                        "MPI outside of worker/comm"
forbid "layers worker coordinator jobs" '#include <(hdf5|turbojpeg|spng)\.h>' "a file format outside of data"
forbid "data worker coordinator jobs" '#include [<"](oneapi/)?dnnl' "oneDNN outside of layers"

[ $failed = 0 ] && echo "includes go along the arrows"
exit $failed
