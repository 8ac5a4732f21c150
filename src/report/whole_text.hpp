#pragma once

#include <string>

#include "report/reporter.hpp"

namespace cowherd::report {

/// All findings of a run, one after the other.
std::string findings_text(const Judged& judged, bool traces);

/// Verdict and findings.
std::string whole_text(const Judged& judged, const ReportOptions& options);

}  // namespace cowherd::report
