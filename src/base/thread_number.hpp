#pragma once

#include <atomic>

namespace cowherd {

/// Which thread of the host this is, from 0 in the order in which they ask first: where it begins to look for a slot of
/// its own. A hint that keeps threads apart; nothing is wrong where two begin at one place.
inline unsigned thread_number() {
  static std::atomic<unsigned> next{0};
  static thread_local const unsigned mine = next.fetch_add(1, std::memory_order_relaxed);
  return mine;
}

}  // namespace cowherd
