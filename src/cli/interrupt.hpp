#pragma once

#include <atomic>

namespace cowherd::cli {

/// From now on the first SIGINT or SIGTERM only sets the flag that is returned, so that what was found can still be
/// reported; a second one ends the program at once.
const std::atomic<bool>& catch_interrupts();

}  // namespace cowherd::cli
