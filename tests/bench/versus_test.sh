#!/usr/bin/env bash
# versus_torch.sh and versus_report.py without PyTorch: a stub stands in for it and says what it "measured".
# Usage: versus_test.sh LOCKSTEP
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { echo "FAILED: $1"; [ ! -f "$folder/said" ] || cat "$folder/said"; exit 1; }

parameters=$("$1" bench step tests/bench/synthetic.cfg --set model.depth=8 --set train.batch=4 --steps 1 --json |
             sed -E 's/.*"parameters":([0-9]+).*/\1/')
cat >"$folder/python" <<STUB
#!/bin/sh
[ "\$1" = -c ] && exit 0      # import torch
echo '{"torch": "2.13.0+stub", "nchw_ms": 2e6, "channels_last_ms": 1e6, "parameters": '\${PARAMETERS:-$parameters}'}'
STUB
chmod +x "$folder/python"
export PYTHON=$folder/python LOCKSTEP=$1 OUT=$folder ROUNDS=2 STEPS=1 BATCH=4 PRECISIONS=f32

tests/bench/versus_torch.sh resnet8 >"$folder/said" 2>&1 || fail "versus_torch.sh resnet8"
[ "$(grep -cE '^\| resnet8 \| 4 \| (1 rank x 2 threads|2 ranks x 1 thread) \| f32 .*\*\*0\.00\*\*' "$folder/said")" = 2 ] ||
  fail "the table lacks a row for each grid"
[ "$(wc -l <"$folder/versus_torch.csv")" = 3 ] || fail "the CSV has not a line for each grid"
python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$folder/versus_torch.svg" || fail "the SVG is not XML"
python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' tests/bench/torch_peer.py || fail "torch_peer.py"

PARAMETERS=5 GRIDS=1x2 tests/bench/versus_torch.sh resnet8 >"$folder/said" 2>&1 && fail "other nets were compared"
grep -q 'not the same net' "$folder/said" || fail "it does not say that the nets differ"
tests/bench/versus_torch.sh vgg16 >"$folder/said" 2>&1 && fail "an unknown net was taken"
grep -q 'unknown net vgg16; use resnet20' "$folder/said" || fail "it does not say which nets there are"
echo "tables, picture and complaints are as they should be"
