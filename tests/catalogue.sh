# The catalogue under cowherd's own rules has no finding, and no published statement about any kernel is contradicted.
set -u
"$COWHERD" check -q "$COWHERD_SOURCE/litmus" || exit 1
# All rows once is enough: in the release build.
[[ -z ${COWHERD_SANITIZE:-} ]] || exit 0
"$COWHERD" matrix "$COWHERD_SOURCE/litmus" >out
status=$?
((status == 0)) || { sed -n '/ rule sets: /,$p' out; exit 1; }
"$COWHERD" check -q --judge --rules all "$COWHERD_SOURCE/litmus"
