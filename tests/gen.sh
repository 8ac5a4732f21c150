# Generated tests are sound: canonical, each in a file of its name, and never a finding under cowherd's own rules.
set -u
"$COWHERD" gen --seed 11 --count 200 -o random || exit 1
"$COWHERD" fmt --check random || exit 1
"$COWHERD" check --no-minimise random >out || { grep -v ' ok$' out; exit 1; }
for file in random/*.litmus; do
  [[ $(head -1 "$file") == "COW $(basename "$file" .litmus)" ]] || { echo "$file is called otherwise"; exit 1; }
done

"$COWHERD" gen --enumerate 3 -o all || exit 1
"$COWHERD" check all >out || { grep -v ' ok$' out; exit 1; }
# Among all programs of three operations are those that tell the kernel with the bug from the one without.
"$COWHERD" check --no-minimise --rules linux-5.9 all >with 2>/dev/null
"$COWHERD" check --no-minimise --rules sketch all >sketch 2>/dev/null
grep -q 'PFD.* ok$' with && ! grep -q '^Observation PFD.* ok$' sketch || { grep PFD with sketch; exit 1; }
"$COWHERD" gen --seed 3 | "$COWHERD" check - >/dev/null 2>&1
