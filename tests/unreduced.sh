# States that the explorer takes for one are one: told apart by their raw stacks they show the same outcomes and
# findings. A local that an operation needs and does not declare would be seen here.
set -u
programs=3000
[[ -z ${COWHERD_SANITIZE:-} ]] || programs=60
"$COWHERD" gen --seed 10000 --count $programs --max-ops 7 -o random >/dev/null || exit 1
for rules in cowherd linux-5.8 linux-6.1; do
  for way in "" --unreduced; do
    # shellcheck disable=SC2086
    "$COWHERD" check --rules $rules --grain step --preemptions 2 --max-states 60000 --format json $way random \
      >"$rules$way.json"
  done
  python3 - "$rules.json" "$rules--unreduced.json" <<'PYTHON' || exit 1
import json
import sys


def runs(file):
    return {run["test"]: run for run in map(json.loads, open(file)) if run["type"] == "run"}


def shown(run):
    return (sorted(json.dumps(state["values"], sort_keys=True) for state in run["states"]), run["stuck"] > 0,
            sorted((finding["kind"], finding["subtype"]) for finding in run["findings"]))


declared, raw = map(runs, sys.argv[1:])
whole = [test for test in declared
         if "states" not in (declared[test]["coverage"].get("stopped_by"), raw[test]["coverage"].get("stopped_by"))]
differ = [test for test in whole if shown(declared[test]) != shown(raw[test])]
print(f"{sys.argv[1]}: {len(whole)} of {len(declared)} compared, {len(differ)} differ")
for test in differ[:3]:
    print(test, shown(declared[test]), shown(raw[test]), sep="\n  ")
raise SystemExit(1 if differ or len(whole) * 10 < len(declared) * 9 else 0)
PYTHON
done
