#include "cli/rule_choice.hpp"

#include <gtest/gtest.h>

#include "litmus/parser.hpp"

namespace cowherd::cli {
namespace {

std::vector<std::string> names_of(const std::vector<std::string>& words) {
  const RuleChoices choices = choose_rules(words);
  for (const std::string& error : choices.errors) ADD_FAILURE() << error;
  std::vector<std::string> names;
  for (const RuleChoice& choice : choices.rules) names.push_back(choice.name);
  return names;
}

using Names = std::vector<std::string>;

TEST(RuleChoice, CommasSeparateNamesButNotSettings) {
  EXPECT_EQ(names_of({"R5,reuse=mapcount,pinned=exact,linux-5.9"}),
            (Names{"R5,reuse=mapcount,pinned=exact", "linux-5.9"}));
  EXPECT_EQ(names_of({"R5", "R6,R5"}), (Names{"R5", "R6"}));
}

TEST(RuleChoice, AllIsEveryRow) {
  EXPECT_EQ(names_of({"all"}).size(), all_rows().size());
  EXPECT_EQ(every_row().size(), all_rows().size());
  EXPECT_EQ(names_of({"peers"}).size(), peers().size());
}

TEST(RuleChoice, ARangeIsTheRowsThatBeginInIt) {
  EXPECT_EQ(names_of({"linux-5.9..linux-5.13,cowherd"}), (Names{"R7", "R8", "R9", "cowherd"}));
  EXPECT_EQ(choose_rules({"linux-5.99..linux-6.0"}).errors.size(), 1u);
}

TEST(RuleChoice, EachWrongWordIsAnError) {
  const RuleChoices choices = choose_rules({"lunix-5.9,R5,R6,reuse=nosuch,nosuch.rules"});
  EXPECT_EQ(choices.errors.size(), 3u);
  EXPECT_EQ(choices.rules.size(), 1u);
}

TEST(RuleChoice, RulesWithSettingsAreNoRow) {
  const RuleChoices choices = choose_rules({"linux-5.9,reuse=mapcount", "linux-5.9", "linux-5.9,reuse=count"});
  ASSERT_EQ(choices.rules.size(), 3u);
  EXPECT_EQ(choices.rules[0].row, nullptr);
  EXPECT_NE(choices.rules[1].row, nullptr);
  EXPECT_NE(choices.rules[1].version, nullptr);
  EXPECT_EQ(choices.rules[2].row, choices.rules[1].row) << "the setting is the row's own";
}

std::optional<litmus::Verdict> said(const char* statements, const char* rules) {
  const std::string text = "COW a\n(* Rules: " + std::string(statements) + " *)\n{ x = anon; }\nP0() { exit(); }\n";
  const litmus::ParseResult parsed = litmus::parse(text, "a.litmus");
  EXPECT_TRUE(parsed.ok()) << parsed.to_text();
  const RuleChoices choices = choose_rules({rules});
  EXPECT_EQ(choices.rules.size(), 1u);
  return parsed.ok() && choices.rules.size() == 1 ? statement_about(choices.rules[0], *parsed.program) : std::nullopt;
}

TEST(RuleChoice, StatementsAreFoundByNameAndByRange) {
  using litmus::Verdict;
  const char* mail = "Never ..linux-5.8; Always linux-5.9-rc5; Never linux-5.9..";
  EXPECT_EQ(said(mail, "linux-5.8"), Verdict::kNever);
  EXPECT_EQ(said(mail, "linux-5.9-rc5"), Verdict::kAlways);
  EXPECT_EQ(said(mail, "R5"), Verdict::kAlways);
  EXPECT_EQ(said(mail, "linux-6.1"), Verdict::kNever);
  EXPECT_EQ(said(mail, "cowherd"), std::nullopt);
  EXPECT_EQ(said(mail, "R5,reuse=mapcount"), std::nullopt) << "no source speaks of rules of one's own";
}

TEST(RuleChoice, AStatementMaySpeakOfChangedRules) {
  using litmus::Verdict;
  const char* said_of =
      "Never linux-5.9..; Sometimes linux-7.1,tlb-flush=after-unlock; Always R6,fork-source=untouched";
  EXPECT_EQ(said(said_of, "linux-7.0,tlb-flush=after-unlock"), Verdict::kSometimes) << "the same rules by another name";
  EXPECT_EQ(said(said_of, "R13,tlb-flush=after-unlock"), std::nullopt);
  EXPECT_EQ(said(said_of, "R7"), Verdict::kAlways) << "the changed rules are a row's own";
  EXPECT_EQ(said(said_of, "R16"), Verdict::kNever);
}

TEST(RuleChoice, StatedIsLeftToEachTest) {
  const RuleChoices choices = choose_rules({"R5,stated"});
  EXPECT_TRUE(choices.stated);
  EXPECT_EQ(choices.rules.size(), 1u);
  EXPECT_FALSE(choose_rules({"all"}).stated);
}

TEST(RuleChoice, ANameGoesBeforeARange) {
  using litmus::Verdict;
  EXPECT_EQ(said("Always R5; Never ..linux-6.1", "R5"), Verdict::kAlways);
  EXPECT_EQ(said("Always ..linux-5.8; Never ..linux-5.8", "R1"), Verdict::kNever) << "of two ranges the last";
}

}  // namespace
}  // namespace cowherd::cli
