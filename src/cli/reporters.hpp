#pragma once

#include <memory>

#include "cli/arguments.hpp"
#include "report/reporter.hpp"

namespace cowherd::cli {

std::unique_ptr<report::Reporter> make_reporter(Format format, report::Sink sink, const report::ReportOptions& options);

}  // namespace cowherd::cli
