#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "check/check.hpp"
#include "cli/arguments.hpp"
#include "cli/rule_choice.hpp"
#include "litmus/program.hpp"
#include "report/exit_status.hpp"
#include "report/judged.hpp"

namespace cowherd::cli {

/// A test, or what is wrong with its text.
struct LoadedTest {
  std::string file;
  bool ok = false;
  litmus::Program program;
  std::string error;
};

/// The tests behind a command line's arguments.
struct LoadedTests {
  std::deque<LoadedTest> tests;
  /// More than one was asked for: a folder, an index, or several names.
  bool batch = false;
  /// Arguments that lead nowhere; these have been complained of.
  std::size_t lost_arguments = 0;

  [[nodiscard]] std::size_t good() const;
};

/// Reads and parses all; what is wrong goes to stderr at once, and one bad file hides no other.
LoadedTests load_tests(const std::vector<std::string>& arguments);

/// Every good test under every rule set that `rules_of` names for it, on as many threads as `search` says. `run` and
/// `bad` are called in the order of the tests, rule sets innermost, from one thread at a time.
struct BatchCallbacks {
  std::function<void(const LoadedTest&, const RuleChoice&, check::CheckResult&&)> run;
  std::function<void(const LoadedTest&)> bad;
};
using RulesOf = std::function<std::vector<RuleChoice>(const litmus::Program&)>;
void run_batch(const LoadedTests& tests, const RulesOf& rules_of, const SearchArguments& search,
               const check::CheckOptions& base, const BatchCallbacks& callbacks);

}  // namespace cowherd::cli
