#include "cli/live_free.hpp"

#include <fmt/format.h>

#include <array>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "check/check.hpp"
#include "check/outcome.hpp"
#include "check/trace.hpp"
#include "litmus/condition.hpp"
#include "litmus/printer.hpp"
#include "live/course.hpp"
#include "live/crowd.hpp"
#include "live/userfault.hpp"

namespace cowherd::cli {
namespace {

using TermKind = litmus::Term::Kind;
using Values = std::vector<std::int64_t>;

constexpr std::uint64_t kMostStates = 2'000'000;

/// What does not depend on who looks: which frame a page is in is another one in each memory.
bool is_compared(const litmus::Term& term) {
  return term.kind == TermKind::kRegister || term.kind == TermKind::kMemory || term.kind == TermKind::kFaults;
}

Values compared_of(const std::vector<litmus::Term>& terms, const Values& values) {
  Values compared;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if (is_compared(terms[i])) compared.push_back(values[i]);
  }
  return compared;
}

/// The ways to end that the explorer knows.
class Known {
 public:
  Known(const litmus::Program& program, const RuleChoice& kernel, const FreeRuns& runs) {
    add(program, RuleChoice{"cowherd", Rules{}}, runs);
    if (kernel.row != nullptr) add(program, kernel, runs);
  }

  /// Whether a run can end so without a broken promise.
  [[nodiscard]] bool allows(const Values& compared) const { return good_.contains(compared); }
  /// Under which rules it ends so with one; empty: under none.
  [[nodiscard]] std::string broken_under(const Values& compared) const {
    const auto found = bad_.find(compared);
    return found == bad_.end() ? std::string() : found->second;
  }
  /// Whether these are all.
  [[nodiscard]] bool complete() const { return complete_; }

 private:
  void add(const litmus::Program& program, const RuleChoice& choice, const FreeRuns& runs) {
    check::CheckOptions options;
    options.rules = choice.rules;
    options.rules_name = choice.name;
    options.grain = litmus::Grain::kStep;
    options.explain = false;
    options.minimise = false;
    options.max_states = kMostStates;
    options.timeout = runs.search;
    options.interrupted = runs.interrupted;
    const check::CheckResult result = check::check(program, options);
    complete_ = complete_ && result.error.empty() && result.coverage.exhaustive();
    for (const check::Outcome& outcome : result.outcomes) {
      const Values compared = compared_of(result.observed, outcome.values);
      if (outcome.states > outcome.broken) {
        good_.insert(compared);
      } else {
        bad_.emplace(compared, choice.name);
      }
    }
  }

  std::set<Values> good_;
  std::map<Values, std::string> bad_;
  bool complete_ = true;
};

class FreeRunner {
 public:
  FreeRunner(const litmus::Program& program, live::Stage& stage, const RuleChoice& kernel, const FreeRuns& runs)
      : program_(program),
        runs_(runs),
        crowd_(stage),
        course_(program, crowd_),
        outcomes_(program),
        known_(program, kernel, runs),
        random_(runs.seed) {
    result_.test = program.name;
    result_.rules = kernel.name;
    result_.hash = check::program_hash(program);
  }

  check::CheckResult run() {
    const auto started = std::chrono::steady_clock::now();
    while (result_.stats.runs < runs_.runs && !interrupted() && run_once()) ++result_.stats.runs;
    outcomes_.fill(result_);
    for (auto& [ending, finding] : found_) result_.findings.push_back(std::move(finding));
    // However often it was run, chance has chosen.
    result_.coverage.stopped_by = interrupted() ? check::Bound::kInterrupt : check::Bound::kRuns;
    if (!known_.complete()) {
      result_.remarks.emplace_back(
          "what is allowed is not known in full: the explorer did not come to its end, and an unknown end is no "
          "finding");
    }
    result_.stats.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    return std::move(result_);
  }

 private:
  [[nodiscard]] bool interrupted() const {
    return runs_.interrupted != nullptr && runs_.interrupted->load(std::memory_order_relaxed);
  }

  /// False where it could not go on.
  bool run_once() {
    if (std::string problem = course_.begin(); !problem.empty()) {
      result_.error = std::move(problem);
      return false;
    }
    std::string rounds;
    while (course_.runnable() != 0) {
      std::array<std::string, litmus::kMaxBlocks> next;
      for (std::uint8_t b = 0; b < course_.blocks(); ++b) {
        if ((course_.runnable() >> b & 1u) != 0) next[b] = text_of(b);
      }
      const live::Crowd::Round round = crowd_.round(course_, random_);
      std::string together;
      for (std::uint8_t b = 0; b < course_.blocks(); ++b) {
        if ((round.blocks >> b & 1u) == 0) continue;
        together += fmt::format("{}{} -> {}", together.empty() ? "" : " | ", next[b], round.answers[b].result());
      }
      rounds += fmt::format("{}{}", rounds.empty() ? "" : "; ", together);
      if (round.lost.lost.empty()) continue;
      (round.lost.unfit ? result_.skipped : result_.error) = fmt::format("{} ({})", round.lost.lost, together);
      return false;
    }
    if (course_.unfinished() != 0) {
      outcomes_.add_stuck();
      return true;
    }
    note_end(rounds);
    return true;
  }

  [[nodiscard]] std::string text_of(std::uint8_t block) const {
    return fmt::format("{}: {}", program_.blocks[block].name,
                       litmus::print_operation(program_, block, course_.operation(block)));
  }

  void note_end(const std::string& rounds) {
    const Values values = course_.values_of(outcomes_.terms());
    const Values compared = compared_of(outcomes_.terms(), values);
    const std::string known_bad = known_.broken_under(compared);
    const bool bad = !known_.allows(compared) && (known_.complete() || !known_bad.empty());
    outcomes_.count(values, bad);
    if (!bad || found_.contains(compared)) return;
    check::Finding finding;
    finding.kind = check::FindingKind::kWrongResult;
    finding.subtype = "not allowed";
    finding.sentence = fmt::format("the run ended with {} and no order of its steps does without a broken promise",
                                   litmus::format_state(program_, outcomes_.terms(), values));
    finding.remark = fmt::format("{}; the first run that ended so, with what was done at the same time: {}",
                                 known_bad.empty() ? std::string("no rule set asked ends so")
                                                   : fmt::format("{} can end so, and breaks a promise then", known_bad),
                                 rounds);
    finding.program = program_;
    found_.emplace(compared, std::move(finding));
  }

  const litmus::Program& program_;
  const FreeRuns& runs_;
  live::Crowd crowd_;
  live::Course course_;
  check::Outcomes outcomes_;
  Known known_;
  litmus::Random random_;
  std::map<Values, check::Finding> found_;
  check::CheckResult result_;
};

}  // namespace

std::string problem_of_free_run(const litmus::Program& program) {
  if (live::uses_userfault(program)) return "a handler of userfaultfd acts when it is told, and in no free run";
  for (const litmus::Term& term : litmus::observed_terms(program)) {
    if (term.kind == TermKind::kFinding) {
      return fmt::format("a promise is judged by the order of the operations, which a free run does not show ({})",
                         litmus::print_term(program, term));
    }
  }
  return {};
}

check::CheckResult run_free(const litmus::Program& program, live::Stage& stage, const RuleChoice& kernel,
                            const FreeRuns& runs) {
  return FreeRunner(program, stage, kernel, runs).run();
}

}  // namespace cowherd::cli
