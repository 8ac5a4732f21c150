#pragma once

#include "back/anon_rmap.hpp"
#include "base/mutant.hpp"
#include "mm/by_rmap.hpp"
#include "mm/flush.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"
#include "mm/swap.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// What reclaim does to one page, whether it goes alone (reclaim.cpp) or with those beside it (reclaim_folio.cpp).

/// What becomes of the entries that map a page.
enum class Fate : std::uint8_t {
  /// They name its slot.
  kSwap,
  /// They are none.
  kDiscard,
};

/// One page on its way out: its lock is held, and one reference, which keeps it.
template <class G>
struct Leaving {
  System<G>& system;
  FrameNumber frame;
  Fate fate;

  [[nodiscard]] FrameDescriptor& descriptor() const { return system.descriptor(frame); }
  /// Without the reference that reclaim has.
  [[nodiscard]] FrameState state() const {
    FrameState known = system.state_with_swap(frame);
    --known.references;
    return known;
  }
  [[nodiscard]] bool is_pinned() const {
    point(system, Point::kReadCounts);
    return maybe_pinned(system.rules(), state()) && !COWHERD_MUTANT(swap_out_without_try_share);
  }
};

/// A page that somebody writes goes on being written through what CPUs remember until they are flushed, and what they
/// have set in the entry by then comes with it. Between the question about pins and the entry's end a fast pin may
/// come:
///
///   reclaim                                fast pin
///   may the page be pinned? no
///                                          read the entry
///   clear the entry, flush
///                                          take a reference
///   is the page pinned? yes: put the entry back
///                                          read the entry again: it is what it was
///
/// Allowed because one of the two sees the other: a pin that comes after the second question finds the entry changed,
/// or the mark gone. Compare Linux mm/rmap.c: try_to_unmap_one().
///
/// Returns whether the entry no longer maps the page.
template <class G>
bool unmap_entry(const Leaving<G>& leaving, Mm& mm, Vpn page, EntrySlot place, bool forks) {
  System<G>& system = leaving.system;
  FrameDescriptor& descriptor = leaving.descriptor();
  const Rules& rules = system.rules();
  PageTableGuard<G> guard(system, mm, place);
  Entry entry = guard.blocked() ? Entry{} : place.load();
  if (!entry.present() || entry.frame() != leaving.frame) return !guard.blocked();
  if (forks && !keep_tables_unshared(system, mm, page)) return false;
  const bool exclusive = descriptor.exclusive();
  const bool asks = leaving.fate == Fate::kSwap && exclusive && rules.reclaim_unmap == ReclaimUnmap::kTryShare;
  const Live live(system, "unmap-entry", entry, exclusive);
  if (asks && rules.exclusive_clear == ExclusiveClear::kTestThenClear && leaving.is_pinned()) return false;
  point(system, mm, Point::kClearEntry);
  entry = hide_entry<G>(place);
  PendingFlush<G> flush(system, mm);
  const bool forgets =
      leaving.fate == Fate::kSwap ? COWHERD_MUTANT(swap_out_without_flush) : COWHERD_MUTANT(discard_without_flush);
  if (!forgets) flush.add({page, page + PageCount{1}});
  const Live pending(system, "flush", flush.range());
  flush.before_unlock();
  bool keeps = asks && rules.exclusive_clear == ExclusiveClear::kClearThenTest && leaving.is_pinned();
  if (leaving.fate == Fate::kDiscard) {
    point(system, Point::kReadCounts);
    const bool written = (entry.dirty() || descriptor.dirty()) && !COWHERD_MUTANT(discard_ignores_dirty);
    keeps = written || !may_discard(rules, leaving.state());
  }
  Entry left;
  const Live decided(system, "decided", keeps, left);
  if (keeps) {
    point(system, mm, Point::kSetEntry);
    if (!COWHERD_MUTANT(swap_out_loses_entry)) place.store(entry);
    guard.release();
    flush.after_unlock();
    return false;
  }
  if (entry.dirty() && !COWHERD_MUTANT(swap_out_loses_dirty)) descriptor.set_dirty(true);
  if (leaving.fate == Fate::kSwap) {
    const BlockNumber slot = system.frames().cold(leaving.frame).slot();
    const SwapGuard<G> swap_guard(system);
    if (!system.swap().add_count(slot)) {
      place.store(entry);
      return false;
    }
    left = Entry::swapped(slot, exclusive && rules.swap_exclusive == SwapExclusive::kKept)
               .with_soft_dirty(entry.soft_dirty())
               .with_uffd_wp(entry.uffd_wp() && !COWHERD_MUTANT(swap_out_loses_uffd_wp));
  }
  point(system, Point::kExclusive);
  if (exclusive) descriptor.set_exclusive(false);
  point(system, mm, Point::kSetEntry);
  if (left.none()) {
    // It is counted until now.
    place.store(entry);
    (void)system.tables(mm).set(place, left);
  } else {
    place.store(left);
  }
  add_rss(system, place, COWHERD_MUTANT(swap_out_without_rss) ? 0 : -1);
  system.note({.kind = left.none() ? EventKind::kDiscarded : EventKind::kSwappedOut,
               .decision = left.none() ? Decision::kLazyFree : Decision::kReclaimUnmap,
               .page = page,
               .frame = leaving.frame});
  drop_mapcount(system, leaving.frame);
  guard.release();
  flush.after_unlock();
  put_page(system, leaving.frame);
  return true;
}

/// Looks up whether `page` of `mm`, which a reverse map leads to, maps the page, and takes it away there. What hangs in
/// a table that several address spaces have stays: they would all have to hear of it. `forks`: the mmap lock of `mm` is
/// not held. Precondition: the lock of the page's anon_vma is held, so that nobody frees what he unmaps there.
template <class G>
void unmap_at(const Leaving<G>& leaving, Mm& mm, Vpn page, bool forks) {
  const auto walk = walk_by_rmap(leaving.system, mm, page);
  if (walk.slot && !walk.shared) (void)unmap_entry(leaving, mm, page, walk.slot, forks);
}

/// Takes the page from all who map it; `vma` is one of them. Returns whether nobody does any more.
template <class G>
bool unmap_everywhere(const Leaving<G>& leaving, Mm& mm, Ref<Vma> vma) {
  System<G>& system = leaving.system;
  const AnonVmaGuard<G> guard(system, mm, vma);
  const FrameDescriptor& descriptor = leaving.descriptor();
  const Ref<AnonVma> anon_vma{descriptor.owner()};
  if (descriptor.mapcount() == 0 || !anon_vma) return descriptor.mapcount() == 0;
  Ref<AnonVmaChain> chain = system.at(anon_vma).first;
  const Live live(system, "unmap-everywhere", chain);
  for (; chain; chain = system.at(chain).next_of_anon_vma) {
    const Vma& area = system.at(system.at(chain).vma);
    const Vpn index = descriptor.index();
    if (index < area.index || index - area.index >= PageCount{area.pages.count()}) continue;
    unmap_at(leaving, system.at(area.mm), area.pages.begin + (index - area.index), &system.at(area.mm) != &mm);
  }
  return descriptor.mapcount() == 0;
}

/// Brings the page's slot up to what the page holds. It is locked when this is called, and not meanwhile: faults may
/// find it in the swap cache, map it and write it, and then it is dirty again. Returns whether it is locked again.
/// Compare Linux mm/page_io.c: swap_writepage().
template <class G>
bool write_back(System<G>& system, FrameNumber frame) {
  FrameDescriptor& descriptor = system.descriptor(frame);
  if (!descriptor.dirty()) return true;
  ColdDescriptor& cold = system.frames().cold(frame);
  descriptor.set_dirty(false);
  cold.set_writeback(true);
  unlock_page_of(system, frame);
  write_to_swap(system, frame, cold.slot());
  cold.set_writeback(false);
  point(system, Point::kTryPageLock);
  return try_lock_page_of(system, frame);
}

/// A page under MADV_FREE that was written or is held is an ordinary one again.
template <class G>
void end_lazy_free(System<G>& system, FrameNumber frame) {
  ColdDescriptor& cold = system.frames().cold(frame);
  if (!cold.lazy_free()) return;
  cold.set_lazy_free(false);
  // There may be nothing else that says so.
  system.descriptor(frame).set_dirty(true);
}

}  // namespace cowherd::mm
