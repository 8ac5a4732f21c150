# Natively the explorer's points, its declarations of live locals and its scheduler are nothing: the production
# geometry's functions call the same things, no more of them by pointer, and are as long as those that come out of
# sources from which points and declarations have been taken. In the checked geometry they are not, so that the
# comparison is no blind eye. (Which register holds what and which block comes first may differ.)
set -u
[[ -z ${COWHERD_SANITIZE:-} && $COWHERD_BUILD == *release* && $(uname -m) == x86_64 ]] || exit 77
command -v objdump >/dev/null && command -v perl >/dev/null || exit 77

mkdir -p without
cp -r "$COWHERD_SOURCE/src" without/ || exit 1
compared=(fault write_protect_fault fork pin_fast clear areas)
for name in "${compared[@]}"; do
  perl -0pi -e 's/\bpoint\(system[^;]*\);//g; s/const Live \w+\([^;]*\);//g' "without/src/mm/$name.cpp"
done

# look OBJECT GEOMETRY: what its functions call, each name once; then how many calls go by pointer, and how many
# instructions there are.
look() {
  objdump -dr -C --no-show-raw-insn "$1" | awk -v geometry="$2" '
    /^[0-9a-f]+ <.*>:$/ { inside = index($0, geometry) != 0; next }
    /^Disassembly of section/ { inside = 0 }
    !inside { next }
    /R_X86_64_PL(T|C)32/ { sub(/^.*R_X86_64_PL(T|C)32[[:space:]]*/, ""); callees[$0] = 1; next }
    /R_X86_64/ { next }
    /^ *[0-9a-f]+:/ && !/nop|xchg +%ax,%ax/ { instructions++ }
    /(call|jmp) +\*/ { pointers++ }
    END { for (callee in callees) print callee | "sort"
          close("sort"); print "by pointer:", pointers + 0; print "instructions:", instructions + 0 }'
}
failed=0
for name in "${compared[@]}"; do
  "$CXX" -std=c++20 -O2 -DNDEBUG -w -I"$COWHERD_SOURCE/src" -I"$COWHERD_SOURCE/include" \
    -c "$COWHERD_SOURCE/src/mm/$name.cpp" -o with.o || exit 1
  "$CXX" -std=c++20 -O2 -DNDEBUG -w -Iwithout/src -I"$COWHERD_SOURCE/include" \
    -c "without/src/mm/$name.cpp" -o without.o || exit 1
  look with.o ProductionGeometry >with
  look without.o ProductionGeometry >without.txt
  length=$(sed -n 's/^instructions: //p' with)
  bare=$(sed -n 's/^instructions: //p' without.txt)
  echo "$name: $length instructions with points, $bare without"
  ((length >= 100)) || { echo "too few: the look sees nothing"; failed=1; }
  ((length * 100 <= bare * 105 && bare * 100 <= length * 105)) || { echo "$name.cpp: of another length"; failed=1; }
  diff <(grep -v ^instructions: with) <(grep -v ^instructions: without.txt) ||
    { echo "$name.cpp: points change what production code calls"; failed=1; }
  look with.o CheckedGeometry >with
  look without.o CheckedGeometry >without.txt
  cmp -s with without.txt && { echo "$name.cpp: the checked geometry has no points"; failed=1; }
done
exit $failed
