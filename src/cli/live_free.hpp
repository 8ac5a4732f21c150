#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "check/result.hpp"
#include "cli/rule_choice.hpp"
#include "litmus/program.hpp"
#include "live/stage.hpp"

namespace cowherd::cli {

/// How often a test is run freely, and what bounds the search for what is allowed.
struct FreeRuns {
  std::uint64_t runs = 1000;
  std::uint64_t seed = 1;
  std::chrono::milliseconds search{20000};
  /// Set from outside: end early.
  const std::atomic<bool>* interrupted = nullptr;
};

/// Runs a test on `stage` with operations of several blocks under way at the same time. A way to end is allowed where
/// the explorer, at the grain of steps, comes to it without breaking a promise: under cowherd's rules or under
/// `kernel`'s. Where it does not come to its end, what is allowed is not known in full, and the result has a remark
/// that says so. Precondition: the program is resolved and `stage` is open for it.
check::CheckResult run_free(const litmus::Program& program, live::Stage& stage, const RuleChoice& kernel,
                            const FreeRuns& runs);

/// Why a test cannot be judged so; empty: it can.
std::string problem_of_free_run(const litmus::Program& program);

}  // namespace cowherd::cli
