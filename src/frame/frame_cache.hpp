#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/lock_word.hpp"
#include "cowherd/types.hpp"

namespace cowherd {

/// Free frames that the threads which meet at one slot of a Machine keep at hand, so that each mostly takes and gives
/// back without a cache line that others write. Their descriptors say that they are free, and they count as free;
/// whoever finds no other takes them from here. Compare Linux struct per_cpu_pages.
///
/// Lives in a Machine, zero is empty. Each call but lock() needs the lock, which is held for a few instructions.
struct alignas(64) FrameCache {
  static constexpr std::uint32_t kCapacity = 62;
  /// How many frames come from the bitmap at once, or go back to it.
  static constexpr std::uint32_t kBatch = 32;

  void lock() {
    const std::atomic_ref word(locked);
    for (unsigned round = 0;
         word.load(std::memory_order_relaxed) != 0 || word.exchange(1, std::memory_order_acquire) != 0; ++round) {
      spin_pause(round);
    }
  }
  void unlock() { std::atomic_ref(locked).store(0, std::memory_order_release); }

  [[nodiscard]] bool empty() const { return count == 0; }
  [[nodiscard]] bool full() const { return count == kCapacity; }
  void push(FrameNumber frame) {
    frames[count] = frame;
    set_count(count + 1);
  }
  /// The one that came last. Precondition: not empty().
  FrameNumber pop() {
    set_count(count - 1);
    return frames[count];
  }
  /// Without the lock: how many there were a moment ago.
  [[nodiscard]] std::uint32_t glance() const {
    return std::atomic_ref(const_cast<std::uint32_t&>(count)).load(std::memory_order_relaxed);
  }
  void set_count(std::uint32_t now) { std::atomic_ref(count).store(now, std::memory_order_relaxed); }

  std::uint32_t locked = 0;
  std::uint32_t count = 0;
  FrameNumber frames[kCapacity];
};
static_assert(sizeof(FrameCache) == 256);

}  // namespace cowherd
