# `cowherd live` on the kernel at hand: tests run, are judged, and leave nobody behind; what it cannot do is skipped.
set -eu
[[ $(uname -s) == Linux ]] || exit 77
litmus=$COWHERD_SOURCE/litmus

"$COWHERD" probe >probe
grep -q '^Linux ' probe
"$COWHERD" probe --json | python3 -c 'import json, sys; assert all(o["remedy"] for o in json.load(sys.stdin)["offers"])'

# Without any device: every kernel has fork.
"$COWHERD" live "$litmus/basic" >basic || { cat basic; exit 1; }
grep -q '^Observation .* ok$' basic

# The test of 2020, where the kernel lets us pin.
status=0
"$COWHERD" live --judge "$litmus/fork-pin/pin-fork-write-dma.litmus" >pin || status=$?
if grep -q '^yes *io_uring' probe; then
  [[ $status == 0 ]] || { cat pin; exit 1; }
  grep -q '^Coverage exhaustive interleavings=' pin
else
  [[ $status == 4 ]] && grep -q '^Skip needs io_uring' pin
fi

# What no running kernel can show is a skip.
status=0
"$COWHERD" live "$litmus/reuse/page-lock-makes-a-copy.litmus" >skip || status=$?
[[ $status == 4 ]] && grep -q '^Skip ' skip

# One interleaving alone, some at random, as JSON; and one that is none.
cat >two.litmus <<'TEST'
COW two
{
  x = anon(1);
}
P0(page *x)
{
  thread(P1);
  WRITE_ONCE(*x, 2);
  r0 = READ_ONCE(*x);
}
P1(page *x)
{
  WRITE_ONCE(*x, 3);
}
exists (0:r0=3)
TEST
"$COWHERD" live two.litmus >two
grep -q '^Observation two Sometimes 1 2$' two
grep -q '^Coverage exhaustive interleavings=3$' two
"$COWHERD" live --schedule '0*2 1 0' two.litmus | grep -q '^Observation two Always 1 0$'
"$COWHERD" live --random 20 --seed 5 --format json two.litmus >first
"$COWHERD" live --random 20 --seed 5 --format json two.litmus | diff first -
status=0
"$COWHERD" live --schedule '1 0*3' two.litmus >wrong || status=$?
[[ $status == 2 ]] && grep -q 'block 1 cannot go on at step 1' wrong

# A controller that is killed leaves no process behind.
"$COWHERD" live --all --random 1000000 two.litmus >/dev/null 2>&1 && exit 1
"$COWHERD" live --random 100000000 two.litmus >/dev/null 2>&1 &
controller=$!
sleep 0.5
kill -KILL $controller
wait $controller 2>/dev/null || true
for _ in 1 2 3 4 5 6 7 8 9 10; do
  sleep 0.3
  left=$(pgrep -f -- '--random 100000000 two.litmus' || true)
  [[ -n $left ]] || break
done
[[ -z $left ]] || { echo "left behind: $left"; exit 1; }

# Which rules the kernel follows, and whether fork is safe.
"$COWHERD" fingerprint >fingerprint
grep -q '^Behaves as: ' fingerprint
grep -q '^Is fork safe with memory that a device has pinned?$' fingerprint
"$COWHERD" fingerprint --json | python3 -c 'import json, sys; assert json.load(sys.stdin)["tests"]'

# As C: one file, several tests, a case to each interleaving; it needs no cowherd.
cc=$(command -v cc || command -v gcc || command -v clang) || { echo "no C compiler: the C programs were not tried"; exit 0; }
"$COWHERD" live --emit-c "$litmus/fork-pin/pin-fork-write-dma.litmus" two.litmus -o test.c
"$cc" -Wall test.c -o test_c
./test_c >ktap || { cat ktap; exit 1; }
grep -q '^1\.\.4$' ktap
grep -q '^ok 4 two order ' ktap
# What should never happen, and does.
sed 's/^exists.*/~exists (0:r0=3)/' two.litmus >wrong.litmus
"$COWHERD" live --emit-c wrong.litmus >wrong.c
"$cc" wrong.c -o wrong_c
status=0
./wrong_c >ktap || status=$?
[[ $status == 1 ]] && grep -q '^not ok ' ktap && grep -q '^# 0:r0 = 3$' ktap
