# What a finding says about seeing it again is true: by file, by string, and not under other rules.
set -u
mail=$COWHERD_SOURCE/litmus/fork-pin/pin-fork-write-dma.litmus
"$COWHERD" check --rules linux-5.9-rc5 --traces traces "$mail" >found 2>/dev/null
[[ $? == 1 ]] || exit 1
trace=$(ls traces/*.trace) || exit 1

"$COWHERD" check --replay "$trace" >again
[[ $? == 1 ]] || { cat again; exit 1; }
grep -q '^Finding: wrong COW: stale DMA$' again || { cat again; exit 1; }
# Step by step the same states, marks at the margin aside.
steps() { sed -n '/^   at first/,/^Broken\|^Finding/p' "$1" | grep -E '^ *([0-9]+\)|[0-9]:x|d holds)'; }
diff <(steps found) <(steps again) || exit 1
[[ $(steps again | wc -l) -gt 5 ]] || exit 1

# The string, with the smallest test in a file, exactly as the report says.
schedule=$(sed -n 's/^replay: //p' found)
sed -n '/^The smallest test/,/^Trace under/p' found | sed '1d;$d' >smallest.litmus
[[ -s smallest.litmus ]] || cp "$mail" smallest.litmus
"$COWHERD" check --rules linux-5.9-rc5 --replay "$schedule" smallest.litmus >again
[[ $? == 1 ]] || { cat again; exit 1; }
grep -q '^Finding: wrong COW: stale DMA$' again || { cat again; exit 1; }

# Other rules reach other states: that is no finding, and no success either.
"$COWHERD" check --rules cowherd --replay "$schedule" smallest.litmus >out 2>err
[[ $? == 3 ]] || { cat out err; exit 1; }
grep -q '^cowherd: replay diverged: ' err || { cat err; exit 1; }

"$COWHERD" check --replay 'not a schedule' smallest.litmus >out 2>err
[[ $? == 2 ]] || { cat out err; exit 1; }
sed 's/^schedule:.*/schedule: 9*9/' "$trace" >bad.trace
"$COWHERD" check --replay bad.trace >out 2>err
[[ $? == 2 || $? == 3 ]] || { cat out err; exit 1; }
