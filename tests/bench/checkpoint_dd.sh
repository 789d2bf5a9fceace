#!/usr/bin/env bash
# Saving a checkpoint beside `dd conv=fsync` of as many bytes to the same disk, taking turns: medians, and the median
# of the ratios of turns. The bytes are random, and come from memory.
# Usage: checkpoint_dd.sh LOCKSTEP DIRECTORY ROUNDS JOB.cfg [--set section.key=value ...]
set -euo pipefail
lockstep=$1 directory=$2 rounds=$3
shift 3
mkdir -p "$directory"
source=$(mktemp /dev/shm/checkpoint-dd.XXXXXX)
trap 'rm -f "$source" "$directory/dd"' EXIT

turns=
for ((round = 0; round < rounds; round++)); do
  said=$("$lockstep" bench checkpoint "$@" --rounds 1 --directory "$directory" --json)
  if [ ! -s "$source" ]; then
    bytes=$(sed 's/.*"bytes":\([0-9]*\).*/\1/' <<<"$said")
    head -c "$bytes" /dev/urandom >"$source"
  fi
  begin=$(date +%s%N)
  dd if="$source" of="$directory/dd" bs=1M conv=fsync status=none
  end=$(date +%s%N)
  rm "$directory/dd"
  turns+="$said $(((end - begin) / 1000))"$'\n'
done
python3 <(cat <<'END'
import json, statistics, sys
saves, dds = [], []
for line in sys.stdin:
    if not line.strip():
        continue
    said, microseconds = line.rsplit(" ", 1)
    said = json.loads(said)
    saves.append(said["save_ms"])
    dds.append(int(microseconds) / 1e3)
mb = said["bytes"] / 1e6
save, dd = statistics.median(saves), statistics.median(dds)
print(f"{len(saves)} turns of {mb:.1f} MB: save {save:.0f} ms ({mb / save * 1e3:.0f} MB/s), dd conv=fsync {dd:.0f} ms "
      f"({mb / dd * 1e3:.0f} MB/s); dd / save {statistics.median(d / s for d, s in zip(dds, saves)):.2f}")
END
) <<<"$turns"
