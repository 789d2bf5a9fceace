# Completion of lockstep for bash: subcommands, then the options that the subcommand's help names, then files.
_lockstep() {
  local word=${COMP_WORDS[COMP_CWORD]} words command=
  for words in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $words in train | eval | inspect | stop | data | plan | bench | launch | drill) command=$words ;; esac
  done
  if [ -z "$command" ] || { [ "$command" = launch ] && [[ $word != -* ]]; }; then
    words=$("${COMP_WORDS[0]}" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
  elif [[ $word == -* ]]; then
    words=$("${COMP_WORDS[0]}" "$command" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*')
  else
    words=
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word"; compgen -f -- "$word")
}
complete -o filenames -F _lockstep lockstep
