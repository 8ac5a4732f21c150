# Standard input, folders and index files.
set -eu
litmus=$COWHERD_SOURCE/litmus
"$COWHERD" check --no-time - <"$litmus/fork-pin/pin-fork-write-dma.litmus" >by-stdin
"$COWHERD" check --no-time "$litmus/fork-pin/pin-fork-write-dma.litmus" >by-name
cmp by-stdin by-name
[[ $(printf 'COW' | "$COWHERD" check - 2>&1 | head -1) == "standard input:1:"* ]]

mkdir -p folder/deep
cp "$litmus/fork-pin/pin-fork-write-dma.litmus" folder/deep/
cp "$litmus/fork-pin/pin-short-fork-write-dma.litmus" folder/
cp folder/*.litmus folder/not-a-test.txt
printf '# two tests\ndeep/pin-fork-write-dma.litmus\n\npin-short-fork-write-dma.litmus\n' >folder/@all
"$COWHERD" check folder >by-folder
"$COWHERD" check folder/@all >by-index
"$COWHERD" check @folder/@all >by-at
(cd folder && "$COWHERD" check @all) >by-relative-index
for other in by-index by-at by-relative-index; do cmp by-folder $other; done
grep -c '^Observation' by-folder | grep -qx 2

# The catalogue's own index names every test in it. In one family the sanitizers see as much of that.
all=$litmus${COWHERD_SANITIZE:+/swap}
"$COWHERD" check "$all" | sort >all-by-folder
"$COWHERD" check "$all/@all" | sort >all-by-index
cmp all-by-folder all-by-index
