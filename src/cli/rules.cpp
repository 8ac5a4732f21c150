#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output.hpp"
#include "cli/rules_json.hpp"
#include "cli/verbs.hpp"
#include "cow/decision_table.hpp"
#include "cow/rule_rows.hpp"
#include "cow/rules_text.hpp"
#include "report/wrap.hpp"

namespace cowherd::cli {
namespace {

using report::ExitStatus;

constexpr std::size_t kWidth = 118;

std::string wrapped(std::string_view first, std::string_view text, std::size_t indent) {
  return report::wrapped(first, text, std::string(indent, ' '), kWidth);
}

std::string settings_of(const Rules& rules) {
  std::string text;
  for (const DecisionInfo& info : decision_table()) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", info.name, info.values[info.get(rules)].name);
  }
  return text;
}

/// Rows that hold value number `value` of `info`, variants too.
std::string holders_of(const DecisionInfo& info, std::size_t value) {
  std::string text;
  const auto add = [&](const RuleRow& row) {
    if (info.get(row.rules) == value) text += fmt::format("{}{}", text.empty() ? "" : " ", row.id);
  };
  for (const RuleRow& row : all_rows()) add(row);
  for (const RuleRow& row : variant_rows()) add(row);
  return text.empty() ? "no row" : text;
}

std::string list_rows() {
  std::string text = "RULE SETS\n\n";
  const auto add = [&text](const RuleRow& row) {
    std::string title(row.title);
    if (!row.variant_of.empty()) title += fmt::format(" (a variant of {})", row.variant_of);
    text += wrapped(fmt::format("{:<14} ", row.id), title, 15);
    if (!row.kernels.empty()) text += wrapped(fmt::format("{:15}kernels: ", ""), row.kernels, 24);
    if (!row.commits.empty()) text += wrapped(fmt::format("{:15}commits: ", ""), row.commits, 24);
    text += wrapped(fmt::format("{:15}", ""), settings_of(row.rules), 15);
    text += '\n';
  };
  for (const RuleRow& row : all_rows()) add(row);
  for (const RuleRow& row : variant_rows()) add(row);

  text += "DECISIONS\n\n";
  for (const DecisionInfo& info : decision_table()) {
    text += wrapped(fmt::format("{}: ", info.name), info.question, 2);
    for (std::size_t i = 0; i < info.values.size(); ++i) {
      text += wrapped(fmt::format("  {}: ", info.values[i].name), info.values[i].meaning, 6);
      text += wrapped("      ", holders_of(info, i), 6);
    }
    text += '\n';
  }

  text += "OTHER NAMES\n\n";
  std::string names;
  const auto other = [&names](const KernelAlias& alias) {
    names += fmt::format("{}{}={}", names.empty() ? "" : " ", alias.name, alias.row);
  };
  for (const KernelAlias& alias : linux_versions()) other(alias);
  for (const KernelAlias& alias : peers()) other(alias);
  return text + wrapped("", names, 0);
}

std::string describe(const std::string& name, const ParsedRules& parsed) {
  std::string text = fmt::format("Rules {}\n", name);
  const RuleRow* row = parsed.base;
  if (row != nullptr) {
    const bool exact = row->rules == *parsed.rules;
    text += wrapped(exact ? "Row " : "Starts from ", fmt::format("{}: {}", row->id, row->title), 2);
    if (exact && !row->kernels.empty()) text += wrapped("Kernels ", row->kernels, 2);
    if (exact && !row->commits.empty()) text += wrapped("Commits ", row->commits, 2);
  }
  text += '\n';
  for (const DecisionInfo& info : decision_table()) {
    text += wrapped(fmt::format("{}={}: ", info.name, value_name(info.id, *parsed.rules)),
                    value_meaning(info.id, *parsed.rules), 4);
  }
  if (row != nullptr && row->rules == *parsed.rules && !row->notes.empty()) {
    text += "\nNotes (C confirmed, M from memory, D derived)\n";
    for (const RowNote& note : row->notes) text += wrapped(fmt::format("  {} ", mark_of(note.evidence)), note.text, 4);
  }
  return text;
}

std::string compare(const std::string& left_name, const Rules& left, const std::string& right_name,
                    const Rules& right) {
  const std::vector<Difference> differences = diff(left, right);
  if (differences.empty()) return fmt::format("{} and {} make the same decisions\n", left_name, right_name);
  std::string text = fmt::format("{} -> {}\n", left_name, right_name);
  for (const Difference& difference : differences) {
    const DecisionInfo& info = info_of(difference.decision);
    text += wrapped(fmt::format("\n{}: ", info.name), info.question, 2);
    text += wrapped(fmt::format("  {}: {}: ", left_name, difference.left), value_meaning(info.id, left), 6);
    text += wrapped(fmt::format("  {}: {}: ", right_name, difference.right), value_meaning(info.id, right), 6);
    text += wrapped("  ", info.provenance, 6);
  }
  return text;
}

}  // namespace

ExitStatus run_rules(const RulesArguments& arguments) {
  std::vector<ParsedRules> parsed;
  bool ok = true;
  for (const std::string& name : arguments.names) {
    parsed.push_back(load_rules(name));
    if (parsed.back()) continue;
    complain(fmt::format("{}: {}", name, parsed.back().error));
    ok = false;
  }
  if (!ok) return ExitStatus::kInput;

  const bool json = arguments.output.format == Format::kJson;
  std::string text;
  if (arguments.names.empty()) {
    text = json ? rows_json() : list_rows();
  } else if (arguments.names.size() == 1) {
    text = json ? rules_json(arguments.names[0], *parsed[0].rules) : describe(arguments.names[0], parsed[0]);
  } else {
    text = json ? difference_json(arguments.names[0], *parsed[0].rules, arguments.names[1], *parsed[1].rules)
                : compare(arguments.names[0], *parsed[0].rules, arguments.names[1], *parsed[1].rules);
  }
  return write_file(arguments.output.path, text) ? ExitStatus::kExpected : ExitStatus::kInput;
}

}  // namespace cowherd::cli
