#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/geometry.hpp"
#include "base/lock_word.hpp"
#include "base/memory_orders.h"
#include "cowherd/types.hpp"

namespace cowherd {

/// What a thread does that is inside page tables without holding a lock.
enum class WalkerKind : std::uint8_t {
  /// Loads or stores through the entry that it found: whoever takes permissions away waits for it.
  kAccess,
  /// Takes references: whoever frees a table waits for it. It rechecks what it found by itself.
  kGup,
};

/// Which threads walk page tables without a lock, and where: what a TLB shootdown's interrupts and RCU's grace periods
/// are to a kernel. A walker says where it is before it reads an entry; whoever has changed an entry or unhooked a
/// table waits until nobody is there who may have read it before.
///
///   walker                                 whoever takes the entry away
///   slot = here
///                                          clear the entry
///   read the entry: it is gone
///                                          is anybody here? wait
///   slot = nowhere
///                                          free the page
///
/// Either the walker sees the entry cleared or it is seen: allowed because both sides write first and read then, all
/// four of it sequentially consistent.
///
/// Lives in a Machine, zero is empty. In a geometry that is explored there are none: a modelled TLB and a counter stand
/// for them.
template <class G>
class WalkerSlots {
 public:
  /// Where one walker is, until it leaves.
  class Inside {
   public:
    Inside(WalkerSlots& slots, std::uint32_t mm, Vpn page, WalkerKind kind) : slot_(slots.enter(key(mm, page, kind))) {}
    ~Inside() { slot_.store(0, order::kSlotLeave); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    std::atomic_ref<std::uint64_t> slot_;
  };

  /// Returns once every walker who was in `pages` of `mm` when it was called has left. Walkers of kind kGup are waited
  /// for only by who frees tables.
  void wait(std::uint32_t mm, PageRange pages, bool frees_tables) {
    const std::uint64_t first = region(pages.begin);
    const std::uint64_t last = region(Vpn{pages.end.value() - 1});
    for (Slot& slot : slots_) {
      const std::atomic_ref<std::uint64_t> word(slot.key);
      const std::uint64_t seen = word.load(order::kSlotLoad);
      if (seen == 0 || seen >> 32 != mm) continue;
      const std::uint64_t at = (seen & kRegionMask) - 1;
      const bool matters = at >= first && at <= last && (frees_tables || (seen & kGupBit) == 0);
      for (unsigned round = 0; matters && word.load(order::kSlotLoad) == seen; ++round) spin_pause(round);
    }
  }

 private:
  static constexpr std::size_t kSlots = 64;
  static constexpr std::uint64_t kGupBit = std::uint64_t{1} << 31;
  static constexpr unsigned kRegionBits = 27;
  static constexpr std::uint64_t kRegionMask = (std::uint64_t{1} << kRegionBits) - 1;
  /// Between the region and kGupBit: which visit of its thread this is, so that whoever waits for one is not kept by
  /// the next at the same place.
  static constexpr std::uint64_t kVisits = std::uint64_t{1} << (31 - kRegionBits);
  static_assert(G::kExplored || G::kUserPageBits - G::kTableShift < kRegionBits);

  /// On a cache line of its own.
  struct alignas(64) Slot {
    std::uint64_t key = 0;
  };

  /// A lowest table's worth of pages.
  static std::uint64_t region(Vpn page) { return page.value() >> G::kTableShift; }
  static std::uint64_t key(std::uint32_t mm, Vpn page, WalkerKind kind) {
    return std::uint64_t{mm} << 32 | (kind == WalkerKind::kGup ? kGupBit : 0) | (region(page) + 1);
  }

  std::atomic_ref<std::uint64_t> enter(std::uint64_t key) {
    static thread_local std::uint64_t visits = 0;
    key |= ++visits % kVisits << kRegionBits;
    // Threads have different stacks, so most begin at different slots.
    std::size_t at = reinterpret_cast<std::uintptr_t>(&visits) / 64 * 0x9E3779B97F4A7C15 >> 32;
    for (unsigned round = 0;; ++round) {
      const std::atomic_ref<std::uint64_t> word(slots_[at++ % kSlots].key);
      std::uint64_t empty = 0;
      if (word.load(std::memory_order_relaxed) == 0 && word.compare_exchange_strong(empty, key, order::kSlotEnter)) {
        return word;
      }
      if (round % kSlots == kSlots - 1) spin_pause(round);
    }
  }

  std::array<Slot, kSlots> slots_{};
};

template <class G>
requires G::kExplored class WalkerSlots<G> {
};

}  // namespace cowherd
