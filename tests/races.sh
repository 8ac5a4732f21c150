# Each race is found under the rules that had it and under no others that its test names, in every interleaving of steps.
set -u
"$COWHERD" check -q --judge --rules stated "$COWHERD_SOURCE/litmus/races" || exit 1
# It takes steps to find it: with whole operations a fast pin cannot come between fork's question and its protection.
fast_pin=$COWHERD_SOURCE/litmus/races/fork-races-pin-and-write.litmus
"$COWHERD" check -q --rules cowherd,fork-sequence=none --grain op "$fast_pin" || exit 1
! "$COWHERD" check --rules cowherd,fork-sequence=none "$fast_pin" >found || { cat found; exit 1; }
grep -q '^Finding: wrong COW: stale DMA' found || { cat found; exit 1; }
