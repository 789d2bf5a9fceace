#!/usr/bin/env bash
# Writes docs/job-file.md from what the program says of itself; with --check, fails if the page is out of date.
# Usage: docs/job-file.sh LOCKSTEP [--check]
set -euo pipefail
page=$(dirname "$0")/job-file.md

write_page() {
  cat <<END
# Job files

A job file is sections of \`key = value\`; \`#\` begins a comment. \`--set section.key=value\` overrides a key for one call. An unknown key is an error that names the
nearest one. \`runs/NAME/job.cfg\` is the job as it ran, with every default filled in.

This page is \`lockstep train --help-job\`, written by \`docs/job-file.sh\`: every key with its default and what is valid.

\`\`\`ini
$("$1" train --help-job)
\`\`\`
END
}

if [ "${2:-}" = --check ]; then
  diff <(write_page "$1") "$page" || { echo "$page is out of date: run docs/job-file.sh $1" >&2; exit 1; }
else
  write_page "$1" >"$page"
fi
