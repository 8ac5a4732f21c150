# The file checker finds each kind of fault, and a long file that says why passes.
set -eu
check="$COWHERD_SOURCE/tools/check-files"
mkdir -p p/src
cd p
git init -q . 2>/dev/null || true

expect() {
  if python3 "$check" "$PWD" >out 2>&1; then echo "accepted: $1"; exit 1; fi
  grep -qF "$1" out || { echo "wanted: $1"; cat out; exit 1; }
  rm -f src/*
}
printf 'int a;\n' >src/a.cpp
python3 "$check" "$PWD" >/dev/null
printf '// TO%s: later\n' DO >src/a.cpp
expect "src/a.cpp:1: mark of unfinished work"
printf 'TEST(A, DIS%s) {}\n' ABLED_B >src/a_test.cpp
expect "mark of unfinished work: DIS"
printf 'see /ho%s/me/x\n' me >src/a.md
expect "src/a.md:1: path of one machine"
printf 'int a; \n' >src/a.cpp
expect "src/a.cpp:1: blank at the end"
printf '\tint a;\n' >src/a.cpp
expect "src/a.cpp:1: tab"
printf 'int a;' >src/a.cpp
expect "no newline at the end"
seq -f '// %g' 501 >src/a.cpp
expect "longer than 500 lines"
{ echo "// Long file: one table."; seq -f '// %g' 501; } >src/a.cpp
rm -f out
python3 "$check" "$PWD" >/dev/null
