#pragma once

#include "cli/arguments.hpp"
#include "report/exit_status.hpp"

namespace cowherd::cli {

/// `live --emit-c`: the tests as one C program. What cannot be written in C is named on stderr.
report::ExitStatus emit_tests(const LiveArguments& arguments);

}  // namespace cowherd::cli
