#include "cli/stated_rules.hpp"

#include <gtest/gtest.h>

#include "litmus/parser.hpp"

namespace cowherd::cli {
namespace {

litmus::Program with_statements(const char* statements) {
  const std::string text = "COW a\n(* Rules: " + std::string(statements) + " *)\n{ x = anon; }\nP0() { exit(); }\n";
  const litmus::ParseResult parsed = litmus::parse(text, "a.litmus");
  EXPECT_TRUE(parsed.ok()) << parsed.to_text();
  return parsed.ok() ? *parsed.program : litmus::Program{};
}

std::string names_of(const std::vector<RuleChoice>& choices) {
  std::string names;
  for (const RuleChoice& choice : choices) names += (names.empty() ? "" : " ") + choice.name;
  return names;
}

TEST(StatedRules, AreTheDefaultTheNamesAndTheEndsOfRanges) {
  EXPECT_EQ(names_of(stated_rules(with_statements("Never linux-5.9..; Always R5, linux-5.9-rc8"))),
            "cowherd R7 R16 R5 linux-5.9-rc8");
  EXPECT_EQ(names_of(stated_rules(with_statements("Never linux-5.9..linux-5.9.1"))), "cowherd R7");
}

TEST(StatedRules, EqualRuleSetsComeOnce) {
  EXPECT_EQ(names_of(stated_rules(with_statements("Never R16, linux-6.19, R7, R7,fork-sequence=none, cowherd"))),
            "cowherd R16 R7");
}

TEST(StatedRules, ChangedRulesAreNoRow) {
  const litmus::Program program =
      with_statements("Sometimes linux-7.1,tlb-flush=after-unlock,reuse=count, R5; Never R7");
  EXPECT_EQ(names_of(changed_rules(program)), "linux-7.1,tlb-flush=after-unlock,reuse=count");
  EXPECT_EQ(names_of(stated_rules(program)), "cowherd linux-7.1,tlb-flush=after-unlock,reuse=count R5 R7");
}

TEST(StatedRules, WrongNamesAreProblems) {
  const std::pair<const char*, const char*> cases[] = {
      {"Never linux-5.99", "Rules: unknown rule set 'linux-5.99'; did you mean linux-5.9?"},
      {"Never R5; Always R7,reuse=cuont",
       "Rules: R7,reuse=cuont: column 10: unknown value 'cuont' of reuse; did you mean count?"},
      {"Never R5, linux-5.9.., R7,reuse=count", "fine"},
  };
  for (const auto& [statements, want] : cases) {
    EXPECT_EQ(problem_in_statements(with_statements(statements)).value_or("fine"), want) << statements;
  }
}

}  // namespace
}  // namespace cowherd::cli
