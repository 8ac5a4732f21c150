#include "cow/rules_text.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cow/decision_table.hpp"
#include "cow/rule_rows.hpp"

namespace cowherd {
namespace {

struct GoodCase {
  const char* text;
  /// What short_rules() makes of it.
  const char* rules;
  const char* base;
};

TEST(ParseRules, ReadsNamesAndDecisions) {
  const GoodCase cases[] = {
      {"cowherd", "cowherd", "cowherd"},
      {"R7", "R7", "R7"},
      {"linux-5.9", "R7", "R7"},
      {"linux-5.9,reuse=exclusive", "R7,reuse=exclusive", "R7"},
      {" linux-5.9 , reuse = exclusive ", "R7,reuse=exclusive", "R7"},
      {"reuse=count", "cowherd,reuse=count", "cowherd"},
      {"reuse=count,page-lock=sleep", "cowherd,reuse=count,page-lock=sleep", "cowherd"},
      {"reuse=exclusive", "cowherd", "cowherd"},
      {"R6,fork-source=untouched", "R7", "R6"},
      {"haiku", "haiku", "haiku"},
      {"none,reuse=never", "none,reuse=never", "none"},
      {"linux-5.19.6", "linux-5.19.6", "linux-5.19.6"},
  };
  for (const GoodCase& c : cases) {
    const ParsedRules parsed = parse_rules(c.text);
    ASSERT_TRUE(parsed) << c.text << ": " << parsed.error;
    EXPECT_EQ(parsed.error, "");
    ASSERT_NE(parsed.base, nullptr);
    EXPECT_EQ(parsed.base->id, c.base) << c.text;
    EXPECT_EQ(short_rules(*parsed.rules), c.rules) << c.text;
  }
}

TEST(ParseRules, SaysWhatIsWrongAndWhere) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "column 1: a rule set is missing"},
      {",reuse=count", "column 1: a rule set is missing"},
      {"linux-5.99", "column 1: unknown rule set 'linux-5.99'; did you mean linux-5.9?"},
      {"5.9", "column 1: unknown rule set '5.9'; did you mean linux-5.9?"},
      {"cowheard", "column 1: unknown rule set 'cowheard'; did you mean cowherd?"},
      {"zzzzzzzzzzzz", "column 1: unknown rule set 'zzzzzzzzzzzz'"},
      {"R7,", "column 4: 'decision=value' is missing"},
      {"R7,,reuse=count", "column 4: 'decision=value' is missing"},
      {"R7,R8", "column 4: expected 'decision=value' and found 'R8'"},
      {"R7, reus=count", "column 5: unknown decision 'reus'; did you mean reuse?"},
      {"R7,fork_pinned=copy", "column 4: unknown decision 'fork_pinned'; did you mean fork-pinned?"},
      {"R7,reuse=cuont", "column 10: unknown value 'cuont' of reuse; did you mean count?"},
      {"R7,zero-page=", "column 14: unknown value '' of zero-page; it is one of counted, uncounted"},
      {"reuse=zzzzzz",
       "column 7: unknown value 'zzzzzz' of reuse; it is one of never, count, mapcount, exclusive, directed"},
      {"reuse=count,reuse=never", "column 13: decision 'reuse' is given twice"},
      {"=", "column 1: unknown decision ''"},
      {"a\nb", "column 1: unknown rule set 'a?b'"},
  };
  for (const auto& [text, want] : cases) {
    const ParsedRules parsed = parse_rules(text);
    EXPECT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error, want) << text;
    EXPECT_EQ(parsed.base, nullptr) << text;
  }
  EXPECT_LT(parse_rules(std::string(100'000, 'x')).error.size(), 200U);
}

TEST(ParseRulesFile, ReadsBaseDecisionsAndComments) {
  const char* text =
      "# rules of mine\n"
      "\n"
      "  base linux-5.9   # with a difference\r\n"
      "reuse = exclusive\n"
      "\tpage-lock=sleep#no blank needed";
  const ParsedRules parsed = parse_rules_file(text, "mine.rules");
  ASSERT_TRUE(parsed) << parsed.error;
  EXPECT_EQ(parsed.rules, parse_rules("linux-5.9,reuse=exclusive,page-lock=sleep").rules);
  EXPECT_EQ(parsed.base->id, "R7");
  EXPECT_EQ(parse_rules_file("", "x").rules, kCowherdRules);
  EXPECT_EQ(parse_rules_file("reuse=count\n", "x").rules, parse_rules("reuse=count").rules);
}

TEST(ParseRulesFile, SaysWhatIsWrongAndWhere) {
  const std::pair<const char*, const char*> cases[] = {
      {"base R7\n  pinned=exac\n", "f.rules:2:10: unknown value 'exac' of pinned; did you mean exact?"},
      {"base R77\n", "f.rules:1:6: unknown rule set 'R77'; did you mean R7?"},
      {"\n\n base   nix\n", "f.rules:3:9: unknown rule set 'nix'"},
      {"reuse=count\nbase R7\n", "f.rules:2:1: 'base' comes first and once"},
      {"base R7\nbase R8\n", "f.rules:2:1: 'base' comes first and once"},
      {"base\n", "f.rules:1:1: 'base' needs the name of a rule set"},
      {"R7\n", "f.rules:1:1: expected 'base NAME' or 'decision = value'"},
      {"baseline R7\n", "f.rules:1:1: expected 'base NAME' or 'decision = value'"},
      {"reuse=count\nreuse = count\n", "f.rules:2:1: decision 'reuse' is given twice"},
  };
  for (const auto& [text, want] : cases) {
    const ParsedRules parsed = parse_rules_file(text, "f.rules");
    EXPECT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error, want) << text;
  }
}

/// A folder of its own that goes away with the test.
class LoadRules : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "cowherd-rules-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path) << text;
    return path;
  }

  std::filesystem::path folder_;
};

TEST_F(LoadRules, ReadsFilesAndNames) {
  const std::string path = write("mine.rules", "base linux-5.9\nreuse = exclusive\n");
  EXPECT_EQ(load_rules(path).rules, parse_rules("linux-5.9,reuse=exclusive").rules);
  EXPECT_EQ(load_rules(path + ",pinned=exact").rules, parse_rules("linux-5.9,reuse=exclusive,pinned=exact").rules);
  EXPECT_EQ(load_rules(path + ",reuse=count").rules, parse_rules("linux-5.9").rules);
  EXPECT_EQ(load_rules("linux-5.9,pinned=exact").rules, parse_rules("linux-5.9,pinned=exact").rules);
  EXPECT_EQ(load_rules(write("empty.rules", "")).rules, kCowherdRules);
}

TEST_F(LoadRules, SaysWhatIsWrong) {
  const std::string missing = (folder_ / "no.rules").string();
  EXPECT_FALSE(load_rules(missing));
  EXPECT_NE(load_rules(missing).error.find("cannot read the rules file"), std::string::npos);
  EXPECT_NE(load_rules(folder_.string()).error.find("cannot read the rules file"), std::string::npos);
  const std::string bad = write("bad.rules", "reuse = x\n");
  EXPECT_EQ(load_rules(bad).error.substr(0, bad.size() + 6), bad + ":1:9: ");
  const std::string good = write("good.rules", "");
  EXPECT_NE(load_rules(good + ",R7").error.find("expected 'decision=value' and found 'R7'"), std::string::npos);
  EXPECT_NE(load_rules(good + ",").error.find("'decision=value' is missing"), std::string::npos);
  EXPECT_EQ(load_rules("nothing.rules").error, "cannot read the rules file 'nothing.rules'");
}

/// Every rule set that differs from a row in at most one decision.
template <class Check>
void for_many_rules(Check check) {
  for (const RuleRow& row : all_rows()) {
    check(row.rules);
    for (const DecisionInfo& info : decision_table()) {
      for (std::uint8_t value = 0; value < info.values.size(); ++value) {
        Rules rules = row.rules;
        info.set(rules, value);
        check(rules);
      }
    }
  }
}

TEST(PrintRules, IsReadBackAsTheSame) {
  for_many_rules([](const Rules& rules) {
    EXPECT_EQ(parse_rules_file(print_rules(rules), "x").rules, rules);
    EXPECT_EQ(parse_rules(short_rules(rules)).rules, rules);
  });
}

TEST(PrintRules, OneDecisionToALine) {
  const std::string text = print_rules(find_rules("R5")->rules);
  EXPECT_EQ(text.substr(0, 27), "base cowherd\nreuse = count\n");
  EXPECT_NE(text.find("\nfork-pinned = share\n"), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), kDecisionCount + 1);
}

TEST(Diff, ListsWhatDiffersOnly) {
  EXPECT_TRUE(diff(kCowherdRules, kCowherdRules).empty());
  const std::vector<Difference> want = {
      {Decision::kReuse, "mapcount", "count"},      {Decision::kPageLock, "sleep", "try-else-copy"},
      {Decision::kGupRead, "write-fault", "plain"}, {Decision::kKsmReuse, "count", "never"},
      {Decision::kSwapCache, "left", "counted"},    {Decision::kHugeCopy, "whole", "split"},
      {Decision::kHugeZero, "whole", "split"},      {Decision::kFolioReuse, "mapcount", "count"},
  };
  EXPECT_EQ(diff(find_rules("R4")->rules, find_rules("R5")->rules), want);
}

}  // namespace
}  // namespace cowherd
