# `cowherd bench`: rows are measured on all sides and their work is checked; what cannot be measured says why and has no
# figure. Of the times themselves nothing is expected.
set -eu
[[ $(uname -s) == Linux ]] || exit 77
"$COWHERD" bench --list >list
grep -q '^1b .*fork.*<= 18' list
grep -q '^14 .*<= 60' list

"$COWHERD" bench -q --json --size 4M --rounds 1 --rows 1,12,14,10,8 -o out.json
python3 - <<'EOF'
import json

report = json.load(open("out.json"))
assert report["schema"] == 2 and "without exceptions" in report["caveat"], report
rows = report["rows"]
assert report["host"]["kernel"].startswith("Linux") and report["host"]["processors"] >= 1, report["host"]
assert isinstance(report["host"]["mitigations"], list), report["host"]
assert report["pace"]["factor"] > 0 and report["pace"]["there_ns"] == 2.83, report["pace"]
assert [row["row"] for row in rows] == ["1", "8", "8", "10", "12", "12", "14"], rows
for row in rows:
    assert "failed" not in row, row
    assert len(row["ours"]["samples"]) == 1 and row["ours"]["median"] > 0, row
    for goal in ("must", "stretch"):
        for judged in ("as_written", "at_this_pace"):
            assert row[goal][judged]["met"] in ("met", "MISSED", "unknown") and row[goal][judged]["bounds"], row
    if row["row"] != "12":
        assert row["floor"]["median"] > 0 and row["pace"] > 0, row
        # A kernel may refuse io_uring.
        assert row["linux"].get("missing") or row["linux"]["median"] > 0, row
assert rows[-2]["ours"]["median"] >= 16, rows[-2]
EOF

"$COWHERD" bench -q --json --size 4M --rounds 1 --rows 3 -o out.json
python3 - <<'EOF'
import json

rows = json.load(open("out.json"))["rows"]
[row] = [row for row in rows if " 4096 pins, in order" in row["what"]]
assert row["ours"]["missing"] == "more pins than pages" and row["must"]["as_written"]["met"] == "unknown", row
EOF

"$COWHERD" bench --size 4M --rounds 1 --rows 10 --html page.html >out 2>progress
grep -q 'Every ratio to Linux holds in this operation, without exceptions, hardware TLB maintenance and cgroup' out
grep -q '^this kernel: Linux' out
grep -q 'mprotect' progress
grep -q "^this machine's pace: " out
python3 - <<'EOF'
import xml.etree.ElementTree as tree

page = tree.parse("page.html")
svg = "{http://www.w3.org/2000/svg}svg"
names = [figure.get("id") for figure in page.iter("{http://www.w3.org/1999/xhtml}figure") if figure.find(svg) is not None]
assert names[:2] == ["fork-size", "fork-pins"] and "threads" in names, names
EOF

status=0
"$COWHERD" bench --rows 1,nothing-like-it 2>error || status=$?
[[ $status == 2 ]]
grep -q "nothing-like-it" error
