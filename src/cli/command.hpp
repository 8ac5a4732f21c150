#pragma once

#include <string>
#include <vector>

namespace cowherd::cli {

/// Runs a command line without its first word and returns the exit status. Throws nothing.
int run_command(const std::vector<std::string>& words);

}  // namespace cowherd::cli
