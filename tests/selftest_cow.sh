# The table in docs/live.md beside the kernel's selftest `cow`: each test of the catalogue that it names is there, and ends as
# it should under today's rules and on the kernel at hand, where that can run it.
set -eu
[[ $(uname -s) == Linux ]] || exit 77
litmus=$COWHERD_SOURCE/litmus
sed -n "/^## Beside the kernel's own selftest/,/^## As C/p" "$COWHERD_SOURCE/docs/live.md" | grep '^| ' | tail -n +2 >table
[[ $(wc -l <table) -ge 20 ]]

cut -d'|' -f3- table | grep -oE '[a-z-]+/[a-z0-9-]+' | sort -u >named
files=()
while read -r name; do
  [[ -f $litmus/$name.litmus ]] || { echo "$name: no such test"; exit 1; }
  files+=("$litmus/$name.litmus")
done <named
[[ ${#files[@]} -ge 20 ]]

"$COWHERD" check --rules linux-7.1 "${files[@]}" >check || { cat check; exit 1; }
status=0
"$COWHERD" live --judge "${files[@]}" >live || status=$?
[[ $status == 0 || $status == 4 ]] || { cat live; exit 1; }
! grep -q ' FAIL' live

# Its cases are those of a cow.c that is given.
[[ -n ${COW_SELFTEST:-} ]] || { echo "no COW_SELFTEST: the names of the cases were not compared"; exit 0; }
grep -oE '^	{1,2}"[^"]+",$' "$COW_SELFTEST" | sed 's/^	*"//; s/",$//' | grep -v collapsing | sort -u >upstream
cut -d'|' -f2 table | sed 's/^ //; s/ $//; s/ (zero page)$//; s/ (memfd, file)$//' | sort -u | diff upstream -
