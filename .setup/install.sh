#!/usr/bin/env bash
# Brings what lockstep is built and run with, as far as it is missing:
#   packages.txt      Debian packages, by apt (with sudo if you are not root)
#   requirements.txt  Open MPI and oneDNN from PyPI, into .deps/ (never with sudo)
# Usage: .setup/install.sh [--tests | --bench | --gpu]
#   --tests   also the packages that only tests need
#   --bench   only PyTorch, which `make bench` measures against, into .deps/bench/ (requirements-bench.txt; about 5 GB
#             on the disk, most of it for GPUs); nothing if $PYTHON has it
#   --gpu     only CUDA's compiler, cuDNN, cuBLAS and NCCL, into .deps/cuda/ (requirements-gpu.txt; about 2 GB)
# A call that finds all in place downloads nothing and takes well under a second.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp "${TMPDIR:-/tmp}/lockstep-install.XXXXXX")
trap 'rm -f "$log"' EXIT

fail() {
  echo "install: $1" >&2
  [ ! -s "$log" ] || { echo "The last lines of that step:" >&2; tail -n 15 "$log" >&2; }
  exit 1
}

# Lines without comments, blanks and, unless asked for, what is marked "tests only". Those packages
# hold services (Slurm) which only tests that run as root start: others do not get them.
listed_packages() {
  local hide='^$'
  [ "${1:-}" = --tests ] && [ "$(id -u)" = 0 ] || hide='# tests only'
  grep -v "$hide" .setup/packages.txt | sed 's/#.*//; s/[[:space:]]//g' | grep .
}

missing_packages() {
  local package
  # One call for all; unknown packages are named on stderr only, so they count as missing too.
  local installed
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $(listed_packages "$@") \
              2>/dev/null | sed -n 's/ installed$//p')
  for package in $(listed_packages "$@"); do
    grep -qxF "$package" <<<"$installed" || echo "$package"
  done
}

install_packages() {
  if ! command -v dpkg-query apt-get >/dev/null; then
    echo "install: no apt on this system; what .setup/packages.txt lists must come from elsewhere" >&2
    return
  fi
  local missing as_root=()
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  missing=$(echo $missing)
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "these Debian packages are missing, and there is neither root
nor sudo to install them: $missing"
    as_root=(sudo)
  fi
  echo "Installing Debian packages: $missing"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
  "${apt[@]}" install --no-install-recommends $missing >"$log" 2>&1 && return
  # The list of packages may be missing or old.
  "${apt[@]}" update >"$log" 2>&1 || fail "apt-get update failed; still missing: $missing"
  "${apt[@]}" install --no-install-recommends $missing >"$log" 2>&1 ||
    fail "apt-get could not install: $missing"
}

missing_requirements() {
  local requirement name version
  sed 's/#.*//; s/[[:space:]]//g' .setup/requirements.txt | grep . | while read -r requirement; do
    name=${requirement%%==*} version=${requirement##*==}
    compgen -G ".deps/lib/python*/site-packages/${name//-/_}-$version.dist-info" >/dev/null ||
      echo "$requirement"
  done
}

install_requirements() {
  local missing
  missing=$(missing_requirements)
  [ -n "$missing" ] || return 0
  echo "Installing into .deps/: $(echo $missing)"
  if ! .deps/bin/python -m pip --version >/dev/null 2>&1; then
    python3 -m venv .deps >"$log" 2>&1 ||
      fail "python3 -m venv .deps failed; is the package python3-venv installed?"
  fi
  .deps/bin/python -m pip install --quiet --disable-pip-version-check \
      -r .setup/requirements.txt >"$log" 2>&1 ||
    fail "pip could not install into .deps/: $(echo $missing); without access to PyPI, load an MPI
and oneDNN >= 3.2 of your own and use CMake: cmake --preset release"
}

install_bench() {
  ! "${PYTHON:-.deps/bench/bin/python}" -c 'import torch' 2>/dev/null || return 0
  [ -z "${PYTHON:-}" ] || fail "$PYTHON has no torch; install .setup/requirements-bench.txt there, or unset PYTHON"
  echo "Installing PyTorch into .deps/bench/: about 5 GB"
  python3 -m venv .deps/bench >"$log" 2>&1 ||
    fail "python3 -m venv .deps/bench failed; is the package python3-venv installed?"
  .deps/bench/bin/python -m pip install --quiet --disable-pip-version-check \
      -r .setup/requirements-bench.txt >"$log" 2>&1 ||
    fail "pip could not install PyTorch; without access to PyPI, set PYTHON to a Python that has torch"
}

install_gpu() {
  cmp -s .setup/requirements-gpu.txt .deps/cuda/installed.txt && return
  echo "Installing CUDA into .deps/cuda/: about 2 GB"
  python3 -m venv .deps/cuda >"$log" 2>&1 ||
    fail "python3 -m venv .deps/cuda failed; is the package python3-venv installed?"
  .deps/cuda/bin/python -m pip install --quiet --disable-pip-version-check \
      -r .setup/requirements-gpu.txt >"$log" 2>&1 ||
    fail "pip could not install CUDA; without access to PyPI, set CUDACXX, LOCKSTEP_CUDNN_ROOT and
LOCKSTEP_CUBLAS_ROOT to a site's own (layers/gpu/gpu.cmake)"
  cp .setup/requirements-gpu.txt .deps/cuda/installed.txt
}

if [ "${1:-}" = --gpu ]; then
  install_gpu
  exit
fi
if [ "${1:-}" = --bench ]; then
  install_bench
  exit
fi
install_packages "$@"
install_requirements
