# tools/refresh-catalogue: tests get between the marks, and what is not as it must be is said.
set -eu
tool=$COWHERD_SOURCE/tools/refresh-catalogue
export ROOT=$PWD
mkdir -p docs litmus/one litmus/two
printf '# All.\none/@all\ntwo/@all\n' >litmus/@all
printf '# What is first\n# (docs/swap.md).\n\n# a heading within\nb.litmus\na.litmus\n' >litmus/one/@all
printf '# What is second.\nc.litmus\n' >litmus/two/@all
for test in one/a one/b two/c; do
  printf 'COW %s\n"Text of %s | _x*"\n(* Result: Never *)\n(* Source: a mail,\n    in two lines *)\n{\n  x = anon;\n}\nP0() {}\n' \
    "${test#*/}" "$test" >"litmus/$test.litmus"
done
printf 'before\n<!-- tests: begin -->\nold\n<!-- tests: end -->\nafter\n' >docs/catalogue.md

status=0
"$tool" --check >changes || status=$?
[[ $status == 1 ]]
grep -q '^-old$' changes
"$tool"
"$tool" --check
[[ $(head -n 1 docs/catalogue.md) == before && $(tail -n 1 docs/catalogue.md) == after ]]
grep -q '^3 tests in 2 families[.]$' docs/catalogue.md
grep -q '^What is first (\[swap.md\](swap.md))[.]$' docs/catalogue.md
grep -qF '| [a](../litmus/one/a.litmus) | Text of one/a \| \_x\* | a mail, in two lines |' docs/catalogue.md
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
printf 'c.litmus\n' >litmus/two/@all
refused 'two/@all: no comment'
printf '# What is second.\nc.litmus\n' >litmus/two/@all
sed -i '$d' litmus/@all
refused 'litmus/@all: no two'
printf 'two/@all\n' >>litmus/@all
sed -i.whole 2d litmus/two/c.litmus
refused 'two/c: no line of text'
mv litmus/two/c.litmus.whole litmus/two/c.litmus
echo 'no marks' >docs/catalogue.md
refused 'no place for tables'
