# Formatting keeps a test's meaning, and formatting twice changes nothing: for the whole catalogue.
set -eu
cp -r "$COWHERD_SOURCE/litmus" catalogue
find catalogue -name '*.litmus' | sort >names
"$COWHERD" fmt --write catalogue
find catalogue -name '*.litmus' | sort | cmp names -
find catalogue -name '*.litmus' -exec md5sum {} + | sort >once
"$COWHERD" fmt --write catalogue
find catalogue -name '*.litmus' -exec md5sum {} + | sort | cmp once -
"$COWHERD" fmt --check catalogue >differs
[ ! -s differs ]

# Hashes are of the canonical text: expectations, states and hashes all stay.
for folder in fork-pin sketch; do
  "$COWHERD" check -v --no-time "$COWHERD_SOURCE/litmus/$folder" >before
  "$COWHERD" check -v --no-time "catalogue/$folder" >after
  cmp before after
done

# By name, to stdout: exactly what --write left there.
one=$(head -1 names)
"$COWHERD" fmt "$COWHERD_SOURCE/litmus${one#catalogue}" | cmp "$one" -
"$COWHERD" fmt - <"$one" | cmp "$one" -

# --check names what is not canonical and touches nothing.
printf 'COW   crooked\n{x=anon(1);}\n// kept\nP0(page *x){r0=READ_ONCE(*x);}\nexists(0:r0=1)\n' >crooked.litmus
cp crooked.litmus copy
if "$COWHERD" fmt --check crooked.litmus >out; then exit 1; fi
echo crooked.litmus | cmp out -
cmp crooked.litmus copy
"$COWHERD" fmt crooked.litmus | grep -q '// kept'
