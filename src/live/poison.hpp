#pragma once

#include <cstdint>
#include <string>

#include "cowherd/result.hpp"

namespace cowherd::live {

// Memory that fails, by the kernel's own injector (CONFIG_HWPOISON_INJECT), which can also take it back.

/// Empty, or why there is none.
std::string try_poison();
/// The frame fails: 0, or kBusy where the kernel could not take it from those who have it.
Errno poison_frame(std::uint64_t frame);
/// Precondition: nobody has it any more.
void heal_frame(std::uint64_t frame);

}  // namespace cowherd::live
