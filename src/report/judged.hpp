#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "check/result.hpp"
#include "litmus/program.hpp"
#include "report/exit_status.hpp"

namespace cowherd::report {

/// What came of one test under one rule set.
enum class Judgement : std::uint8_t {
  /// As expected, and nothing is wrong.
  kPass,
  /// As expected: these rules are known to break something here, and they did.
  kExpectedFailure,
  /// The verdict differs, or there is a finding that nobody expects.
  kFail,
  /// These rules are said to break something here, and did not.
  kUnexpectedPass,
  /// Nobody has said what to expect.
  kSkip,
  /// A bound on states or memory came before the answer.
  kInconclusive,
  kTimeLimit,
  kInterrupted,
  /// The test could not be run at all.
  kError,
};

/// "ok", "XFAIL", "FAIL", "XPASS", "SKIP", "BOUND", "TIMEOUT", "INTERRUPTED", "ERROR". Never null.
const char* name_of(Judgement judgement);

ExitStatus status_of(Judgement judgement);

/// Whom a verdict is compared with.
struct Standard {
  /// Judge by published statements about the rule set, not by the reference semantics.
  bool by_statement = false;
  /// The statement: what the test's `Rules:` line says of the rule set. Sometimes means that the bad outcome can be
  /// seen: where it is seen always, that agrees.
  std::optional<litmus::Verdict> statement;
  /// The rules are the default ones, which must have no finding at all.
  bool default_rules = false;
  /// The runs are of a running kernel, where what was not seen may still happen: they contradict, and never prove.
  bool sampled = false;
};

/// The verdict that stands for "nothing is wrong": said by the test or asked by its condition.
std::optional<litmus::Verdict> good_verdict(const litmus::Program& program);

/// One test under one rule set, judged. Refers to a program that outlives it.
struct Judged {
  std::string file;
  const litmus::Program* program = nullptr;
  check::CheckResult result;
  Judgement judgement = Judgement::kPass;
  /// What the verdict was compared with, if with anything.
  std::optional<litmus::Verdict> expected;
  /// Where the expectation comes from: "Result:", "Rules:", or "the condition".
  std::string expected_by;
  /// Why it is not simply as expected, in words; empty for kPass.
  std::string reason;
};

Judged judge(std::string file, const litmus::Program& program, check::CheckResult result, const Standard& standard);

/// "wrong COW: stale DMA"
std::string title_of(const check::Finding& finding);

}  // namespace cowherd::report
