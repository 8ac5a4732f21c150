# Completion in bash offers verbs, the options of a verb and litmus files.
set -eu
source "$COWHERD_SOURCE/docs/completions/cowherd.bash"
touch one.litmus other.txt

# offers LINE...: what is offered for the last word.
offers() {
  COMP_WORDS=("$@")
  COMP_CWORD=$(($# - 1))
  _cowherd
  echo " ${COMPREPLY[*]} "
}
wants() {
  local word=$1
  shift
  [[ $(offers "$@") == *" $word "* ]] || { echo "for $*: wanted $word, got $(offers "$@")"; exit 1; }
}
wants check "$COWHERD" ch
wants --help "$COWHERD" check --he
wants --rules "$COWHERD" check --ru
wants one.litmus "$COWHERD" check o
[[ $(offers "$COWHERD" check o) != *other.txt* ]] || { echo "offers files that are no tests"; exit 1; }
wants json "$COWHERD" check --format j
