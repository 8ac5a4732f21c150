#pragma once

#include <string>
#include <vector>

#include "litmus/program.hpp"
#include "live/pin_by.hpp"
#include "live/probe.hpp"
#include "live/stage.hpp"

namespace cowherd::live {

/// How a test is to be played here.
struct Plan {
  /// Not empty: it cannot be, and why.
  std::string skip;
  std::vector<DevicePlan> devices;
  KernelUses uses;
  /// Where what is done is more than the test says, in words: "d is pinned long-term".
  std::vector<std::string> notes;
};

/// Precondition: the program is resolved.
Plan plan(const litmus::Program& program, const Offers& offers, PinBy pin_by = PinBy::kClosest);

}  // namespace cowherd::live
