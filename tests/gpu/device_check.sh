#!/usr/bin/env bash
# What a machine with a GPU has to show of layers/gpu.
#   device_check.sh pack [BUILD]   here: build/gpu-bundle/, programs and this script, to be carried there
#   device_check.sh run            there, in the bundle: results into $OUT (or ./out): device_check.txt and more
# `run` needs a driver, and a Python with cuDNN 9 and cuBLAS 13 (PyTorch brings them). Under five minutes; a part that fails
# is recorded, and the next goes on. Exit code: how many parts failed.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

pack() {
  local root=$here/../.. build program library
  root=$(cd "$root" && pwd)
  build=${1:-$root/build/gpu}
  local bundle=$root/build/gpu-bundle
  rm -rf "$bundle" && mkdir -p "$bundle/lib" || return 1
  program=$(find "$build" -name gpu_ops_test -type f -perm -u+x | head -n 1)
  [ -n "$program" ] || { echo "no gpu_ops_test in $build: cmake --preset gpu, cmake --build --preset gpu" >&2; return 1; }
  strip -o "$bundle/gpu_ops_test" "$program" || return 1
  # Of the libraries, what a bare machine may lack; cuDNN and cuBLAS are that machine's own.
  for library in $(ldd "$bundle"/gpu_ops_test | awk '/=> \// {print $3}' | grep -vE '/(libc|libm|libdl|librt|libpthread|ld-[^/]*|libcudnn[^/]*|libcublas[^/]*|libnvrtc[^/]*)\.so'); do
    cp -L "$library" "$bundle/lib/"
  done
  cp "${BASH_SOURCE[0]}" "$bundle/"
  du -sm "$bundle" | cut -f 1 | { read -r mib; echo "$bundle: $mib MiB"; [ "$mib" -lt 40 ]; }
}

# Folders of the machine's Python that hold cuDNN, cuBLAS and what they load, with colons between.
python_libraries() {
  python3 - <<'PYTHON'
import glob, os, site, sys
roots = set(site.getsitepackages() + [p for p in sys.path if p.endswith("-packages")])
found = []
for root in roots:
    for pattern in ("nvidia/*/lib", "torch/lib"):
        for folder in glob.glob(os.path.join(root, pattern)):
            if glob.glob(os.path.join(folder, "*.so*")):
                found.append(folder)
print(":".join(found))
PYTHON
}

failed=0
part() {  # part SECONDS NAME COMMAND...
  local seconds=$1 name=$2 begin=$SECONDS code
  shift 2
  echo "== $name"
  timeout "$seconds" "$@" 2>&1
  code=$?
  echo "== $name: exit code $code, $((SECONDS - begin)) s"
  [ $code = 0 ] || failed=$((failed + 1))
}

sanitized() {  # memcheck and racecheck of the kernels, on small shapes
  local tool=$1 sanitizer
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null) || { echo "no compute-sanitizer here"; return 3; }
  "$sanitizer" --tool "$tool" --error-exitcode 9 --print-limit 20 ./gpu_ops_test --small --no-timing --own >"$out/$tool.txt" 2>&1
  local code=$?
  grep -E "ERROR SUMMARY|RACECHECK SUMMARY|=========" "$out/$tool.txt" | tail -n 8
  tail -n 2 "$out/$tool.txt"
  return $code
}

run() {
  cd "$here" || exit 1
  out=${OUT:-$here/out}
  mkdir -p "$out"
  libraries=$(python_libraries)
  # The machine's own C++ library, likely the newer one, unless it has none.
  ldconfig -p | grep -q 'libstdc++\.so\.6' || libraries=$libraries:$here/lib
  export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  export -f sanitized
  export out
  chmod +x gpu_ops_test
  {
    date -u
    part 20 "device" nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem --format=csv
    echo "libraries: $libraries"
    part 20 "ldd" ldd ./gpu_ops_test
    part 60 "ops against the twins, small" ./gpu_ops_test --small
    part 90 "ops, large" ./gpu_ops_test --large
    part 45 "memcheck" bash -c 'sanitized memcheck'
    part 45 "racecheck" bash -c 'sanitized racecheck'
    echo "$failed parts failed"
  } >"$out/device_check.txt" 2>&1
  grep -vE ' ok$' "$out/device_check.txt" | tail -n 60
  exit "$failed"
}

case "${1:-}" in
  pack) pack "${2:-}" ;;
  run) run ;;
  *) sed -n '2,6p' "${BASH_SOURCE[0]}"; exit 64 ;;
esac
