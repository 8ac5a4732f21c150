#pragma once

#include <atomic>
#include <chrono>

namespace cowherd::cli {

/// From now on the first SIGINT or SIGTERM only sets the flag that is returned, so that what was found can still be
/// reported; a second one ends the program at once.
const std::atomic<bool>& catch_interrupts();

/// The flag is set after this time too. Processes that this one starts have no part in it.
void interrupt_after(std::chrono::milliseconds time);
/// Whether it was that which set the flag.
bool is_time_over();

}  // namespace cowherd::cli
