#!/usr/bin/env bash
# cmake --install gives a tree that may be moved, and works where the sources and the build are not there: the latter is tried
# where this runs as root, which can hide them.
# Usage: install_test.sh CMAKE BUILD_DIRECTORY SOURCE_DIRECTORY
set -euo pipefail
cmake=$1 build=$2 source=$3
work=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-install-test.XXXXXX")
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --prefix "$work/first" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
mkdir "$work/elsewhere"
mv "$work/first" "$work/elsewhere/moved"
cat >"$work/small.cfg" <<END
[data]
source = synthetic
synthetic_samples = 32
[model]
depth = 8
[train]
batch = 16
epochs = 1
END
cat >"$work/try.sh" <<'END'
set -euo pipefail
cd "$1"
tree=$1/elsewhere/moved
"$tree/bin/lockstep" --version
"$tree/bin/lockstep" launch -n 2 --threads 1 train small.cfg
"$tree/bin/lockstep" eval small.cfg
for file in share/lockstep/{LICENSE,NOTICE,jobs/demo.cfg,slurm/train.sbatch} share/man/man1/lockstep.1; do
  [ -s "$tree/$file" ] || { echo "no $file"; exit 1; }
done
# Links of the documents hold where they are installed, but for sources.
for page in "$tree"/share/doc/lockstep/docs/*.md; do
  for link in $(grep -oE '\]\([^)#:]+\.(md|svg|csv)' "$page" | sed 's/^](//'); do
    [ -e "$(dirname "$page")/$link" ] || { echo "$page: $link is not installed"; exit 1; }
  done
done
grep -q '^\.SH LAUNCH' "$tree/share/man/man1/lockstep.1"
bash -n "$tree/share/bash-completion/completions/lockstep"
# Nothing may come from the place where it was built.
! readelf -d "$tree/bin/lockstep" 2>/dev/null | grep -F "$2" || { echo "the program looks for libraries in the sources' tree"; exit 1; }
END
if [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null; then
  unshare --mount --propagation private bash -c 'mount -t tmpfs none "$2" && bash "$1/try.sh" "$1" "$2"' try "$work" "$source"
  echo "an installed tree works when it was moved, without the sources"
else
  bash "$work/try.sh" "$work" "$source"
  echo "an installed tree works when it was moved; only root can hide the sources"
fi
