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
import os
import subprocess
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


def again(test):
    """Whether a test differs without a bound too: a step of one search may be two of the other."""
    both = []
    for way in ([], ["--unreduced"]):
        command = [os.environ["COWHERD"], "check", "--rules", sys.argv[1].removesuffix(".json"), "--grain", "step",
                   "--max-states", "2000000", "--format", "json", *way, f"random/{test}.litmus"]
        lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
        both += [run for run in map(json.loads, lines) if run["type"] == "run"]
    return "states" in [run["coverage"].get("stopped_by") for run in both] or shown(both[0]) != shown(both[1])


differ = [test for test in differ if again(test)]
print(f"{sys.argv[1]}: {len(whole)} of {len(declared)} compared, {len(differ)} differ")
for test in differ[:3]:
    print(test, shown(declared[test]), shown(raw[test]), sep="\n  ")
raise SystemExit(1 if differ or len(whole) * 10 < len(declared) * 9 else 0)
PYTHON
done
