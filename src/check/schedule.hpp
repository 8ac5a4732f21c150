#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cowherd::check {

/// Steps of one block without a switch between them.
struct ScheduleRun {
  std::uint8_t block = 0;
  /// At least one.
  std::size_t steps = 0;
  /// Of the state after the run, 16 hexadecimal digits; empty: not given.
  std::string hash;

  bool operator==(const ScheduleRun&) const = default;
};

/// "0*2 1 0*2", or with hashes "0*2=0123456789abcdef 1=…".
std::string print_schedule(const std::vector<ScheduleRun>& runs, bool with_hashes);

/// Reads what print_schedule() wrote. Nothing where it is malformed, with the reason in `error`.
std::optional<std::vector<ScheduleRun>> parse_schedule(std::string_view text, std::string& error);

}  // namespace cowherd::check
