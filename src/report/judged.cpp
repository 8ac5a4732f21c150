#include "report/judged.hpp"

#include <fmt/format.h>

#include <utility>

#include "litmus/spelling.hpp"

namespace cowherd::report {
namespace {

using litmus::Quantifier;
using litmus::Verdict;

/// The verdict that the condition itself asks for; nothing where it only asks whether.
std::optional<Verdict> asked_by(Quantifier quantifier) {
  switch (quantifier) {
    case Quantifier::kNone:
    case Quantifier::kNotExists:
      return Verdict::kNever;
    case Quantifier::kForall:
      return Verdict::kAlways;
    case Quantifier::kExists:
      break;
  }
  return std::nullopt;
}

enum class Agreement : std::uint8_t { kAgrees, kDiffers, kOpen };

/// Whether the runs seen settle the question, be they all or not.
Agreement compare(Verdict expected, const check::CheckResult& result, bool sampled) {
  if (sampled && expected != Verdict::kSometimes) {
    const bool contradicted = (expected == Verdict::kNever ? result.positive : result.negative) != 0;
    return contradicted ? Agreement::kDiffers : Agreement::kAgrees;
  }
  if (sampled && !result.coverage.exhaustive()) return Agreement::kAgrees;
  if (result.coverage.exhaustive()) {
    return result.observation() == expected ? Agreement::kAgrees : Agreement::kDiffers;
  }
  switch (expected) {
    case Verdict::kNever:
      return result.positive != 0 ? Agreement::kDiffers : Agreement::kOpen;
    case Verdict::kAlways:
      return result.negative != 0 ? Agreement::kDiffers : Agreement::kOpen;
    case Verdict::kSometimes:
      return result.positive != 0 && result.negative != 0 ? Agreement::kAgrees : Agreement::kOpen;
  }
  return Agreement::kOpen;
}

/// A source that says Sometimes has seen it happen, and need not have seen it fail to.
Verdict statement_as_seen(Verdict statement, const Judged& judged) {
  const std::optional<Verdict> good = good_verdict(*judged.program);
  const Verdict seen = judged.result.observation();
  return statement == Verdict::kSometimes && good && good != Verdict::kSometimes && good != seen ? seen : statement;
}

Judgement of_bound(check::Bound bound) {
  switch (bound) {
    case check::Bound::kTimeout:
      return Judgement::kTimeLimit;
    case check::Bound::kInterrupt:
      return Judgement::kInterrupted;
    case check::Bound::kNone:
    case check::Bound::kStates:
    case check::Bound::kMemory:
    case check::Bound::kPreemptions:
    case check::Bound::kRuns:
      break;
  }
  return Judgement::kInconclusive;
}

std::string findings_in_words(const check::CheckResult& result) {
  if (result.findings.empty()) return {};
  std::string text = title_of(result.findings.front());
  if (result.findings.size() > 1) text += fmt::format(" and {} more", result.findings.size() - 1);
  return text;
}

std::string differs_in_words(const Judged& judged) {
  std::string text;
  if (judged.expected && *judged.expected != judged.result.observation()) {
    text = fmt::format("expected {}", litmus::name_of(*judged.expected));
  }
  const std::string findings = findings_in_words(judged.result);
  if (!text.empty() && !findings.empty()) text += "; ";
  return text + findings;
}

void set(Judged& judged, Judgement judgement, std::string reason) {
  judged.judgement = judgement;
  judged.reason = std::move(reason);
}

void judge_by_statement(Judged& judged, Agreement agreement, bool default_rules) {
  const bool findings = !judged.result.findings.empty();
  const bool good = good_verdict(*judged.program) == judged.result.observation() && !findings;
  if (agreement == Agreement::kDiffers) {
    set(judged, good ? Judgement::kUnexpectedPass : Judgement::kFail, differs_in_words(judged));
  } else if (findings && default_rules) {
    set(judged, Judgement::kFail, findings_in_words(judged.result));
  } else if (good || (!findings && !good_verdict(*judged.program))) {
    set(judged, Judgement::kPass, {});
  } else {
    set(judged, Judgement::kExpectedFailure,
        findings ? findings_in_words(judged.result)
                 : fmt::format("{} is what is known of these rules", litmus::name_of(judged.result.observation())));
  }
}

}  // namespace

std::optional<Verdict> good_verdict(const litmus::Program& program) {
  return program.result ? program.result : asked_by(program.quantifier);
}

const char* name_of(Judgement judgement) {
  switch (judgement) {
    case Judgement::kPass:
      return "ok";
    case Judgement::kExpectedFailure:
      return "XFAIL";
    case Judgement::kFail:
      return "FAIL";
    case Judgement::kUnexpectedPass:
      return "XPASS";
    case Judgement::kSkip:
      return "SKIP";
    case Judgement::kInconclusive:
      return "BOUND";
    case Judgement::kTimeLimit:
      return "TIMEOUT";
    case Judgement::kInterrupted:
      return "INTERRUPTED";
    case Judgement::kError:
      break;
  }
  return "ERROR";
}

ExitStatus status_of(Judgement judgement) {
  switch (judgement) {
    case Judgement::kPass:
    case Judgement::kExpectedFailure:
      return ExitStatus::kExpected;
    case Judgement::kFail:
    case Judgement::kUnexpectedPass:
      return ExitStatus::kDiffers;
    case Judgement::kSkip:
      return ExitStatus::kSkipped;
    case Judgement::kInconclusive:
      return ExitStatus::kInconclusive;
    case Judgement::kTimeLimit:
      return ExitStatus::kTimeLimit;
    case Judgement::kInterrupted:
      return ExitStatus::kInterrupted;
    case Judgement::kError:
      break;
  }
  return ExitStatus::kInput;
}

std::string title_of(const check::Finding& finding) {
  const std::string kind = check::name_of(finding.kind);
  return kind == finding.subtype || finding.subtype.empty() ? kind : fmt::format("{}: {}", kind, finding.subtype);
}

Judged judge(std::string file, const litmus::Program& program, check::CheckResult result, const Standard& standard) {
  Judged judged;
  judged.file = std::move(file);
  judged.program = &program;
  judged.result = std::move(result);
  if (!judged.result.error.empty()) {
    set(judged, Judgement::kError, judged.result.error);
    return judged;
  }
  if (!judged.result.skipped.empty()) {
    set(judged, Judgement::kSkip, judged.result.skipped);
    return judged;
  }
  const bool own_result = !standard.by_statement || (standard.default_rules && !standard.statement);
  if (!own_result) {
    judged.expected = standard.statement;
    judged.expected_by = "Rules:";
  } else if (program.result) {
    judged.expected = program.result;
    judged.expected_by = "Result:";
  } else {
    judged.expected = asked_by(program.quantifier);
    judged.expected_by = judged.expected ? "the condition" : "";
  }

  const std::optional<Verdict> wanted =
      !own_result && judged.expected ? statement_as_seen(*judged.expected, judged) : judged.expected;
  const Agreement agreement = wanted ? compare(*wanted, judged.result, standard.sampled) : Agreement::kAgrees;
  const bool findings = !judged.result.findings.empty();
  const check::Bound bound = judged.result.coverage.stopped_by;
  if (standard.by_statement && !own_result && !judged.expected) {
    set(judged, Judgement::kSkip, "the test's Rules: line says nothing of these rules");
  } else if (agreement == Agreement::kOpen && (standard.by_statement || !findings)) {
    set(judged, of_bound(bound), fmt::format("stopped by {} before the answer", check::name_of(bound)));
  } else if (standard.by_statement) {
    judge_by_statement(judged, agreement, standard.default_rules);
  } else if (agreement == Agreement::kDiffers || findings) {
    set(judged, Judgement::kFail, differs_in_words(judged));
  } else if (!judged.result.coverage.exhaustive() && !standard.sampled) {
    set(judged, of_bound(bound), fmt::format("stopped by {}: no finding until then", check::name_of(bound)));
  }
  return judged;
}

}  // namespace cowherd::report
