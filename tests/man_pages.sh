# The man pages are well formed, and cowherd(1) and the program's own --help name the same verbs and long options.
set -eu
pages=$COWHERD_SOURCE/docs/man
if command -v mandoc >/dev/null; then
  mandoc -Tlint -Wwarning "$pages"/*.[1-8]
  mandoc -Tascii -O width=1000 "$pages"/cowherd.1 | sed 's/.\x08//g' >page
else
  echo "mandoc is not here: the pages were not checked"
  exit 77
fi

# The options of a page or a help text, one to a line.
options() { grep -oE -- '(^|[^[:alnum:]-])--[a-z][a-z-]*' | grep -oE -- '--[a-z][a-z-]*' | sort -u; }

"$COWHERD" --help >help
verbs=$(sed -n 's/^ *\.It Cm \([a-z]*\)$/\1/p' "$pages/cowherd.1")
[ -n "$verbs" ]
for verb in $verbs; do
  grep -qE "^ +$verb( |$)" help || { echo "the program has no verb $verb"; exit 1; }
  "$COWHERD" "$verb" --help >>help
done
options <help >from-help
options <page >from-page
if ! diff from-help from-page >difference; then
  echo "options that only --help (<) or only cowherd(1) (>) names:"
  cat difference
  exit 1
fi

# cowherd-rules(7) names every decision, and every value that some rule set has; and no decision that there is not.
"$COWHERD" rules --format json | grep -oE '"decisions":\{[^}]*\}' | grep -oE '"[a-z-]+":"[a-z-]+"' |
  sed 's/"\(.*\)":"\(.*\)"/\1=\2/' | sort -u >decisions
[ "$(wc -l <decisions)" -gt 18 ]
missing=0
while IFS='=' read -r decision value; do
  grep -qE "^\.It Li $decision =( [a-z-]+ \|)* $value( \||$)" "$pages/cowherd-rules.7" ||
    { echo "cowherd-rules(7) does not name $decision=$value"; missing=1; }
done <decisions
sed -n 's/^\.It Li \([a-z-]*\) = .*|.*/\1/p' "$pages/cowherd-rules.7" | sort -u >from-page
cut -d= -f1 decisions | sort -u | diff - from-page || missing=1
exit $missing
