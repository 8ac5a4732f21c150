# The catalogue under cowherd's own rules has no finding, and no published statement about any kernel is contradicted.
set -u
"$COWHERD" check -q "$COWHERD_SOURCE/litmus" || exit 1
# All rows once is enough: in the release build.
[[ -z ${COWHERD_SANITIZE:-} ]] || exit 0
"$COWHERD" matrix "$COWHERD_SOURCE/litmus" >out
status=$?
((status == 0)) || { sed -n '/ rule sets: /,$p' out; exit 1; }
# What is a row with a change, and so no column of its own there.
readarray -t variants < <("$COWHERD" rules | sed -n 's/^\([a-z0-9.-]*\) .* (a variant of .*/--rules=\1/p')
((${#variants[@]} > 9)) || { echo "few variants: ${variants[*]}"; exit 1; }
"$COWHERD" check -q --judge "${variants[@]}" "$COWHERD_SOURCE/litmus" >out || { grep -E ' (FAIL|XPASS)' out; tail -n 1 out; exit 1; }
