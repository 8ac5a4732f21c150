# The first verdict comes at once. Instrumented builds are not timed.
set -u
[[ -z ${COWHERD_SANITIZE:-} && $COWHERD_BUILD == *release* ]] || exit 77
mail=$COWHERD_SOURCE/litmus/fork-pin/pin-fork-write-dma.litmus
best=1000000
for _ in $(seq 20); do
  begin=${EPOCHREALTIME/./}
  "$COWHERD" check "$mail" >/dev/null 2>&1 || exit 1
  took=$((${EPOCHREALTIME/./} - begin))
  ((took < best)) && best=$took
done
echo "the fastest of 20: $best us from start to exit"
# The goal is 10 ms; a shared machine may be slow.
((best < 50000))
