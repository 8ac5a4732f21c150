#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/device_exclusive.hpp"
#include "mm/flush.hpp"
#include "mm/folio.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"
#include "mm/swap.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// A page on its way from one place of the address space to another, both locked.
template <class G>
struct Moving {
  System<G>& system;
  Mm& mm;
  Vpn from;
  Vpn to;
  EntrySlot source;
  EntrySlot target;
  const Vma& area;
};

/// What the handler may move from and to. Compare Linux mm/userfaultfd.c: validate_move_areas().
template <class G>
Result<void> check_areas(System<G>& system, Mm& mm, Vpn from, Vpn to) {
  const Ref<Vma> source = system.areas(mm).at(from);
  const Ref<Vma> target = system.areas(mm).at(to);
  if (!source || !target) return Errno::kNoEntry;
  const VmaFlags one = system.at(source).flags;
  const VmaFlags other = system.at(target).flags;
  const bool alike = one.protection == other.protection && one.locked == other.locked;
  const bool special = one.secret || other.secret || one.hugetlb || other.hugetlb;
  const bool anonymous = !system.at(source).mapping && !system.at(target).mapping && !special;
  const bool fits = alike && anonymous && has(one.protection, Protection::kWrite);
  return fits && other.uffd != UffdFlags::kNone ? Result<void>() : Result<void>(Errno::kInvalid);
}

/// Whether somebody holds the page besides the entry that maps it and the swap cache.
template <class G>
bool held_by_others(System<G>& system, FrameNumber frame) {
  point(system, Point::kReadCounts);
  const bool cached = system.has_swap() && system.frames().cold(frame).in_swap_cache();
  const FrameDescriptor& page = system.descriptor(frame);
  return (page.references() != (cached ? 2U : 1U) || page.locked()) && !COWHERD_MUTANT(uffd_move_ignores_holders);
}

template <class G>
void set_target(const Moving<G>& moving, Entry entry) {
  System<G>& system = moving.system;
  point(system, moving.mm, Point::kSetEntry);
  (void)system.tables(moving.mm).set(moving.source, Entry{});
  (void)system.tables(moving.mm).set(moving.target, entry);
  system.note(
      {.kind = EventKind::kUffdMoved, .page = moving.to, .frame = entry.present() ? entry.frame() : FrameNumber{}});
}

/// A page that is mapped. Nobody may take a pin between the question and the move; the entry is gone meanwhile:
///
///   move                                   fast pin
///                                          read the entry
///   clear the entry, flush
///   does anybody hold the page? no
///                                          take a reference
///                                          read the entry again: it has changed
///                                          let go
///   set the entry at the other place
///
/// Allowed because a pin that was there before the entry was cleared is seen by the question. Whoever has found the
/// page by an address, to go by its reverse map, holds it too. Compare Linux mm/userfaultfd.c: move_present_pte().
template <class G>
Result<void> move_page(const Moving<G>& moving, Entry entry) {
  System<G>& system = moving.system;
  const FrameNumber frame = entry.frame();
  FrameDescriptor& descriptor = system.descriptor(frame);
  if (descriptor.use() != FrameUse::kAnon || !descriptor.exclusive()) return Errno::kBusy;
  // Its neighbours stay where they are.
  if (!leave_folio(system, frame)) return Errno::kBusy;
  const Live live(system, "uffd-move-page", entry);
  const bool tests_first = COWHERD_MUTANT(uffd_move_tests_first);
  if (tests_first && held_by_others(system, frame)) return Errno::kBusy;
  point(system, moving.mm, Point::kClearEntry);
  entry = hide_entry<G>(moving.source);
  PendingFlush<G> flush(system, moving.mm);
  const Live pending(system, "flush", flush.range());
  if (!COWHERD_MUTANT(uffd_move_without_flush)) flush.add({moving.from, moving.from + PageCount{1}});
  flush.after_unlock();
  if (!tests_first && held_by_others(system, frame)) {
    point(system, moving.mm, Point::kSetEntry);
    moving.source.store(entry);
    return Errno::kBusy;
  }
  if (!COWHERD_MUTANT(uffd_move_keeps_rmap)) {
    descriptor.set_owner(moving.area.own_anon_vma().unit, moving.area.index_of(moving.to));
  }
  set_target(moving, make_entry(frame, moving.area, true).with_dirty(entry.dirty()));
  add_rss(system, moving.source, -1);
  add_rss(system, moving.target, 1);
  return {};
}

/// A page in swap goes as its slot does. Compare Linux mm/userfaultfd.c: move_swap_pte().
template <class G>
Result<void> move_swapped(const Moving<G>& moving, Entry entry) {
  System<G>& system = moving.system;
  const SwapGuard<G> guard(system);
  // A page in the swap cache knows by its old address who has it.
  const bool cached = system.swap().cached(entry.slot()) != Frames<G>::kZeroPage;
  if (!entry.swap_exclusive() || cached) return Errno::kBusy;
  set_target(moving, entry.with_soft_dirty(true).with_uffd_wp(false));
  return {};
}

template <class G>
Result<void> move_entry(const Moving<G>& moving) {
  const Entry entry = take_back(moving.system, moving.mm, moving.source, moving.source.load());
  if (entry.none()) return Errno::kNoEntry;
  if (!moving.target.load().none()) return Errno::kExist;
  if (entry.poison() || entry.is_marker()) return Errno::kFault;
  if (entry.migration()) return Errno::kBusy;
  if (entry.swap()) return move_swapped(moving, entry);
  if (entry.frame() == Frames<G>::kZeroPage) {
    System<G>& system = moving.system;
    set_target(moving, make_entry(Frames<G>::kZeroPage, moving.area, false));
    flush_range(system, moving.mm, {moving.from, moving.from + PageCount{1}});
    return {};
  }
  return move_page(moving, entry);
}

/// Takes the locks of the lowest tables of both places, the lower frame's first, so that two who move in opposite
/// directions do not wait for each other.
template <class G>
Result<void> lock_and_move(const Moving<G>& moving) {
  System<G>& system = moving.system;
  const auto tables = system.tables(moving.mm);
  const FrameNumber one = tables.table_of(moving.source);
  const FrameNumber other = tables.table_of(moving.target);
  const PageTableGuard<G> lower(system, moving.mm, other < one ? moving.target : moving.source);
  if (lower.blocked()) return would_block(system, Point::kPageTableLock);
  if (one == other) return move_entry(moving);
  const PageTableGuard<G> upper(system, moving.mm, other < one ? moving.source : moving.target);
  return upper.blocked() ? would_block(system, Point::kPageTableLock) : move_entry(moving);
}

/// kTablesShared: of `shared`.
template <class G>
Result<void> move_locked(System<G>& system, Mm& mm, Vpn from, Vpn to, Vpn& shared) {
  const MmapReadGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  if (has_unread(mm)) return Errno::kAgain;
  COWHERD_TRY(check_areas(system, mm, from, to));
  const auto tables = system.tables(mm);
  for (const Vpn page : {from, to}) {
    shared = page;
    if (tables.walk_to(page).shared) return kTablesShared;
  }
  const Ref<Vma> vma = system.areas(mm).at(to);
  const Live live(system, "uffd-move-locked", vma);
  COWHERD_TRY(prepare_anon_vma(system, mm, vma));
  const EntrySlot source = tables.find(from);
  if (!source) return Errno::kNoEntry;
  EntrySlot target = tables.find(to);
  if (!target) {
    COWHERD_TRY_ASSIGN(made, make_slot(system, mm, to));
    target = made;
  }
  return lock_and_move(Moving<G>{system, mm, from, to, source, target, system.at(vma)});
}

}  // namespace

template <class G>
Result<void> uffd_move(System<G>& system, ProcessId process, Vaddr to, Vaddr from) {
  Mm& mm = mm_of(system, process);
  COWHERD_TRY_ASSIGN(source, page_range<G>(from, ByteCount{Geometry<G>::kPageBytes}));
  COWHERD_TRY_ASSIGN(target, page_range<G>(to, ByteCount{Geometry<G>::kPageBytes}));
  Vpn shared = source.begin;
  const Live live(system, "uffd-move", shared);
  while (true) {
    auto done = move_locked(system, mm, source.begin, target.begin, shared);
    if (done || done.error() != kTablesShared) return done;
    COWHERD_TRY(lock_and_own_tables(system, mm, shared));
  }
}

#define COWHERD_INSTANTIATE(G) template Result<void> uffd_move<G>(System<G>&, ProcessId, Vaddr, Vaddr);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
