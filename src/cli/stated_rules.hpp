#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/rule_choice.hpp"
#include "litmus/program.hpp"

namespace cowherd::cli {

/// The default rules and every rule set that the test's `Rules:` line speaks of, each once: names as they stand there,
/// and of a range the first and the last row in it.
std::vector<RuleChoice> stated_rules(const litmus::Program& program);

/// Of these, the ones that are no row: "NAME,decision=value".
std::vector<RuleChoice> changed_rules(const litmus::Program& program);

/// What is wrong with the names in the test's `Rules:` line, in one line; nothing where all is well.
std::optional<std::string> problem_in_statements(const litmus::Program& program);

}  // namespace cowherd::cli
