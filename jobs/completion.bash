# Completion of lockstep for bash: subcommands, then the options that the subcommand's help names, then files.
_lockstep() {
  local word=${COMP_WORDS[COMP_CWORD]} command= commands other words=
  commands=$("${COMP_WORDS[0]}" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
  for other in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    ! grep -qxF -e "$other" <<<"$commands" || command=$other
  done
  if [ -z "$command" ] || { [ "$command" = launch ] && [[ $word != -* ]]; }; then
    words=$commands
  elif [[ $word == -* ]]; then
    words=$("${COMP_WORDS[0]}" "$command" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*')
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word"; compgen -f -- "$word")
}
complete -o filenames -F _lockstep lockstep
