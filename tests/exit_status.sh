# Exit statuses are an interface: what each kind of outcome gives.
set -u
mail=$COWHERD_SOURCE/litmus/fork-pin/pin-fork-write-dma.litmus
failed=0

# gives STATUS ARGUMENT...: the command's exit status.
gives() {
  local wanted=$1 got
  shift
  "$COWHERD" "$@" >out 2>err </dev/null
  got=$?
  ((got == wanted)) || { echo "cowherd $*: status $got, wanted $wanted"; cat out err; failed=1; }
}

cat >unknown.litmus <<'END'
COW unknown
{ x = anon(1); }
P0() { no_such_statement(); }
END
cat >informal.litmus <<'END'
COW informal
{ x = anon(1); }
P0(page *x) { r0 = READ_ONCE(*x); }
exists (0:r0=1)
END
sed 's/informal/formal/; s/exists (0:r0=1)/forall (0:r0=2)/' informal.litmus >formal.litmus
# More interleavings than a moment is enough for.
{
  echo 'COW long'
  echo '{ x = anon(1); y = anon(1); z = anon(1); }'
  echo 'P0(page *x) { thread(P1); thread(P2); thread(P3); thread(P4); thread(P5);'
  for i in 1 2 3 4 5; do echo "WRITE_ONCE(*x, $((100 + i)));"; done
  echo '}'
  for p in 1 2 3 4 5; do
    echo "P$p(page *x, page *y, page *z) {"
    for i in 1 2 3 4 5; do echo "WRITE_ONCE(x.$((i % 4)), $((10 * p + i))); WRITE_ONCE(y.$((i % 4)), $((10 * p + i)));"; done
    echo '}'
  done
  echo 'exists (0:x=7777)'
} >long.litmus

gives 0 check "$mail"
gives 0 "$mail"
gives 0 check informal.litmus
gives 0 check --judge --rules linux-5.9-rc5 "$mail"
gives 0 check --judge --rules all "$mail"
gives 0 matrix --rules linux-5.9-rc5,linux-5.9 "$mail"
gives 0 rules
gives 0 --version
gives 0 check --help
gives 1 check --rules linux-5.9-rc5 "$mail"
gives 1 check formal.litmus
gives 1 fmt --check informal.litmus
gives 2 check nosuch.litmus
gives 2 check unknown.litmus
gives 2 check --rules nosuch "$mail"
gives 2 check --rules linux-5.9,reuse=nosuch "$mail"
gives 2 check --nosuch "$mail"
gives 2 nosuch
gives 2
gives 2 rules nosuch
gives 2 check .
gives 2 fmt nosuch.litmus
gives 2 check -o nosuch/out "$mail"
gives 4 check --judge --rules linux-5.9 informal.litmus
gives 5 check --max-states 2 "$mail"
gives 5 check --max-memory 1K "$mail"
gives 124 check --timeout 200ms --no-minimise long.litmus
grep -q '^Coverage partial timeout' out || { echo "no word of the time limit"; cat out; failed=1; }

# The worst of a batch wins; a definite answer is worse than an unfinished one, a wrong file worse than both.
gives 1 check --max-states 2 formal.litmus "$mail" --rules cowherd
gives 2 check formal.litmus nosuch.litmus
gives 0 check --judge --rules linux-5.9 informal.litmus "$mail"

# An interrupt ends the search and keeps what was found.
"$COWHERD" check --no-minimise "$mail" long.litmus >out 2>err </dev/null &
pid=$!
for _ in $(seq 100); do grep -q '^Observation pin-fork-write-dma' out && break; sleep 0.1; done
kill -TERM $pid
wait $pid
got=$?
((got == 130)) || { echo "interrupted: status $got, wanted 130"; cat out err; failed=1; }
grep -q '^Observation long Never 0 .*INTERRUPTED' out || { echo "no verdict of the interrupted test"; cat out; failed=1; }
exit $failed
