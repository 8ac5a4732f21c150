#include "check/remedy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "check/check.hpp"
#include "cow/rule_rows.hpp"
#include "litmus/parser.hpp"

namespace cowherd::check {
namespace {

/// "subtype: decision=value …" for every finding of the mail's test under one rule set.
std::vector<std::string> remedies_under(const char* rules) {
  const auto parsed = litmus::parse(R"(COW t
{ x = anon(1); d = device; }
P0() { pin(d, x, FOLL_WRITE | FOLL_LONGTERM); fork(P1); wait(P1); WRITE_ONCE(*x, 2); r0 = dma_read(d); }
P1() { exec(); }
)",
                                    "t.litmus");
  CheckOptions options;
  options.rules = find_rules(rules)->rules;
  std::vector<std::string> lines;
  for (const Finding& finding : check(*parsed.program, options).findings) {
    std::string line = finding.subtype + ":";
    for (const Remedy& remedy : finding.remedies) line += " " + remedy.decision_name + "=" + remedy.remedy_name;
    lines.push_back(line);
  }
  return lines;
}

TEST(Remedies, TheReleaseCandidateLacksTheEarlyCopy) {
  EXPECT_EQ(remedies_under("linux-5.9-rc5"), std::vector<std::string>{"stale DMA: fork-pinned=copy-exclusive"});
}

TEST(Remedies, EachMistakeOfTheSketchHasItsOwn) {
  const std::vector<std::string> lines = remedies_under("sketch");
  for (const char* want :
       {"reference-imbalance: copy-accounting=new-page", "mapcount-imbalance: copy-accounting=new-page",
        "rmap-missing: copy-rmap=child", "not-dirty: copy-entry=dirty-writable", "sleep-in-atomic: copy-alloc=prealloc",
        "bad-page: copy-accounting=new-page"}) {
    EXPECT_NE(std::find(lines.begin(), lines.end(), want), lines.end()) << want;
  }
}

}  // namespace
}  // namespace cowherd::check
