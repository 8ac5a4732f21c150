#pragma once

#include <atomic>

#include "base/full_fence.hpp"
#include "base/memory_orders.h"
#include "base/mutant.hpp"
#include "mm/sync.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

/// Makes every CPU forget what it remembers of `pages`: when this returns nobody loads or stores through an entry that
/// was there before. Compare Linux flush_tlb_range().
template <class G>
void flush_range(System<G>& system, Mm& mm, PageRange pages) {
  if (pages.empty()) return;
  const std::uint32_t number = system.ref(mm).unit;
  if constexpr (G::kExplored) {
    if (system.scheduler() == nullptr) return;
    point(system, mm, Point::kFlush);
    if (COWHERD_MUTANT(flush_only_here)) {
      for (Vpn page = pages.begin; page < pages.end; ++page) system.scheduler()->forget_own_translation(number, page);
      return;
    }
    system.scheduler()->forget_translations(number, pages);
  } else {
    // Entries may have been changed by plain stores.
    full_fence();
    system.accessor_slots().flush(number);
    system.walker_slots().wait(number, pages, false);
  }
}

/// In an explored geometry.
inline bool nobody_walks(const Mm& mm) {
  return std::atomic_ref(const_cast<std::uint8_t&>(mm.walkers)).load(order::kSlotLoad) == 0;
}

/// As flush_range(), and no walker that has read the entry of a table there is still inside it: the table may be freed.
template <class G>
void wait_for_walkers(System<G>& system, Mm& mm, PageRange pages) {
  if constexpr (G::kExplored) {
    if (system.scheduler() == nullptr || (alone(system, mm) && nobody_walks(mm))) return;
    (void)wait_until<G, Mm>(system, Point::kFreeTable, mm, nobody_walks);
    // Asked once more by the agent itself: what those who have left did comes before what it will do.
    (void)nobody_walks(mm);
  } else {
    // As in flush_range().
    full_fence();
    system.accessor_slots().wait_for_walks(system.ref(mm).unit);
    system.walker_slots().wait(system.ref(mm).unit, pages, true);
  }
}

/// Permissions that an operation takes away, and when the CPUs hear of it: where the rules say so, only after the
/// operation has let go of its locks. Part of the operation's live state.
template <class G>
class PendingFlush {
 public:
  PendingFlush(System<G>& system, Mm& mm) : system_(system), mm_(mm) {}

  void add(PageRange pages) {
    if (range_.empty() || COWHERD_MUTANT(flush_last_range_only)) {
      range_ = pages;
    } else if (pages.begin < range_.begin || range_.end < pages.end) {
      range_.begin = range_.begin < pages.begin ? range_.begin : pages.begin;
      range_.end = range_.end < pages.end ? pages.end : range_.end;
    }
  }
  /// Called with the locks held that keep others from acting on the change.
  void before_unlock() {
    if (system_.rules().tlb_flush == TlbFlush::kBeforeUnlock) flush();
  }
  /// Called without.
  void after_unlock() { flush(); }

  [[nodiscard]] const PageRange& range() const { return range_; }

 private:
  void flush() {
    flush_range(system_, mm_, range_);
    range_ = {};
  }

  System<G>& system_;
  Mm& mm_;
  PageRange range_;
};

}  // namespace cowherd::mm
