#pragma once

#include <cstdint>

#include "live/channel.hpp"

namespace cowherd::live {

/// The name under which this program starts itself anew where a test says exec(): argv[0] of the new image.
inline constexpr const char* kAgentName = "cowherd-live-agent";

/// What a process of a test does: the requests that come through the channel of `block`, until one of them ends it or
/// the controller is gone. `region_fd` is the descriptor of the memory that `region` lies in.
[[noreturn]] void serve(Region& region, int region_fd, std::uint32_t block);

}  // namespace cowherd::live
