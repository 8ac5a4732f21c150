#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cow/rule_rows.hpp"
#include "cowherd/rules.hpp"
#include "litmus/program.hpp"

namespace cowherd::cli {

/// A rule set as the command line named it.
struct RuleChoice {
  std::string name;
  Rules rules;
  /// The row that statements about it speak of; null for rules that are no row's.
  const RuleRow* row = nullptr;
  /// Set where a Linux version was named: statements are then looked up for that version.
  const KernelAlias* version = nullptr;
};

struct RuleChoices {
  std::vector<RuleChoice> rules;
  /// "stated" was among the words: each test's own stated_rules() as well.
  bool stated = false;
  /// One line to each word that names no rules.
  std::vector<std::string> errors;
};

/// Reads what `--rules` was given, once or several times: "NAME", "NAME,decision=value,…", the path of a rules file,
/// "A..B" for the rows in a range of Linux versions, "all" for every row, "peers", "stated" for those that each test
/// speaks of, and several of these separated by commas. Each rule set once, in the order of the words.
RuleChoices choose_rules(const std::vector<std::string>& words);

/// Every row, in the order of the table.
std::vector<RuleChoice> every_row();

/// What the test's `Rules:` line says of the rule set; of changed rules only what names the same change. A statement
/// that names it goes before one for a range; of several such the last one counts.
std::optional<litmus::Verdict> statement_about(const RuleChoice& choice, const litmus::Program& program);

}  // namespace cowherd::cli
