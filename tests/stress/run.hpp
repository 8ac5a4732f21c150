#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "stress/house.hpp"

namespace cowherd::stress {

/// What came of a run.
struct Outcome {
  std::uint64_t rounds = 0;
  std::uint64_t operations = 0;
  /// Empty: nothing was found. Else what, with the last operations around it.
  std::string trouble;
  /// The litmus test that belongs to it; empty where no operation can be named.
  std::string litmus;
};

/// Rounds of operations on threads of the host, each judged when it is over, for `time` or to the first finding.
/// `rules_name` is for the texts.
Outcome run(const Plan& plan, std::chrono::milliseconds time, const std::string& rules_name);

}  // namespace cowherd::stress
