#pragma once

#include "cli/arguments.hpp"
#include "report/exit_status.hpp"

namespace cowherd::cli {

/// `live --against RULES --random N`: random programs on the running kernel and under a rule set. Every way to end that
/// only one of the two has is a disagreement, and is made smaller.
report::ExitStatus run_against(const LiveArguments& arguments);

}  // namespace cowherd::cli
