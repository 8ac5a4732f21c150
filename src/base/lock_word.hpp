#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "base/memory_orders.h"
#include "base/thread_annotations.hpp"

namespace cowherd {

/// Lets the sibling of this processor run while this one spins.
inline void spin_pause(unsigned round) {
  if (round % 64 == 63) {
    std::this_thread::yield();
  } else {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
}

/// A readers-writer lock of four bytes that lives in a Machine: copying the memory copies who holds it, zero is free.
/// A waiting writer keeps new readers out, so that fork is not starved by faults. Safe from any thread.
///
/// A lock that an operation left held for ever is `abandoned`: whoever asks for it is told instead of made to wait.
struct COWHERD_CAPABILITY("lock") LockWord {
  [[nodiscard]] bool held() const { return (load() & (kWriter | kReaders)) != 0; }
  [[nodiscard]] bool held_exclusively() const { return (load() & kWriter) != 0; }
  [[nodiscard]] bool abandoned() const { return (load() & kAbandoned) != 0; }
  /// Whether try_lock() or try_lock_shared() would succeed now.
  [[nodiscard]] bool available(bool shared) const { return shared ? !held_exclusively() : !held(); }

  bool try_lock() {
    std::uint32_t seen = load();
    while ((seen & (kWriter | kReaders)) == 0) {
      if (word().compare_exchange_weak(seen, (seen & ~kWaiting) | kWriter, order::kLockTake)) return true;
    }
    return false;
  }
  bool try_lock_shared() {
    std::uint32_t seen = load();
    while ((seen & (kWriter | kWaiting)) == 0) {
      if (word().compare_exchange_weak(seen, seen + 1, order::kLockTake)) return true;
    }
    return false;
  }
  void unlock() {
    word().fetch_and(~(kWriter | kWaiting), order::kLockDrop);
    word().notify_all();
  }
  void unlock_shared() {
    const std::uint32_t before = word().fetch_sub(1, order::kLockDrop);
    if ((before & kReaders) == 1 && (before & kWaiting) != 0) word().notify_all();
  }
  /// The holder goes away and leaves the lock as it is.
  void abandon() {
    word().fetch_or(kAbandoned, std::memory_order_release);
    word().notify_all();
  }

  /// Waits for the lock; false: it is abandoned. `spins`: whether the holder is sure to let go soon.
  bool lock(bool spins) {
    for (unsigned round = 0; !try_lock(); ++round) {
      const std::uint32_t seen = word().fetch_or(kWaiting, std::memory_order_relaxed) | kWaiting;
      if ((seen & kAbandoned) != 0) return false;
      if ((seen & (kWriter | kReaders)) != 0) wait(seen, spins, round);
    }
    return true;
  }
  bool lock_shared(bool spins) {
    for (unsigned round = 0; !try_lock_shared(); ++round) {
      const std::uint32_t seen = load();
      if ((seen & kAbandoned) != 0) return false;
      if ((seen & (kWriter | kWaiting)) != 0) wait(seen, spins, round);
    }
    return true;
  }

  std::uint32_t bits = 0;

 private:
  static constexpr std::uint32_t kWriter = 1u << 31;
  static constexpr std::uint32_t kAbandoned = 1u << 30;
  /// Some writer waits.
  static constexpr std::uint32_t kWaiting = 1u << 29;
  static constexpr std::uint32_t kReaders = kWaiting - 1;
  static constexpr unsigned kSpinsBeforeSleep = 128;

  [[nodiscard]] std::atomic_ref<std::uint32_t> word() { return std::atomic_ref(bits); }
  [[nodiscard]] std::uint32_t load() const {
    return std::atomic_ref(const_cast<std::uint32_t&>(bits)).load(std::memory_order_relaxed);
  }
  void wait(std::uint32_t seen, bool spins, unsigned round) {
    if (spins || round < kSpinsBeforeSleep) {
      spin_pause(round);
    } else {
      word().wait(seen, std::memory_order_relaxed);
    }
  }
};

static_assert(sizeof(LockWord) == 4);

}  // namespace cowherd
