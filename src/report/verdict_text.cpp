#include "report/verdict_text.hpp"

#include <fmt/format.h>

#include <cmath>

#include "litmus/condition.hpp"
#include "litmus/printer.hpp"
#include "litmus/spelling.hpp"

namespace cowherd::report {
namespace {

std::string states_text(const Judged& judged) {
  const check::CheckResult& result = judged.result;
  const bool live = result.stats.runs != 0;
  std::string text = live ? fmt::format("Histogram ({} states)\n", result.outcomes.size())
                          : fmt::format("States {}\n", result.outcomes.size());
  for (const check::Outcome& outcome : result.outcomes) {
    if (live) text += fmt::format("{:<8}:>", outcome.states);
    text += litmus::format_state(*judged.program, result.observed, outcome.values);
    if (outcome.broken == outcome.states && outcome.states != 0) text += "  <- not in the reference";
    text += '\n';
  }
  return text;
}

std::string expected_text(const Judged& judged) {
  std::string text = judged.expected
                         ? fmt::format("Expected {} ({}): ", litmus::name_of(*judged.expected), judged.expected_by)
                         : std::string("Expected nothing: ");
  text += name_of(judged.judgement);
  if (!judged.reason.empty()) text += fmt::format(", {}", judged.reason);
  return text + '\n';
}

std::string reference_text(const check::CheckResult& result) {
  if (result.reference_positive + result.reference_negative == 0) return "Reference none: every run broke it\n";
  return fmt::format("Reference {} {} {}\n", litmus::name_of(result.reference()), result.reference_positive,
                     result.reference_negative);
}

/// An upper bound with one digit: "3e-10".
std::string bound_text(double probability) {
  if (probability <= 0) return "1e-18";
  const double power = std::pow(10.0, std::floor(std::log10(probability)));
  const double digit = std::floor(probability / power) + 1;
  return fmt::format("{:.0e}", digit * power);
}

}  // namespace

const char* kind_of(litmus::Quantifier quantifier) {
  switch (quantifier) {
    case litmus::Quantifier::kExists:
      return "Allowed";
    case litmus::Quantifier::kForall:
      return "Required";
    case litmus::Quantifier::kNotExists:
    case litmus::Quantifier::kNone:
      break;
  }
  return "Forbidden";
}

std::string condition_text(const litmus::Program& program) {
  const std::string text = litmus::print_final_condition(program);
  return text.empty() ? "none: a run that breaks the reference semantics counts" : text;
}

std::string coverage_text(const check::CheckResult& result) {
  const check::Coverage& coverage = result.coverage;
  std::string text;
  if (result.stats.runs != 0) {
    const std::string_view reason = check::name_of(coverage.stopped_by);
    return fmt::format("{}{} interleavings={}", coverage.exhaustive() ? "exhaustive" : "partial ",
                       coverage.exhaustive() ? "" : reason, result.stats.runs);
  }
  if (coverage.exhaustive()) {
    text = fmt::format("exhaustive states={}", result.stats.states);
  } else if (coverage.stopped_by == check::Bound::kPreemptions) {
    text =
        fmt::format("bounded preemptions<={} states={}", coverage.complete_below_preemptions - 1, result.stats.states);
  } else {
    text = fmt::format("partial {} states={}", check::name_of(coverage.stopped_by), result.stats.states);
    if (coverage.complete_below_preemptions != 0) {
      text += fmt::format(" preemptions<={}", coverage.complete_below_preemptions - 1);
    }
  }
  if (result.stats.hash_bits != 0) {
    text += fmt::format(" hash={}bit p(miss)<{}", result.stats.hash_bits, bound_text(result.stats.miss_probability));
  }
  return text;
}

std::string time_line(const check::CheckResult& result) {
  return fmt::format("Time {} {:.2f}\n", result.test, result.stats.seconds);
}

std::string observation_line(const Judged& judged) {
  const check::CheckResult& result = judged.result;
  if (judged.judgement == Judgement::kError) {
    return fmt::format("Error {} {}: {}\n", result.test, result.rules, result.error);
  }
  if (!result.skipped.empty()) return fmt::format("Skip {} {}: {}\n", result.test, result.rules, result.skipped);
  std::string text = fmt::format("Observation {} {} {} {}  {} {}", result.test, litmus::name_of(result.observation()),
                                 result.positive, result.negative, result.rules, name_of(judged.judgement));
  if (!judged.reason.empty()) text += fmt::format(": {}", judged.reason);
  return text + '\n';
}

std::string verdict_text(const Judged& judged, bool times) {
  const check::CheckResult& result = judged.result;
  std::string text =
      fmt::format("Test {} {}\nRules {}\n", result.test, kind_of(judged.program->quantifier), result.rules);
  if (!result.error.empty()) return text + fmt::format("Error {}\n", result.error);
  if (!result.skipped.empty()) return text + fmt::format("Skip {}\n", result.skipped);
  for (const std::string& remark : result.remarks) text += fmt::format("Here {}\n", remark);
  text += states_text(judged);
  text += result.holds(judged.program->quantifier) ? "Ok\n" : "No\n";
  text += fmt::format("Witnesses\nPositive: {} Negative: {}\n", result.positive, result.negative);
  text += fmt::format("Condition {}\n", condition_text(*judged.program));
  text += fmt::format("Observation {} {} {} {}\n", result.test, litmus::name_of(result.observation()), result.positive,
                      result.negative);
  text += reference_text(result);
  if (result.stuck != 0) text += fmt::format("Stuck {}\n", result.stuck);
  text += fmt::format("Coverage {}\n", coverage_text(result));
  text += expected_text(judged);
  if (times) text += time_line(result);
  return text + fmt::format("Hash={}\n", result.hash);
}

}  // namespace cowherd::report
