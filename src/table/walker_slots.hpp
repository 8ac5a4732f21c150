#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/geometry.hpp"
#include "base/lock_word.hpp"
#include "base/memory_orders.h"
#include "base/thread_number.hpp"
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
/// Who holds the mmap lock for reading says so here too, while the lock is biased towards readers (mm/biased_lock.hpp).
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
    ~Inside() { leave(slot_); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    std::uint64_t& slot_;
  };

  /// A slot that says that this thread holds the mmap lock of `mm` for reading, until leave(); null: all are taken.
  [[nodiscard]] std::uint64_t* enter_reader(std::uint32_t mm) { return try_enter(reader_key(mm)); }
  static void leave(std::uint64_t& slot) { std::atomic_ref(slot).store(0, order::kSlotLeave); }

  /// Returns once every walker who was in `pages` of `mm` when it was called has left. Walkers of kind kGup are waited
  /// for only by who frees tables.
  void wait(std::uint32_t mm, PageRange pages, bool frees_tables) {
    const std::uint64_t first = region(pages.begin);
    const std::uint64_t last = region(Vpn{pages.end.value() - 1});
    wait_for(mm, [=](std::uint64_t seen) {
      const std::uint64_t at = (seen & kRegionMask) - 1;
      return at >= first && at <= last && (frees_tables || (seen & kGupBit) == 0);
    });
  }
  /// Returns once every reader of the mmap lock of `mm` who was here when it was called has left.
  void wait_for_readers(std::uint32_t mm) { wait_for(mm, is_reader); }
  /// Whether a reader of the mmap lock of `mm` is here.
  [[nodiscard]] bool any_reader(std::uint32_t mm) {
    bool found = false;
    for_each(mm, [&](std::atomic_ref<std::uint64_t>, std::uint64_t seen) { found = found || is_reader(seen); });
    return found;
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
  /// No region: who has it holds the mmap lock for reading.
  static constexpr std::uint64_t kReader = kRegionMask;

  /// On a cache line of its own.
  struct alignas(64) Slot {
    std::uint64_t key = 0;
  };

  /// A lowest table's worth of pages.
  static std::uint64_t region(Vpn page) { return page.value() >> G::kTableShift; }
  static std::uint64_t key(std::uint32_t mm, Vpn page, WalkerKind kind) {
    return std::uint64_t{mm} << 32 | (kind == WalkerKind::kGup ? kGupBit : 0) | (region(page) + 1);
  }

  static std::uint64_t reader_key(std::uint32_t mm) { return std::uint64_t{mm} << 32 | kReader; }
  static bool is_reader(std::uint64_t key) { return (key & kRegionMask) == kReader; }

  std::uint64_t& enter(std::uint64_t key) {
    for (unsigned round = 0;; ++round) {
      if (std::uint64_t* slot = try_enter(key)) return *slot;
      spin_pause(round);
    }
  }
  /// Null: all are taken.
  std::uint64_t* try_enter(std::uint64_t key) {
    static thread_local std::uint64_t visits = 0;
    key |= ++visits % kVisits << kRegionBits;
    const std::size_t own = thread_number();
    for (std::size_t i = 0; i < kSlots; ++i) {
      const std::size_t at = (own + i) % kSlots;
      const std::atomic_ref<std::uint64_t> word(slots_[at].key);
      if (word.load(std::memory_order_relaxed) != 0) continue;
      use_slot(at);
      std::uint64_t empty = 0;
      if (word.compare_exchange_strong(empty, key, order::kSlotEnter)) return &slots_[at].key;
    }
    return nullptr;
  }
  /// From now on whoever waits looks at slot `at` too.
  void use_slot(std::size_t at) {
    const std::atomic_ref<std::uint64_t> used(used_);
    std::uint64_t seen = used.load(order::kSlotLoad);
    while (seen <= at && !used.compare_exchange_weak(seen, at + 1, order::kSlotEnter)) {
    }
  }

  /// Calls `visit(slot, key)` for who is in `mm`.
  template <class Visit>
  void for_each(std::uint32_t mm, Visit&& visit) {
    const std::uint64_t used = std::atomic_ref(used_).load(order::kSlotLoad);
    for (std::uint64_t i = 0; i < used; ++i) {
      const std::atomic_ref<std::uint64_t> word(slots_[i].key);
      const std::uint64_t seen = word.load(order::kSlotLoad);
      if (seen != 0 && seen >> 32 == mm) visit(word, seen);
    }
  }
  template <class Matters>
  void wait_for(std::uint32_t mm, Matters&& matters) {
    for_each(mm, [&](std::atomic_ref<std::uint64_t> word, std::uint64_t seen) {
      if (!matters(seen)) return;
      for (unsigned round = 0; word.load(order::kSlotLoad) == seen; ++round) spin_pause(round);
    });
  }

  /// Slots from here on nobody was ever in.
  alignas(64) std::uint64_t used_ = 0;
  std::array<Slot, kSlots> slots_{};
};

template <class G>
requires G::kExplored class WalkerSlots<G> {
};

}  // namespace cowherd
