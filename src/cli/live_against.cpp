#include "cli/live_against.hpp"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "check/check.hpp"
#include "cli/interrupt.hpp"
#include "cli/live_run.hpp"
#include "cli/output.hpp"
#include "cli/rule_choice.hpp"
#include "cli/running_kernel.hpp"
#include "litmus/condition.hpp"
#include "litmus/generator.hpp"
#include "litmus/printer.hpp"
#include "litmus/shrink.hpp"
#include "live/known.hpp"
#include "live/plan.hpp"
#include "live/probe.hpp"
#include "live/stage.hpp"

namespace cowherd::cli {
namespace {

using report::ExitStatus;
using Ways = std::set<std::string>;

/// More interleavings than this of one program are left out: what the kernel did not show is then no disagreement.
constexpr std::uint64_t kMostInterleavings = 200;
constexpr std::uint64_t kMostStates = 200'000;

Ways ways_of(const litmus::Program& program, const check::CheckResult& result) {
  Ways ways;
  for (const check::Outcome& outcome : result.outcomes) {
    ways.insert(litmus::format_state(program, result.observed, outcome.values));
  }
  return ways;
}

/// What one side shows and the other does not.
struct Disagreement {
  Ways kernel_alone;
  Ways rules_alone;
  /// A promise that only the kernel broke, in words.
  std::string broken;

  [[nodiscard]] bool any() const { return !kernel_alone.empty() || !rules_alone.empty() || !broken.empty(); }
};

class Comparison {
 public:
  Comparison(RuleChoice rules, live::Offers offers, const LiveArguments& arguments,
             const std::atomic<bool>& interrupted)
      : rules_(std::move(rules)), offers_(std::move(offers)), arguments_(arguments), interrupted_(interrupted) {}

  /// Nothing where the two cannot be compared: the kernel cannot run it, or a bound ended the search.
  std::optional<Disagreement> compare(const litmus::Program& program) {
    const live::Plan plan = live::plan(program, offers_, arguments_.pin_by);
    if (!plan.skip.empty()) return std::nullopt;
    live::Stage stage(work_, arguments_.patience);
    if (!stage.open(program, plan.devices, plan.uses).empty()) return std::nullopt;
    const check::CheckResult seen =
        run_live(program, stage, "live", {.limit = kMostInterleavings, .interrupted = &interrupted_});
    if (!seen.skipped.empty() || interrupted_.load()) return std::nullopt;
    if (!seen.error.empty()) {
      problem_ = seen.error;
      return std::nullopt;
    }
    interleavings_ += seen.stats.runs;
    check::CheckOptions options;
    options.rules = rules_.rules;
    options.rules_name = rules_.name;
    options.explain = false;
    options.minimise = false;
    options.max_states = kMostStates;
    options.interrupted = &interrupted_;
    const check::CheckResult known = check::check(program, options);
    if (!known.error.empty() || !known.coverage.exhaustive()) return std::nullopt;
    return difference(program, seen, known);
  }

  /// The smallest program that is left when operations are taken away one by one and the two still disagree, with its
  /// disagreement; `difference` is the program's own.
  std::pair<litmus::Program, Disagreement> shrink(litmus::Program program, Disagreement difference) {
    for (bool smaller = true; smaller;) {
      smaller = false;
      for (std::size_t i = 0; i < program.operation_count() && !smaller; ++i) {
        std::vector<bool> keep(program.operation_count(), true);
        keep[i] = false;
        auto without = litmus::remove_operations(program, keep);
        if (!without) continue;
        auto still = compare(*without);
        if (!still || !still->any()) continue;
        program = std::move(*without);
        difference = std::move(*still);
        smaller = true;
      }
    }
    return {std::move(program), std::move(difference)};
  }

  [[nodiscard]] std::uint64_t interleavings() const { return interleavings_; }
  /// Why a program was given up last; empty: none was.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  static Disagreement difference(const litmus::Program& program, const check::CheckResult& seen,
                                 const check::CheckResult& known) {
    Disagreement difference;
    const Ways kernel = ways_of(program, seen);
    const Ways rules = ways_of(program, known);
    for (const std::string& way : kernel) {
      if (!rules.contains(way)) difference.kernel_alone.insert(way);
    }
    for (const std::string& way : rules) {
      if (seen.coverage.exhaustive() && !kernel.contains(way)) difference.rules_alone.insert(way);
    }
    if (!seen.findings.empty() && known.findings.empty()) {
      difference.broken = fmt::format("{}: {}", check::name_of(seen.findings[0].kind), seen.findings[0].subtype);
    }
    return difference;
  }

  RuleChoice rules_;
  live::Offers offers_;
  const LiveArguments& arguments_;
  const std::atomic<bool>& interrupted_;
  live::KernelWork work_;
  std::uint64_t interleavings_ = 0;
  std::string problem_;
};

std::string in_words(const litmus::Program& program, const Disagreement& difference, const std::string& rules,
                     std::uint64_t seed) {
  std::string text = fmt::format("Disagreement with {}, by --seed {}:\n{}", rules, seed, litmus::print(program));
  for (const std::string& way : difference.kernel_alone) text += fmt::format("  only the kernel: {}\n", way);
  for (const std::string& way : difference.rules_alone) text += fmt::format("  only {}: {}\n", rules, way);
  if (!difference.broken.empty()) text += fmt::format("  only the kernel breaks a promise: {}\n", difference.broken);
  return text + '\n';
}

/// What this machine can be asked: the rest would be skipped.
litmus::GeneratorOptions askable(const live::Offers& offers) {
  litmus::GeneratorOptions options;
  options.get_percent = 20;
  options.rare_flags_percent = 0;
  options.max_operations = 9;
  for (std::size_t code = 0; code < options.weights.size(); ++code) {
    litmus::Operation operation;
    operation.code = static_cast<litmus::OpCode>(code);
    if (!live::refusal_of(operation).empty()) {
      options.weights[code] = 0;
    }
  }
  if (!offers[static_cast<std::size_t>(live::Need::kClearRefs)].here) {
    options.weights[static_cast<std::size_t>(litmus::OpCode::kClearRefs)] = 0;
  }
  return options;
}

}  // namespace

ExitStatus run_against(const LiveArguments& arguments) {
  RuleChoices choices = choose_rules({arguments.against});
  for (const std::string& error : choices.errors) complain(error);
  if (choices.rules.size() != 1) {
    if (choices.errors.empty()) complain("--against: one rule set is compared with the kernel");
    return ExitStatus::kInput;
  }
  const std::atomic<bool>& interrupted = catch_interrupts();
  const std::string name = choices.rules[0].name;
  const live::Offers offers = live::probe();
  const litmus::GeneratorOptions options = askable(offers);
  Comparison comparison(std::move(choices.rules[0]), offers, arguments, interrupted);
  Output output(arguments.output.path);
  std::uint64_t compared = 0;
  std::uint64_t skipped = 0;
  std::uint64_t differ = 0;
  std::set<std::string> shown;
  for (std::uint64_t seed = arguments.seed; compared < *arguments.random && !interrupted.load(); ++seed) {
    if (skipped > 1000 && compared == 0) break;
    const litmus::Program program = litmus::random_program(seed, options);
    const auto difference = comparison.compare(program);
    if (interrupted.load()) break;
    if (!difference) {
      ++skipped;
      continue;
    }
    ++compared;
    if (!difference->any()) continue;
    ++differ;
    auto [smallest, how] = comparison.shrink(program, *difference);
    smallest.name = litmus::generated_name(smallest);
    if (!shown.insert(smallest.name).second) continue;
    output.write(in_words(smallest, how, name, seed));
    output.flush();
  }
  if (!comparison.problem().empty()) complain(fmt::format("a program was given up: {}", comparison.problem()));
  if (interrupted.load()) output.write(is_time_over() ? "Ended by --timeout\n" : "Interrupted\n");
  output.write(fmt::format(
      "Summary: {} programs against {}, {} interleavings on Linux {}: {} disagree; {} could not be compared\n",
      compared, name, comparison.interleavings(), live::kernel_release(), differ, skipped));
  if (!output.finish()) return ExitStatus::kInput;
  if (interrupted.load() && !is_time_over()) return ExitStatus::kInterrupted;
  if (differ != 0) return ExitStatus::kDiffers;
  if (is_time_over()) return ExitStatus::kTimeLimit;
  if (compared == 0) return ExitStatus::kSkipped;
  return ExitStatus::kExpected;
}

}  // namespace cowherd::cli
