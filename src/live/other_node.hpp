#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "cowherd/result.hpp"

namespace cowherd::live {

// Pages move to another frame when told to only where there is another node of memory.

/// Empty, or why there is none.
std::string try_other_node();
/// move_pages() of the page at `address`, for all who map it, to a node where it is not. 0 says that it was asked for,
/// and not that it moved.
Errno move_to_another_node(pid_t process, std::uint64_t address);

}  // namespace cowherd::live
