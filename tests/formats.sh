# Every format is well-formed, and tells the same story.
set -eu
mail=$COWHERD_SOURCE/litmus/fork-pin/pin-fork-write-dma.litmus
printf 'COW bad <&"\x27>\n{' >'bad <&".litmus'

# report FORMAT: a batch with a finding, an expected one, one that passes and a file in error.
report() {
  "$COWHERD" check --format "$1" --judge --rules linux-5.9-rc5,linux-5.9,sketch,cowherd "$mail" 'bad <&".litmus' \
    2>err && exit 1 || [ $? = 2 ]
  grep -q 'bad <&".litmus:1:' err
}
report json >out.json
report junit >out.xml
report ktap >out.ktap
report tap >out.tap
report text >out.txt
grep -q '^Observation pin-fork-write-dma Always 1 0  linux-5.9-rc5 XFAIL: wrong COW: stale DMA$' out.txt

python3 - <<'END'
import json
import re
import xml.etree.ElementTree as xml

lines = [json.loads(line) for line in open("out.json")]
assert [line["type"] for line in lines] == ["run"] * 4 + ["error", "summary"], lines
assert all(line["schema"] == 1 for line in lines)
judged = {line["rules"]: line["judgement"] for line in lines[:4]}
assert judged["linux-5.9-rc5"] == "XFAIL" and judged["cowherd"] == "ok", judged
finding = lines[0]["findings"][0]
assert finding["subtype"] == "stale DMA" and finding["parting"]["decision"] == "fork-pinned", finding
steps = finding["trace"]["steps"]
assert steps[finding["parting"]["step"] - 1]["parted"], steps
assert steps[-1]["result"] == "1" and steps[-1]["reference"] == ["2"], steps
assert lines[-1]["bad_files"] == 1

suites = xml.parse("out.xml").getroot()
assert suites.get("tests") == "5" and suites.get("errors") == "1", suites.attrib
assert [case.get("name") for case in suites[0]] == ["linux-5.9-rc5", "linux-5.9", "sketch", "cowherd"]
assert suites[1].get("name") == 'bad <&".litmus', suites[1].attrib

ktap = open("out.ktap").read().splitlines()
assert ktap[:2] == ["KTAP version 1", "1..2"], ktap
assert "  1..4" in ktap and any(re.match(r"  ok 1 linux-5.9-rc5 # XFAIL ", line) for line in ktap), ktap
assert len([line for line in ktap if re.match(r"(not )?ok \d+ ", line)]) == 2, ktap

tap = open("out.tap").read().splitlines()
assert tap[0] == "TAP version 13" and tap[-1] == "1..5", tap
assert len([line for line in tap if re.match(r"(not )?ok \d+ ", line)]) == 5, tap
END

for line in $("$COWHERD" matrix --format json --rules linux-5.9-rc5,linux-5.9 "$mail" | tr -d ' '); do
  echo "$line" | python3 -m json.tool >/dev/null
done
"$COWHERD" rules --format json | head -1 | python3 -m json.tool >/dev/null
"$COWHERD" rules --format json linux-5.8 linux-5.9 | python3 -m json.tool >/dev/null
"$COWHERD" rules --format json linux-5.8 | python3 -m json.tool >/dev/null
