#!/usr/bin/env bash
# Writes lockstep's man page to stdout, from what the program says of itself.
# Usage: man-page.sh LOCKSTEP
set -euo pipefail
lockstep=$1

# As it stands: no filling, and nothing that troff would take for a request.
verbatim() {
  printf '.nf\n'
  sed 's/\\/\\e/g; s/^\([.'"'"']\)/\\\&\1/; s/-/\\-/g'
  printf '.fi\n'
}

help=$("$lockstep" --help)
printf '.TH LOCKSTEP 1 "" "%s" "User Commands"\n' "$("$lockstep" --version)"
printf '.SH NAME\nlockstep \\- trains deep residual networks on CPU clusters\n.SH SYNOPSIS\n'
sed -n 's/^Usage: //p' <<<"$help" | verbatim
printf '.SH SUBCOMMANDS AND EXIT CODES\n'
sed '1,/^Usage:/d' <<<"$help" | verbatim
for command in $(sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' <<<"$help"); do
  printf '.SH %s\n' "${command^^}"
  "$lockstep" "$command" --help | verbatim
done
printf '.SH JOB FILES\nEvery key with its default and what is valid:\n'
"$lockstep" train --help-job | verbatim
