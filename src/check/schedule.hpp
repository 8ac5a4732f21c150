#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "check/moves.hpp"

namespace cowherd::check {

/// The longest schedule that is read.
inline constexpr std::size_t kMaxScheduleSteps = 1'000'000;

/// Steps of one block without a switch between them, all taken in the same way.
struct ScheduleRun {
  /// The block, and which of two ways it goes on in.
  Move move = 0;
  /// At least one.
  std::size_t steps = 0;
  /// Of the state after the run, 16 hexadecimal digits; empty: not given.
  std::string hash;

  bool operator==(const ScheduleRun&) const = default;
};

/// The steps of a run in order; `hash` says the state after each.
struct ScheduleStep {
  Move move = 0;
  std::string hash;
};

/// Folds steps into runs, with the state's hash where another block goes on and at the end.
std::vector<ScheduleRun> runs_of(const std::vector<ScheduleStep>& steps);

/// "0*2 1 0*2", or with hashes "0*2=0123456789abcdef 1=…"; a `!` behind the block: in its other way.
std::string print_schedule(const std::vector<ScheduleRun>& runs, bool with_hashes);

/// Reads what print_schedule() wrote. Nothing where it is malformed, with the reason in `error`.
std::optional<std::vector<ScheduleRun>> parse_schedule(std::string_view text, std::string& error);

}  // namespace cowherd::check
