# One bad file hides no other, wherever it stands; results are on stdout, complaints on stderr.
set -u
litmus=$COWHERD_SOURCE/litmus/fork-pin
printf 'COW broken\n{ x = anom(1); }\nP0() { exit(); }\n' >broken.litmus
head -c 100000 /dev/zero >zeros.litmus
: >empty.litmus
mkdir empty
"$COWHERD" check nosuch.litmus "$litmus/pin-fork-write-dma.litmus" broken.litmus empty zeros.litmus empty.litmus \
  "$litmus/pin-short-fork-write-dma.litmus" >out 2>err
[[ $? == 2 ]] || { echo "status"; exit 1; }
cat >wanted <<'END'
Error nosuch.litmus
Observation pin-fork-write-dma Never 0 1  cowherd ok
Error broken.litmus
Error zeros.litmus
Error empty.litmus
Observation pin-short-fork-write-dma Never 0 1  cowherd ok
END
head -6 out | diff wanted - || exit 1
grep -q '^nosuch.litmus: error: No such file or directory$' err || { cat err; exit 1; }
grep -q "^broken.litmus:2:7: error: .*did you mean 'anon'" err || { cat err; exit 1; }
grep -q '^  *\^' err || { echo "no caret"; cat err; exit 1; }
grep -q '^cowherd: empty: ' err || { cat err; exit 1; }
grep -q '^zeros.litmus:' err || { cat err; exit 1; }

# A batch is a line to a test and a sum; -v is the whole verdict, -q only what differs.
"$COWHERD" check "$litmus" >out 2>err || { cat out err; exit 1; }
tests=$(find "$litmus" -name '*.litmus' | wc -l)
[[ $(grep -c '^Observation ' out) == "$tests" ]] || { cat out; exit 1; }
[[ $(wc -l <out) == $((tests + 1)) ]] || { cat out; exit 1; }
tail -1 out | grep -q "^Summary: $tests tests, $tests runs: $tests as expected; 0 findings, [0-9]* states$" || exit 1
[[ ! -s err ]] || { echo "stderr of a batch:"; cat err; exit 1; }
"$COWHERD" check -v "$litmus" 2>/dev/null | grep -c '^Coverage exhaustive' | grep -qx "$tests" || exit 1
[[ $("$COWHERD" check -q "$litmus" | wc -l) == 1 ]] || exit 1
