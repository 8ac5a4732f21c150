# tools/refresh-catalogue: tests get between the marks and into the history, and what is not as it must be is said.
set -eu
tool=$COWHERD_SOURCE/tools/refresh-catalogue
export ROOT=$PWD
mkdir -p docs litmus/one litmus/two
printf '# All.\none/@all\ntwo/@all\n' >litmus/@all
printf '# What is first\n# (docs/swap.md).\n\n# a heading within\nb.litmus\na.litmus\n' >litmus/one/@all
printf '# What is second.\nc.litmus\n' >litmus/two/@all
declare -A rules=([one/a]='(* Rules: Always linux-5.9, none;
    Never linux-6.1 *)
' [one/b]='(* Rules: Never linux-2.6.12.. *)
')
for test in one/a one/b two/c; do
  {
    printf 'COW %s\n"Text of %s | _x*"\n(* Result: Never *)\n%s' "${test#*/}" "$test" "${rules[$test]-}"
    printf '(* Source: a mail,\n    in two lines; linux-cow-history\n    F1, M1t *)\n{\n  x = anon;\n}\nP0() {}\n'
  } >"litmus/$test.litmus"
done
printf 'before\n<!-- tests: begin -->\nold\n<!-- tests: end -->\nafter\n' >docs/catalogue.md
row() { printf '| %s | it goes wrong | 5.9 | %s|\n' "$1" "${2-}"; }
{
  printf 'before\n<!-- history: begin -->\n| entry | what | where | tests |\n|---|---|---|---|\n'
  row F1
  row M1t 'old '
  printf '<!-- history: end -->\nafter\n'
} >docs/history.md

status=0
"$tool" --check >changes || status=$?
[[ $status == 1 ]]
grep -q '^-old$' changes
"$tool"
"$tool" --check
[[ $(head -n 1 docs/catalogue.md) == before && $(tail -n 1 docs/catalogue.md) == after ]]
grep -q '^3 tests in 2 families[.]$' docs/catalogue.md
grep -q '^What is first (\[swap.md\](swap.md))[.]$' docs/catalogue.md
grep -qF '| [a](../litmus/one/a.litmus) | Text of one/a \| \_x\* | a mail, in two lines; linux-cow-history F1, M1t |' docs/catalogue.md
link() { printf '[%s](../litmus/%s.litmus)' "$1" "$1"; }
found="*5.9, none*: $(link one/a)<br>*nowhere*: $(link one/b)<br>*not stated*: $(link two/c) "
[[ $(grep -c '^before$\|^after$' docs/history.md) == 2 ]]
diff <(grep '^| [FM]' docs/history.md) <(row F1 "$found"; row M1t "$found")
[[ $(grep -o '^| \[[a-c]' docs/catalogue.md | tr -d '\n') == '| [b| [a| [c' ]]

# refused PATTERN: the tool says so, and changes nothing.
refused() {
  local status=0
  cp docs/catalogue.md kept
  "$tool" 2>error || status=$?
  [[ $status == 1 ]] || { echo "not refused: $1"; exit 1; }
  grep -q "$1" error || { cat error; exit 1; }
  cmp docs/catalogue.md kept
}
mv litmus/one/a.litmus a
refused 'one/@all: .*a.litmus'
mv a litmus/one/a.litmus
cp litmus/one/a.litmus litmus/one/d.litmus
refused 'one/@all: .*d.litmus'
rm litmus/one/d.litmus
cp litmus/two/@all all
echo a.litmus >>litmus/two/@all
cp litmus/one/a.litmus litmus/two/a.litmus
refused 'one/a and two/a have one name'
rm litmus/two/a.litmus
mv all litmus/two/@all
printf 'c.litmus\n' >litmus/two/@all
refused 'two/@all: no comment'
printf '# What is second.\nc.litmus\n' >litmus/two/@all
sed -i '$d' litmus/@all
refused 'litmus/@all: no two'
printf 'two/@all\n' >>litmus/@all
sed -i.whole 2d litmus/two/c.litmus
refused 'two/c: no line of text'
mv litmus/two/c.litmus.whole litmus/two/c.litmus
sed -i.whole '/^| M1t/d' docs/history.md
refused 'history.md: no line for M1t (one/b, one/a, two/c)'
mv docs/history.md.whole docs/history.md
row F2 | sed -i.whole '/^| M1t/r /dev/stdin' docs/history.md
refused 'history.md: no test.*| F2 |'
mv docs/history.md.whole docs/history.md
echo 'no marks' >docs/catalogue.md
refused 'no place for tables'
