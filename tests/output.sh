# What is written arrives whole, or the program says that it did not.
set -u
mail=$COWHERD_SOURCE/litmus/fork-pin/pin-fork-write-dma.litmus
"$COWHERD" check "$mail" >to-stdout 2>/dev/null
echo old >to-file
"$COWHERD" check -o to-file "$mail" >rest 2>/dev/null || exit 1
cmp to-stdout to-file || exit 1
[[ ! -s rest ]] || exit 1
[[ $(find . -type f | wc -l) == 3 ]] || { echo "left behind:"; ls; exit 1; }

if [[ -w /dev/full ]]; then
  "$COWHERD" check "$mail" >/dev/full 2>err
  [[ $? == 2 ]] || { echo "status of a full disk"; exit 1; }
  grep -q '^cowherd: cannot write standard output: No space left on device$' err || { cat err; exit 1; }
  "$COWHERD" rules >/dev/full 2>err
  [[ $? == 2 ]] || exit 1
fi
"$COWHERD" check -o nosuch/out "$mail" 2>err
[[ $? == 2 ]] || exit 1
grep -q '^cowherd: cannot write nosuch/out: No such file or directory$' err || { cat err; exit 1; }

# Not on a terminal: no progress, no colour, nothing that depends on the clock on stdout.
"$COWHERD" check "$mail" >again 2>err
cmp to-stdout again || exit 1
! grep -q $'\x1b' to-stdout err || exit 1
grep -q '^Time pin-fork-write-dma ' err || exit 1
"$COWHERD" check --no-time "$mail" 2>err >/dev/null
[[ ! -s err ]] || exit 1
"$COWHERD" check --time "$mail" 2>err | grep -q '^Time pin-fork-write-dma [0-9.]*$' || exit 1
[[ ! -s err ]] || exit 1
