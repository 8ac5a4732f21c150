# The bug of the mail, told to a reader of the mail.
set -u
mail=$COWHERD_SOURCE/litmus/fork-pin/pin-fork-write-dma.litmus
"$COWHERD" check --no-time --rules linux-5.9-rc5 "$mail" >out
[[ $? == 1 ]] || { cat out; exit 1; }
failed=0
while read -r line; do
  grep -qE -- "$line" out || { echo "missing: $line"; failed=1; }
done <<'END'
^Test pin-fork-write-dma Allowed$
^Rules linux-5\.9-rc5$
^Observation pin-fork-write-dma Always 1 0$
^Coverage exhaustive states=
^Expected Never \(Result:\): FAIL, expected Never; wrong COW: stale DMA$
^Finding: wrong COW: stale DMA$
^1\) P0/T0: pin\(d, x, FOLL_WRITE
^ +d holds frame [0-9]+ \(pin for writing\)$
^2\) P0/T0: fork\(P1\)
^ +0:x +frame [0-9]+ R/O dirty, refs 3, mapcount 2, pins 1, not exclusive$
^ +<== HERE: [a-z]
^3\) P0/T0: WRITE_ONCE\(\*x, 2\)
^4\) P0/T0: r0 = dma_read\(d\) -> 1   \(reference: 2\)$
^Broken: promise 2, write-pin: [A-Z]
^Decision: step 2, fork-pinned=share: [A-Z]
^minimal: no program with fewer operations shows it$
^replay: 0\*4=[0-9a-f]+
END
((failed == 0)) || cat out
"$COWHERD" check --rules linux-5.9 "$mail" >out 2>/dev/null || { echo "linux-5.9:"; cat out; failed=1; }
grep -q '^Observation pin-fork-write-dma Never 0 1$' out || failed=1
exit $failed
