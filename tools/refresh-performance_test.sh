# tools/refresh-performance: figures and plots of one run get between the marks, and the rest of the document stays.
set -eu
[[ $(uname -s) == Linux ]] || exit 77
tool=$COWHERD_SOURCE/tools/refresh-performance
printf 'before\n\n<!-- figures: begin -->\nold\n<!-- figures: end -->\n\nafter\n' >performance.md
export DOCUMENT=$PWD/performance.md

"$tool" "$COWHERD" -q --size 4M --rounds 1 --rows 10,12,14
head -n 3 performance.md | diff - <(printf 'before\n\n<!-- figures: begin -->\n')
tail -n 3 performance.md | diff - <(printf '<!-- figures: end -->\n\nafter\n')
! grep -q '^old$' performance.md
grep -q '^This kernel: Linux' performance.md
grep -q "^This machine's pace is " performance.md
grep -q '^| 10 | mprotect of everything | ns/PTE | [0-9]' performance.md
grep -q '^| 14 | fork of a 2 MiB mapping | ns | [0-9n]' performance.md
grep -q '(performance/fork-size.svg)' performance.md
python3 -c 'import xml.etree.ElementTree as tree; tree.parse("performance/fork-size.svg")'
[[ $(grep -c '^|' performance.md) == 6 ]]

# A document without marks, a program that fails: nothing is changed.
cp performance.md good.md
status=0
"$tool" "$COWHERD" -q --rows no-such-row 2>error || status=$?
[[ $status == 2 ]]
diff performance.md good.md
echo 'no marks' >performance.md
! "$tool" "$COWHERD" -q --size 4M --rounds 1 --rows 14 2>error
grep -q 'no place for figures' error
