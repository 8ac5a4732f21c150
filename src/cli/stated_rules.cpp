#include "cli/stated_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cow/rules_text.hpp"

namespace cowherd::cli {
namespace {

void add_new(std::vector<RuleChoice>& to, RuleChoice choice) {
  const auto same = [&choice](const RuleChoice& other) { return other.rules == choice.rules; };
  if (std::none_of(to.begin(), to.end(), same)) to.push_back(std::move(choice));
}

bool is_change(const std::string& rules) { return rules.find('=') != std::string::npos; }

}  // namespace

std::vector<RuleChoice> stated_rules(const litmus::Program& program) {
  std::vector<RuleChoice> stated = choose_rules({"cowherd"}).rules;
  for (const litmus::Expectation& expectation : program.expectations) {
    const bool range = expectation.rules.find("..") != std::string::npos;
    std::vector<RuleChoice> named = choose_rules({expectation.rules}).rules;
    if (named.empty()) continue;
    if (range && named.size() > 2) named.erase(named.begin() + 1, named.end() - 1);
    for (RuleChoice& choice : named) add_new(stated, std::move(choice));
  }
  return stated;
}

std::vector<RuleChoice> changed_rules(const litmus::Program& program) {
  std::vector<RuleChoice> changed;
  for (const litmus::Expectation& expectation : program.expectations) {
    if (!is_change(expectation.rules)) continue;
    for (RuleChoice& choice : choose_rules({expectation.rules}).rules) add_new(changed, std::move(choice));
  }
  return changed;
}

std::optional<std::string> problem_in_statements(const litmus::Program& program) {
  for (const litmus::Expectation& expectation : program.expectations) {
    if (is_change(expectation.rules)) {
      const ParsedRules parsed = parse_rules(expectation.rules);
      if (!parsed) return fmt::format("Rules: {}: {}", expectation.rules, parsed.error);
    } else if (const std::optional<std::string> problem = problem_in_range(expectation.rules)) {
      return fmt::format("Rules: {}", *problem);
    }
  }
  return std::nullopt;
}

}  // namespace cowherd::cli
