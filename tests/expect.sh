#!/usr/bin/env bash
# Runs a command that must succeed and whose output must match an extended regular expression; shows both if not.
# Usage: expect.sh REGEX COMMAND...
set -uo pipefail
pattern=$1
shift
said=$("$@" 2>&1)
code=$?
echo "$said"
[ "$code" = 0 ] || { echo "expect: exit code $code" >&2; exit 1; }
grep -qE -- "$pattern" <<<"$said" || { echo "expect: nothing there matches $pattern" >&2; exit 1; }
