#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "check/result.hpp"
#include "litmus/program.hpp"
#include "live/course.hpp"

namespace cowherd::cli {

/// Which interleavings of a test are run.
struct LiveRuns {
  /// Stop after so many.
  std::uint64_t limit = 1000;
  /// So many at random, in place of every one in turn.
  std::optional<std::uint64_t> random = {};
  std::uint64_t seed = 1;
  /// This one alone: the block of each step.
  std::vector<std::uint8_t> schedule = {};
  /// Of the command, what it takes to have the same again, each with a space behind: "--pin-by cuda ".
  std::string options = {};
  /// Set from outside: end early.
  const std::atomic<bool>* interrupted = nullptr;
};

/// Runs a test on `executor`, one operation at a time in one interleaving after the other, and judges every answer by
/// the reference semantics. `name` is what stands for the rules in the result. Precondition: the program is resolved.
check::CheckResult run_live(const litmus::Program& program, live::Executor& executor, const std::string& name,
                            const LiveRuns& runs);

}  // namespace cowherd::cli
