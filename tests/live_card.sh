# `cowherd live` with memory that a graphics card holds, by a stand-in for the driver's library: whether the right things
# are asked for in the right process, whether what comes back is judged, and what is said where there is no card.
set -eu
[[ $(uname -s) == Linux ]] || exit 77
cc=$(command -v cc || command -v gcc || command -v clang) || { echo "no C compiler"; exit 77; }
litmus=$COWHERD_SOURCE/litmus
test=$litmus/fork-pin/pin-fork-alive-write-dma.litmus

# Where the machine has no driver, that is the reason.
if ! ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1' && [[ -z ${LD_LIBRARY_PATH:-} ]]; then
  status=0
  "$COWHERD" live --pin-by cuda "$test" >none || status=$?
  [[ $status == 4 ]] && grep -q '^Skip needs cuda: libcuda.so.1: ' none
  "$COWHERD" fingerprint >none
  grep -A1 '^Is fork safe with memory that CUDA has registered' none | grep -q '^Not known: needs cuda: libcuda.so.1: '
fi

"$cc" -Wall -Wextra -Werror -shared -fPIC -o libcuda.so.1 "$COWHERD_SOURCE/tests/stand-in/cuda.c"
export LD_LIBRARY_PATH=$PWD${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
# A sanitizer's allocator does not give back what it never took.
export ASAN_OPTIONS=${ASAN_OPTIONS:-}${ASAN_OPTIONS:+:}detect_leaks=0

"$COWHERD" probe >probe
grep -A1 '^yes *cuda ' probe | grep -q 'a stand-in, not a card, compute capability 9.0, CUDA 12.4$'

# One registration, one load, both in the process that holds the memory; the card's programs find the word by the
# address that the driver gave for it.
STAND_IN_LOG=$PWD/log "$COWHERD" live --pin-by cuda "$test" >pin || { cat pin; exit 1; }
grep -q '^Here d holds as the card' pin
grep -q '^Observation .* Never 0 1$' pin
# The last two lines are the test's, those before it the probe's.
[[ $(tail -n 2 log | awk '{ print $1 }' | paste -sd' ') == 'hold load' ]]
[[ $(tail -n 2 log | awk '{ print $2, $4 }' | sort -u | wc -l) == 1 ]]
[[ $(head -n 4 log | awk '{ print $1 }' | paste -sd' ') == 'hold load store release' ]]

# A family, one operation at a time and several at the same time; what a card cannot hold is skipped.
status=0
# (Whether the kernel copies a page because it is held no stand-in can show.)
"$COWHERD" live --judge --pin-by cuda "$litmus"/fork-pin/pin-{fork-*,vfork-*,outlives-*}.litmus >family || status=$?
[[ $status == 0 ]] || { cat family; exit 1; }
grep -q '^Skip .*a card lets go of what a process has when that one ends' family
[[ $(grep -c '^Observation .*-dma.* ok$' family) -ge 9 ]]
"$COWHERD" live --free 10 --pin-by cuda "$test" >free
grep -q '^Observation .* Never 0 10$' free

# A card whose page is no longer the process's is found out.
status=0
STAND_IN_STALE=1 "$COWHERD" live --pin-by cuda "$test" >stale || status=$?
[[ $status == 1 ]] && grep -q '^Finding: wrong COW: stale DMA$' stale
STAND_IN_STALE=1 "$COWHERD" fingerprint >stale
grep -A1 '^Is fork safe with memory that CUDA has registered' stale | grep -q '^No: '
# It is the driver's doing: the kernel's rules are told as without it.
"$COWHERD" fingerprint >kept
diff <(grep '^Behaves as' stale) <(grep '^Behaves as' kept)
grep -A2 '^Is fork safe with memory that CUDA has registered' kept | grep -q '^Yes, '
STAND_IN_STALE=1 "$COWHERD" fingerprint --json |
  python3 -c 'import json, sys; cuda = json.load(sys.stdin)["cuda"]; assert cuda["safe"] is False and cuda["tests"] == 5'

# What the driver refuses is no answer of the kernel's; a page that is not there is.
for call in cuInit cuMemHostRegister cuLaunchKernel; do
  STAND_IN_FAILS=$call "$COWHERD" probe | grep -A1 '^no *cuda ' | grep -q " $call: CUDA_ERROR_"
done
cat >hole.litmus <<'TEST'
COW hole
{
  x = anon[2](1);
  d = device;
}
P0(page *x, dev *d)
{
  munmap(x[1]);
  r0 = pin(d, x, FOLL_WRITE | FOLL_LONGTERM);
  unpin(d);
  munmap(x[0]);
  r1 = pin(d, x[0], FOLL_WRITE | FOLL_LONGTERM);
}
forall (0:r0=1 /\ 0:r1=-EFAULT)
TEST
"$COWHERD" live --pin-by cuda hole.litmus >hole || { cat hole; exit 1; }
# Pins for reading, which not every card has.
cat >reading.litmus <<'TEST'
COW reading
{
  x = anon(1) PROT_READ;
  d = device;
}
P0(page *x, dev *d)
{
  pin(d, x, FOLL_LONGTERM);
  r0 = dma_read(d);
}
forall (0:r0=1)
TEST
"$COWHERD" live --pin-by cuda reading.litmus >reading || { cat reading; exit 1; }
status=0
STAND_IN_FAILS=READ_ONLY "$COWHERD" live --pin-by cuda reading.litmus >reading || status=$?
[[ $status == 4 ]] && grep -q '^Skip cuMemHostRegister: CUDA_ERROR_NOT_SUPPORTED' reading
