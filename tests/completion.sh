# The completion that the program writes for bash offers verbs, a verb's options, rule sets and files.
set -eu
"$COWHERD" completion bash >script
# shellcheck source=/dev/null
source ./script
touch one.litmus

# offers WORD...: what is offered for the last word of a command line.
offers() {
  # shellcheck disable=SC2034
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
  _cowherd
  echo " ${COMPREPLY[*]} "
}
wants() {
  local word=$1
  shift
  [[ $(offers "$@") == *" $word "* ]] || { echo "for $*: wanted $word, got $(offers "$@")"; exit 1; }
}
wants check cowherd ch
wants --rules cowherd check --ru
wants --rules cowherd matrix --
wants linux-5.9-rc5 cowherd check --rules linux-5.9
wants junit cowherd check --format j
wants one.litmus cowherd check o
[[ $(offers cowherd syntax --ru) != *--rules* ]] || { echo "offers an option of another verb"; exit 1; }

if command -v zsh >/dev/null; then
  "$COWHERD" completion zsh >_cowherd
  zsh -n _cowherd
fi
