#pragma once

#include <string>
#include <vector>

namespace cowherd::live {

/// Whether this process is the first one of such a guest.
bool is_guest_init();
/// Runs the words that the guest was made for by `command`, says what came of it, and switches the guest off.
[[noreturn]] void be_guest_init(int (*command)(const std::vector<std::string>&));

}  // namespace cowherd::live
