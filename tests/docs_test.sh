#!/usr/bin/env bash
# README.md and docs/ say what is there: links lead to files, job files in them are read by the program, the page of
# keys is the program's own, and every subcommand and option that a command line in them has is one.
# Usage: docs_test.sh LOCKSTEP
set -uo pipefail
lockstep=$(realpath "$1")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
fail() {
  echo "FAILED: $*"
  failed=1
}
pages=(README.md docs/*.md)

for page in "${pages[@]}"; do
  while read -r link; do
    [ -e "$(dirname "$page")/${link%%#*}" ] || fail "$page leads to $link, which is not there"
  done < <(grep -oE '\]\([^)]+\)' "$page" | sed 's/^](//; s/)$//' | grep -vE '^(https?:|#)')
done

docs/job-file.sh "$lockstep" --check || failed=1

# The lines of a page, from one with [run] on, that are indented as a block: a job file.
job_in() { sed -n '/^ \{4,\}\[run\]/,/^ *[^ [a-z]\|^[^ ]/p' "$1" | sed 's/^ *//' | grep -E '^(\[[a-z]+\]|[a-z_]+ = .*)$'; }
for page in README.md docs/your-own-pictures.md; do
  job_in "$page" >"$work/job.cfg"
  [ "$(wc -l <"$work/job.cfg")" -ge 15 ] || fail "$page has no job file of 15 lines"
  "$lockstep" plan "$work/job.cfg" --set data.source=synthetic >"$work/out" 2>&1 || fail "the job of $page: $(cat "$work/out")"
done

# Subcommands and options in commands; one that is passed on (launch -n 2 train ...) may be any subcommand's.
subcommands=$("$lockstep" --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
{
  for command in $subcommands; do "$lockstep" "$command" --help; done
  for what in "bench step" "bench allreduce" "bench loader" "bench checkpoint" "data pack" "data check"; do "$lockstep" $what --help; done
} >"$work/help" 2>&1
while read -r command words; do
  grep -qx "$command" <<<"$subcommands" || fail "there is no lockstep $command"
  for word in $(grep -oE -- '(^| )--[a-z-]+' <<<" $words"); do
    grep -qe "$word\b" "$work/help" || fail "lockstep $command $words: there is no option $word"
  done
done < <(grep -ohE '(^    [^ ]*|`|\| )lockstep [a-z]+ [^`#|]*' "${pages[@]}" | sed 's/^.*lockstep //' | sort -u)

words=$(wc -w <README.md)
[ "$words" -le 1000 ] || fail "README.md has $words words; a newcomer reads 900"
[ $failed = 0 ] && echo "README.md and docs/ say what is there"
exit $failed
