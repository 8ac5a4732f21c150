#pragma once

#include <csignal>
#include <cstdint>

#include "live/channel.hpp"

namespace cowherd::live {

/// The name under which this program starts itself anew where a test says exec(): argv[0] of the new image.
inline constexpr const char* kAgentName = "cowherd-live-agent";

/// To a thread of a test: what it accesses now is to be given up, where it waits for userfaultfd's handler; it answers
/// with Errno::kAgain then.
inline constexpr int kCallOff = SIGUSR1;

/// Whose memory a process lives in: a child of vfork in its parent's.
enum class Memory : bool { kOwn, kParents };

/// What a process of a test does: the requests that come through the channel of `block`, until one of them ends it or
/// the controller is gone. `region_fd` is the descriptor of the memory that `region` lies in. Where the region
/// says so, a process with memory of its own has a second thread.
[[noreturn]] void serve(Region& region, int region_fd, std::uint32_t block, Memory memory = Memory::kOwn);

}  // namespace cowherd::live
