#include "report/reporter.hpp"

namespace cowherd::report {

void Totals::add(const Judged& judged) {
  ++runs;
  findings += judged.result.findings.size();
  states += judged.result.stats.states;
  switch (judged.judgement) {
    case Judgement::kPass:
      ++passed;
      break;
    case Judgement::kExpectedFailure:
      ++expected_failures;
      break;
    case Judgement::kFail:
    case Judgement::kUnexpectedPass:
      ++differ;
      break;
    case Judgement::kSkip:
      ++skipped;
      break;
    case Judgement::kInconclusive:
    case Judgement::kTimeLimit:
    case Judgement::kInterrupted:
      ++unfinished;
      break;
    case Judgement::kError:
      ++errors;
      break;
  }
}

}  // namespace cowherd::report
