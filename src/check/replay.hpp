#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "check/result.hpp"
#include "litmus/program.hpp"

namespace cowherd::check {

struct ReplayResult {
  Trace trace;
  /// What the run broke, without its minimal program: each with the replayed trace. Ordered by step.
  std::vector<Finding> findings;
  /// Set where the schedule is malformed, asks for a block that cannot go on, or meets another state than it says.
  std::string error;
  /// The error is that of the run, not of the text of the schedule.
  bool diverged = false;

  [[nodiscard]] bool ok() const { return error.empty(); }
};

/// Runs one schedule: Trace::schedule or Trace::replay. Where state hashes are given they are compared.
ReplayResult replay(const litmus::Program& program, const CheckOptions& options, std::string_view schedule);

}  // namespace cowherd::check
