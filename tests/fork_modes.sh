# However fork passes page tables on, what may be observed is the same: the catalogue is as expected with shared tables
# too, and random programs have no finding.
set -u
status=0
# Each of the programs once is enough: in the release build.
programs=3000 step_programs=300
[[ -z ${COWHERD_SANITIZE:-} ]] || programs=300 step_programs=30
# Its condition asks for the copy that a write makes while somebody holds the page lock. Where the child gives back a
# whole shared table, the page is its first owner's alone again, by its mark, and no lock is asked for.
saved=(reuse/page-lock-makes-a-copy.litmus)
# Who shares a table shares what it maps, of files too.
saved+=(files/shared-is-left-to-faults.litmus)
mkdir -p catalogue
cp -r "$COWHERD_SOURCE/litmus/." catalogue
for test in "${saved[@]}"; do
  [[ -f catalogue/$test ]] || { echo "no test $test"; exit 1; }
  rm "catalogue/$test"
done
find catalogue -name '*.litmus' >tests
"$COWHERD" gen --seed 20261122 --count $programs --max-ops 12 -o random >/dev/null || exit 1
"$COWHERD" gen --seed 20261122 --count $step_programs --max-ops 7 -o steps >/dev/null || exit 1
for mode in leaves subtrees; do
  xargs "$COWHERD" check -q --fork $mode <tests >out 2>&1 || { echo "catalogue, $mode:"; grep -v ' ok$' out; status=1; }
  "$COWHERD" check -q --fork $mode random >out 2>&1 || { echo "random programs, $mode:"; tail -40 out; status=1; }
  "$COWHERD" check -q --fork $mode --grain step --preemptions 2 steps >out 2>&1
  grep -q '; 0 findings' out || { echo "random programs at step grain, $mode:"; tail -40 out; status=1; }
done
exit $status
