#include "back/anon_rmap.hpp"
#include "base/mutant.hpp"
#include "mm/by_rmap.hpp"
#include "mm/flush.hpp"
#include "mm/folio.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/swap.hpp"

namespace cowherd::mm {

namespace {

/// Whether the page can be taken from the address space at `page`, if that maps it, which `found` then counts: not
/// where fork may be about to share the table, or has shared it, nor where the page is part of a huge one.
template <class G>
bool may_take_from(System<G>& system, FrameNumber frame, Mm& mm, Vpn page, std::uint32_t& found) {
  point(system, mm, Point::kReadEntry);
  if (mm.mmap_lock.held_exclusively()) return false;
  const auto walk = walk_by_rmap(system, mm, page);
  const Entry entry = walk.load();
  if (!entry.present() || entry.frame() != frame) return true;
  ++found;
  return !walk.shared && keep_tables_unshared(system, mm, page);
}

/// Puts a poison entry in place of one that maps the page. Who is pinned is not asked: a device may go on with what it
/// holds. Returns whether it was there. Compare Linux mm/rmap.c: try_to_unmap_one() with TTU_HWPOISON.
template <class G>
bool take_from(System<G>& system, FrameNumber frame, Mm& mm, Vpn page) {
  const auto walk = walk_by_rmap(system, mm, page);
  if (!walk.slot || walk.shared) return false;
  const EntrySlot place = walk.slot;
  FrameDescriptor& descriptor = system.descriptor(frame);
  PageTableGuard<G> guard(system, mm, place);
  Entry entry = guard.blocked() ? Entry{} : place.load();
  if (!entry.present() || entry.frame() != frame) return false;
  const Live live(system, "take-from", entry);
  point(system, mm, Point::kClearEntry);
  entry = hide_entry<G>(place);
  PendingFlush<G> flush(system, mm);
  if (!COWHERD_MUTANT(poison_without_flush)) flush.add({page, page + PageCount{1}});
  const Live pending(system, "flush", flush.range());
  flush.before_unlock();
  if (descriptor.exclusive()) {
    point(system, Point::kExclusive);
    descriptor.set_exclusive(false);
  }
  point(system, mm, Point::kSetEntry);
  if (COWHERD_MUTANT(poison_forgotten)) {
    // It is counted until now.
    place.store(entry);
    (void)system.tables(mm).set(place, Entry{});
  } else {
    place.store(Entry::poisoned(frame));
  }
  add_rss(system, place, -1);
  drop_mapcount(system, frame);
  guard.release();
  flush.after_unlock();
  put_page(system, frame);
  return true;
}

/// With the page lock: takes the page from everybody who maps it, or from nobody. Forks that are under way make it one
/// of the latter; others wait for the lock of the reverse maps. So does `at` of `mm`, where another page may be by now,
/// which has not failed.
template <class G>
bool take_from_all(System<G>& system, FrameNumber frame, Mm& mm, Vpn at, Ref<Vma> lists) {
  const AnonVmaGuard<G> guard(system, mm, lists);
  bool all = true;
  std::uint32_t found = 0;
  const Live live(system, "take-from-all", all, found);
  for_each_place(system, frame, [&](const Vma& area, Vpn page) {
    all = all && may_take_from(system, frame, system.at(area.mm), page, found);
  });
  // A mapping that is being split, or given up, is nowhere now.
  if (!all || found != system.descriptor(frame).mapcount() || !take_from(system, frame, mm, at)) return false;
  for_each_place(system, frame,
                 [&](const Vma& area, Vpn page) { (void)take_from(system, frame, system.at(area.mm), page); });
  return true;
}

}  // namespace

template <class G>
Result<void> poison(System<G>& system, ProcessId process, Vaddr address) {
  const Vpn page = Geometry<G>::page_of(address);
  if (page.value() >= Geometry<G>::kUserPages) return Errno::kFault;
  const HeldMm<G> held(system, process);
  if (!held) return Errno::kNoProcess;
  const Live live(system, "poison", held.ref(), page);
  COWHERD_TRY_ASSIGN(found, find_page_by_address(system, held.mm(), page));
  const Live candidate(system, "found", found.frame, found.lists);
  bool gone = false;
  point(system, Point::kTryPageLock);
  if (try_lock_page_of(system, found.frame)) {
    FrameDescriptor& descriptor = system.descriptor(found.frame);
    const bool settled = descriptor.use() == FrameUse::kAnon && !system.descriptor(found.frame).poisoned() &&
                         !(system.has_swap() && system.frames().cold(found.frame).writeback());
    gone = settled && leave_folio(system, found.frame, 1) &&
           take_from_all(system, found.frame, held.mm(), page, found.lists);
    if (gone) {
      if (system.has_swap()) leave_swap_cache_clean(system, found.frame);
      descriptor.set_owner(FrameDescriptor::kPoisoned, Vpn{0});
      system.note({.kind = EventKind::kPoisoned, .page = page, .frame = found.frame});
    }
    unlock_page_of(system, found.frame);
  }
  const Live done(system, "gone", gone);
  ListsHeld<G>::drop(system, held.mm(), found.lists);
  // The reference of what has failed is never given back, so that nobody is given the frame again.
  if (!gone || COWHERD_MUTANT(poisoned_frame_reused)) put_page(system, found.frame);
  return gone ? Result<void>() : Errno::kBusy;
}

#define COWHERD_INSTANTIATE(G) template Result<void> poison<G>(System<G>&, ProcessId, Vaddr);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
