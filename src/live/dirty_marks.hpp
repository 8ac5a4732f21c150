#pragma once

#include <cstdint>
#include <string>

#include "litmus/program.hpp"
#include "live/device.hpp"

namespace cowherd::live {

/// Why what the device wrote, which holds pages by `way`, would stay, or go, otherwise than the test says, where a page
/// may go because it is clean: what lets pages go marks them dirty as it does, and not as it is told. Empty where that
/// does not show.
std::string beyond_dirty_marks(const litmus::Program& program, std::uint8_t device, Way way);

}  // namespace cowherd::live
