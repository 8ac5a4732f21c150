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

# Pages that leave memory and pages that are merged, where that can be had; and the machine is then as it was.
swaps=$(cat /proc/swaps)
merging=$(cat /sys/kernel/mm/ksm/run /sys/kernel/mm/ksm/sleep_millisecs 2>/dev/null || true)
pool=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
pages=$(cat $pool 2>/dev/null || true)
for pair in swap:swap/swap-out-and-in ksm:ksm/fork-of-merged ksm-zero:ksm/zeros-are-written-again \
  secret:secret/secret-pin-write hugetlb:hugetlb/cow-with-empty-pool userfaultfd:userfault/missing-write-waits \
  userfault-wp:userfault/wp-write-waits userfault-minor:userfault/minor-write-waits \
  userfault-move:userfault/move-fills userfault-events:userfault/wp-fork-with-event \
  userfault-kernel:userfault/mlock-waits; do
  status=0
  "$COWHERD" live "$litmus/${pair#*:}.litmus" >"${pair%%:*}" || status=$?
  # One of the pool's tests wants a pool of a certain size, which root alone can make.
  if grep -q "^yes *${pair%%:*} " probe && ! { [[ ${pair%%:*} == hugetlb && ! -w $pool ]]; }; then
    [[ $status == 0 ]] || { cat "${pair%%:*}"; exit 1; }
    grep -q '^Coverage exhaustive interleavings=' "${pair%%:*}"
  else
    [[ $status == 4 ]] && grep -q "^Skip \(needs \(${pair%%:*}\|ksm\|userfault[a-z-]*\): \|no free huge pages\)" "${pair%%:*}"
  fi
done
[[ $(cat /proc/swaps) == "$swaps" ]]
[[ $(cat /sys/kernel/mm/ksm/run /sys/kernel/mm/ksm/sleep_millisecs 2>/dev/null || true) == "$merging" ]]
[[ $(cat $pool 2>/dev/null || true) == "$pages" ]]

# Memory that is registered for RDMA; and no device stays behind.
devices=$(ls /sys/class/infiniband 2>/dev/null || true)
status=0
"$COWHERD" live --judge --pin-by rdma "$litmus/fork-pin/pin-fork-write-dma.litmus" >rdma || status=$?
if grep -q '^yes *rdma ' probe; then
  [[ $status == 0 ]] || { cat rdma; exit 1; }
  grep -q '^Coverage exhaustive interleavings=' rdma
else
  [[ $status == 4 ]] && grep -q '^Skip needs rdma: ' rdma
fi
[[ $(ls /sys/class/infiniband 2>/dev/null || true) == "$devices" ]]

# Whom nobody helps waits, and the test ends all the same; what waits, and when it looks again, is in the schedule.
if grep -q '^yes *userfaultfd ' probe; then
  "$COWHERD" live "$litmus/userfault/missing-and-nobody-comes.litmus" >waits
  grep -q '^Observation missing-and-nobody-comes Always 1 0$' waits
  grep -q '^Coverage exhaustive interleavings=1$' waits
  "$COWHERD" live --schedule '0*3 1 0' "$litmus/userfault/missing-write-waits.litmus" |
    grep -q '^Observation missing-write-waits Always 1 0$'
fi

# A quiet batch counts what it skips.
status=0
"$COWHERD" live -q "$litmus/files/file-out-of-memory.litmus" "$litmus/basic/parent-write-unseen.litmus" >quiet || status=$?
[[ $status == 0 ]] && grep -q '^Skipped 1: an allocation cannot be chosen to fail: its number differs from kernel to kernel$' quiet
[[ $(wc -l <quiet) == 2 ]]

# Random programs beside a rule set: what was found until the time is over is said.
status=0
"$COWHERD" live --against linux-7.1 --random 1000000 --timeout 2 >against || status=$?
[[ $status == 124 || $status == 1 || $status == 4 ]]
grep -q '^Ended by --timeout$' against && grep -q '^Summary: [0-9]* programs against linux-7.1, ' against
"$COWHERD" live --against linux-7.1 --random 1000000 >against &
sleep 2
kill -TERM $!
status=0
wait $! || status=$?
[[ $status == 130 || $status == 1 ]]
grep -q '^Interrupted$' against && grep -q '^Summary: ' against

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

# Blocks at the same time: every run is counted, and an end that the rules know is no finding.
"$COWHERD" live --free 30 two.litmus >free
grep -q '^Coverage partial runs interleavings=30$' free
[[ $(sed -n 's/^\([0-9]*\) *:>.*/\1/p' free | paste -sd+ | bc) == 30 ]]
! grep -q '^Finding' free
status=0
"$COWHERD" live --free 30 --all two.litmus 2>wrong || status=$?
[[ $status == 2 ]] && grep -q -- '--free: not with' wrong

loop_devices() { losetup -a 2>/dev/null | wc -l; }
# killed_leaves_nothing FILE SECONDS: a controller that is killed so long after its start leaves no process and no loop
# device behind.
killed_leaves_nothing() {
  local before left controller
  before=$(loop_devices)
  "$COWHERD" live --random 100000000 "$1" >/dev/null 2>&1 &
  controller=$!
  sleep "$2"
  kill -KILL $controller
  wait $controller 2>/dev/null || true
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    sleep 0.3
    left=$(pgrep -f -- "--random 100000000 $1" || true)
    [[ -n $left || $(loop_devices) -gt $before ]] || return 0
  done
  echo "left behind by $1: ${left:-loop devices}"
  return 1
}

# A controller that is killed leaves nothing behind.
"$COWHERD" live --all --random 1000000 two.litmus >/dev/null 2>&1 && exit 1
killed_leaves_nothing two.litmus 0.5

# Nor does one that is killed while a disk holds a page, where there is such a disk.
if grep -q '^yes *direct-io' probe; then
  cat >transfer.litmus <<'TEST'
COW transfer
{
  x = anon(1);
  d = device;
}
P0(page *x, dev *d)
{
  pin(d, x, 0);
  fork(P1);
  WRITE_ONCE(*x, 2);
  r0 = dma_read(d);
}
P1(page *x)
{
  r0 = READ_ONCE(*x);
}
~exists (0:r0=1 \/ 1:r0=2)
TEST
  "$COWHERD" live transfer.litmus >transfer
  grep -q '^Observation transfer Never ' transfer
  killed_leaves_nothing transfer.litmus 1
else
  grep -A2 '^no *direct-io' probe
fi

# Nor does one that is killed while it has a disk of its own.
if grep -q '^yes *disk ' probe; then
  "$COWHERD" live "$litmus/files/msync-of-a-part.litmus" >disk
  grep -q '^Observation msync-of-a-part Never 0 1$' disk
  cp "$litmus/files/msync-of-a-part.litmus" writing.litmus
  killed_leaves_nothing writing.litmus 1
else
  grep -A2 '^no *disk ' probe
fi

# Nor does one that is killed while it has borrowed swap.
if grep -q '^yes *swap ' probe; then
  cp "$litmus/swap/swap-out-and-in.litmus" swapping.litmus
  killed_leaves_nothing swapping.litmus 1
  for _ in 1 2 3 4 5 6 7 8 9 10; do [[ $(cat /proc/swaps) == "$swaps" ]] || sleep 0.3; done
  [[ $(cat /proc/swaps) == "$swaps" ]]
fi

# Nor does one that is killed with the pool as large as its test says.
if [[ -w $pool ]] && grep -q '^yes *hugetlb ' probe; then
  cp "$litmus/hugetlb/cow-with-empty-pool.litmus" pooled.litmus
  killed_leaves_nothing pooled.litmus 1
  for _ in 1 2 3 4 5 6 7 8 9 10; do [[ $(cat $pool) == "$pages" ]] || sleep 0.3; done
  [[ $(cat $pool) == "$pages" ]]
fi

# Nor does one that is killed while a thread of its test waits for a handler.
if grep -q '^yes *userfaultfd ' probe; then
  cp "$litmus/userfault/missing-write-waits.litmus" waiting.litmus
  killed_leaves_nothing waiting.litmus 0.5
fi

# Which rules the kernel follows, and whether fork is safe.
"$COWHERD" fingerprint >fingerprint
grep -q '^Behaves as: ' fingerprint
grep -q '^Is fork safe with memory that a device has pinned?$' fingerprint
grep -A3 '^Is fork safe with memory that is registered for RDMA' fingerprint | grep -q '^\(Yes, \|No: \|Not tried: \)'
"$COWHERD" fingerprint --json | python3 -c '
import json, sys
said = json.load(sys.stdin)
assert said["tests"]
rdma = said["rdma"]
assert rdma["device"] and rdma["kernel_says_copy_on_fork"] in (True, False, None)
assert (rdma["tests"] == 0) == (rdma["safe"] is None)'

# Under a second kernel, where there is one: what the guest says, and its exit status. A guest that cannot be had.
status=0
"$COWHERD" probe --vm nosuch 2>missing || status=$?
[[ $status == 2 ]] && grep -q '^cowherd: nosuch: no such kernel$' missing
if uml=$(command -v linux.uml); then
  "$COWHERD" live --uml "$uml" two.litmus -o guest
  grep -q '^Rules live-linux-' guest && grep -q '^Observation two Sometimes 1 2$' guest
  status=0
  "$COWHERD" live --uml "$uml" --schedule '1 0*3' two.litmus >wrong || status=$?
  [[ $status == 2 ]] && grep -q 'block 1 cannot go on at step 1' wrong
else
  echo "no linux.uml (package user-mode-linux): a second kernel was not tried"
fi

# As C: one file, several tests, a case to each interleaving; it needs no cowherd.
cc=$(command -v cc || command -v gcc || command -v clang) || { echo "no C compiler: the C programs were not tried"; exit 0; }
"$COWHERD" live --emit-c "$litmus/fork-pin/pin-fork-write-dma.litmus" two.litmus -o test.c
"$cc" -Wall test.c -o test_c
./test_c >ktap || { cat ktap; exit 1; }
grep -q '^1\.\.4$' ktap
grep -q '^ok 4 two order ' ktap
# What the kernel does on the side: here there is no swap area, and what is skipped says so.
"$COWHERD" live --emit-c "$litmus/swap/swap-out-and-in.litmus" "$litmus/secret/secret-pin-write.litmus" \
  "$litmus/ksm/fork-of-merged.litmus" --limit 1 -o side.c
"$cc" -Wall -Werror side.c -o side_c
./side_c >ktap || true
grep -q '^1\.\.3$' ktap && ! grep -q '^not ok ' ktap
[[ $(wc -l </proc/swaps) -gt 1 ]] || grep -q '^# no swap area: ' ktap
# Files and huge pages.
"$COWHERD" live --emit-c "$litmus/files/private-write-is-private.litmus" "$litmus/files/truncate-takes-private-copies.litmus" \
  "$litmus/huge/writes-part-after-fork.litmus" --limit 3 -o more.c
"$cc" -Wall -Werror more.c -o more_c
./more_c >ktap || true
grep -q '^ok 1 private-write-is-private order ' ktap && ! grep -q '^not ok ' ktap
# Memory that is registered for RDMA, where there are the kernel's headers of it: with no device each case is skipped.
if echo '#include <rdma/rdma_user_rxe.h>' | "$cc" -E - >headers 2>&1; then
  "$COWHERD" live --emit-c --pin-by rdma "$litmus"/fork-pin/pin-fork-{write-dma,alive-dma-write}.litmus -o registered.c
  "$cc" -Wall -Werror registered.c -o registered_c
  ./registered_c >ktap || true
  grep -q '^1\.\.2$' ktap && ! grep -q '^not ok ' ktap
  [[ -n $devices ]] || grep -q '^# no soft-RoCE device: ' ktap
else
  echo "no rdma/rdma_user_rxe.h: C programs with RDMA were not tried"
fi
# What should never happen, and does.
sed 's/^exists.*/~exists (0:r0=3)/' two.litmus >wrong.litmus
"$COWHERD" live --emit-c wrong.litmus >wrong.c
"$cc" wrong.c -o wrong_c
status=0
./wrong_c >ktap || status=$?
[[ $status == 1 ]] && grep -q '^not ok ' ktap && grep -q '^# 0:r0 = 3$' ktap
