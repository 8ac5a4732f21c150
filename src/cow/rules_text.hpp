#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cowherd/rules.hpp"

namespace cowherd {

struct RuleRow;

/// Rules read from text, or the reason why not.
struct ParsedRules {
  /// Empty if the text was wrong.
  std::optional<Rules> rules;
  /// The row that the text started from; null if the text was wrong.
  const RuleRow* base = nullptr;
  /// Empty if the text was right; otherwise one line without a line end, with a suggestion where there is one.
  std::string error;

  explicit operator bool() const { return rules.has_value(); }
};

/// Reads `NAME`, `NAME,decision=value,…` or `decision=value,…` (which starts from cowherd), blanks ignored. Each
/// decision at most once. Errors start with the column, counted from 1: "column 11: unknown decision …".
ParsedRules parse_rules(std::string_view text);

/// Reads the text of a rules file: a line `base NAME` (first, at most once), lines `decision = value`, blank lines, and
/// comments from `#` to the end of a line. Errors start with "FILE:LINE:COLUMN: ".
ParsedRules parse_rules_file(std::string_view text, std::string_view file_name);

/// Reads what `--rules` accepts: as parse_rules(), and NAME may be the path of a rules file, known by a '/' in it or by
/// its ending ".rules".
ParsedRules load_rules(std::string_view text);

/// The text of a rules file that gives exactly `rules`: `base cowherd` and every decision, one to a line.
std::string print_rules(const Rules& rules);

/// The shortest text that parse_rules() reads as `rules`: the nearest row or variant and what differs from it.
std::string short_rules(const Rules& rules);

/// One decision in which two rule sets differ.
struct Difference {
  Decision decision;
  std::string_view left;
  std::string_view right;

  bool operator==(const Difference&) const = default;
};

/// In the order of the decisions; empty for equal rules.
std::vector<Difference> diff(const Rules& left, const Rules& right);

}  // namespace cowherd
