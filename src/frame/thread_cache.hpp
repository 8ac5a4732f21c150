#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/lock_word.hpp"
#include "cowherd/types.hpp"

namespace cowherd {

/// Free things that the threads which meet at one slot of a Machine keep at hand, so that each mostly takes and gives
/// back without a cache line that others write. Compare Linux struct per_cpu_pages and the sheaves of mm/slub.c.
///
/// Lives in a Machine, zero is empty. Each call but lock() and glance() needs the lock, which is held for a few
/// instructions.
template <class T, std::uint32_t capacity>
struct ThreadCache {
  static constexpr std::uint32_t kCapacity = capacity;
  /// How many come from where all are at once, or go back there.
  static constexpr std::uint32_t kBatch = capacity / 2 + 1;

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
  void push(T free) {
    items[count] = free;
    set_count(count + 1);
  }
  /// The one that came last. Precondition: not empty().
  T pop() {
    set_count(count - 1);
    return items[count];
  }
  /// Forgets those that came first, down to `keep`.
  void drop_oldest(std::uint32_t keep) {
    for (std::uint32_t i = 0; i < keep; ++i) items[i] = items[count - keep + i];
    set_count(keep);
  }
  /// Without the lock: how many there were a moment ago.
  [[nodiscard]] std::uint32_t glance() const {
    return std::atomic_ref(const_cast<std::uint32_t&>(count)).load(std::memory_order_relaxed);
  }
  void set_count(std::uint32_t now) { std::atomic_ref(count).store(now, std::memory_order_relaxed); }

  std::uint32_t locked = 0;
  std::uint32_t count = 0;
  T items[kCapacity];
};

/// Frames. Their descriptors say that they are free, and they count as free; whoever finds no other takes them from
/// here.
struct alignas(64) FrameCache : ThreadCache<FrameNumber, 62> {};
static_assert(sizeof(FrameCache) == 256);

/// Objects of one kind, by unit. Their slabs count them as in use; whoever finds no memory gives them back first.
struct alignas(64) ObjectCache : ThreadCache<std::uint32_t, 29> {
  /// Of each object, once there was one.
  std::uint32_t slot_bytes = 0;
};
static_assert(sizeof(ObjectCache) == 128);

}  // namespace cowherd
