#pragma once

#include <string>
#include <vector>

#include "cli/arguments.hpp"

namespace cowherd::cli {

/// Runs the command line `words` under another kernel, and writes what it wrote to `output` (empty: stdout). Returns
/// its exit status.
int run_elsewhere(const GuestArguments& guest, const std::vector<std::string>& words, const std::string& output);

/// The words without those that say where to run and where to write.
std::vector<std::string> words_for_guest(const std::vector<std::string>& words);
/// Two where operations are to be under way at the same time.
unsigned processors_for_guest(const std::vector<std::string>& words);

}  // namespace cowherd::cli
