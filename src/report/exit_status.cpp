#include "report/exit_status.hpp"

namespace cowherd::report {
namespace {

int severity(ExitStatus status) {
  switch (status) {
    case ExitStatus::kSkipped:
      return 0;
    case ExitStatus::kExpected:
      return 1;
    case ExitStatus::kInconclusive:
      return 2;
    case ExitStatus::kTimeLimit:
      return 3;
    case ExitStatus::kDiffers:
      return 4;
    case ExitStatus::kInput:
      return 5;
    case ExitStatus::kInterrupted:
      return 6;
    case ExitStatus::kInternal:
      return 7;
  }
  return 7;
}

}  // namespace

void ExitTally::add(ExitStatus status) {
  any_ = true;
  if (severity(status) > severity(worst_)) worst_ = status;
}

ExitStatus ExitTally::worst() const { return any_ ? worst_ : ExitStatus::kExpected; }

}  // namespace cowherd::report
