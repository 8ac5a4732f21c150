# Completion of cowherd for bash. Verbs and options come from the program's own --help, so they are never out of date.

_cowherd_words() {
  "$@" --help 2>/dev/null </dev/null
}

_cowherd() {
  local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local verb="" word
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word != -* ]]; then
      verb=$word
      break
    fi
  done
  COMPREPLY=()

  if [[ $previous == --rules ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$("$program" rules --names 2>/dev/null </dev/null)" -- "$current")
  elif [[ $previous == --format ]]; then
    mapfile -t COMPREPLY < <(compgen -W "text json ktap tap junit" -- "$current")
  elif [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_cowherd_words "$program" $verb |
      grep -oE -- '(^|[ ,])--[a-z][a-z-]*' | tr -d ' ,')" -- "$current")
  elif [[ -z $verb ]]; then
    mapfile -t COMPREPLY < <(compgen -W "check matrix rules fmt gen syntax" -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -o plusdirs -f -X '!*.litmus' -- "$current")
  fi
}
complete -F _cowherd cowherd ./cowherd
