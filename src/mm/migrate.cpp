#include "mm/migrate.hpp"

#include "base/mutant.hpp"
#include "mm/by_rmap.hpp"
#include "mm/flush.hpp"
#include "mm/folio.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

namespace {

/// A page on its way: its lock is held, and one reference, which keeps it.
template <class G>
struct Migrating {
  System<G>& system;
  FrameNumber frame;

  [[nodiscard]] FrameDescriptor& descriptor() const { return system.descriptor(frame); }
  [[nodiscard]] bool is_pinned() const {
    point(system, Point::kReadCounts);
    FrameState known = system.state(frame);
    --known.references;
    return maybe_pinned(system.rules(), known) && !COWHERD_MUTANT(migrate_without_try_share);
  }
};

/// Puts a migration entry in place of one that maps the page. The question about pins comes with the entry cleared:
///
///   migration                              fast pin
///                                          read the entry
///   clear the entry, flush
///                                          take a reference
///   is the page pinned? yes: put the entry back
///                                          read the entry again: it is what it was
///
/// Allowed because one of the two sees the other: a pin that comes after the question finds the entry changed. What
/// looks at the entry without its lock meanwhile finds that something is there. Compare Linux mm/rmap.c:
/// try_to_migrate_one().
template <class G>
void depart(const Migrating<G>& leaving, Mm& mm, Vpn page) {
  System<G>& system = leaving.system;
  FrameDescriptor& descriptor = leaving.descriptor();
  const Rules& rules = system.rules();
  const auto walk = walk_by_rmap(system, mm, page);
  // Others that have the table would all have to hear of it.
  if (!walk.slot || walk.shared) return;
  const EntrySlot place = walk.slot;
  PageTableGuard<G> guard(system, mm, place);
  Entry entry = guard.blocked() ? Entry{} : place.load();
  // Secret memory stays. Compare Linux mm/secretmem.c: secretmem_migrate_folio().
  if (!entry.present() || entry.secret() || entry.frame() != leaving.frame) return;
  if (!keep_tables_unshared(system, mm, page)) return;
  const bool exclusive = descriptor.exclusive();
  const bool asks = exclusive && rules.migrate_unmap == MigrateUnmap::kTryShare;
  const Live live(system, "depart", entry, exclusive);
  if (asks && rules.exclusive_clear == ExclusiveClear::kTestThenClear && leaving.is_pinned()) return;
  point(system, mm, Point::kClearEntry);
  entry = hide_entry<G>(place);
  PendingFlush<G> flush(system, mm);
  if (!COWHERD_MUTANT(migrate_without_flush)) flush.add({page, page + PageCount{1}});
  const Live pending(system, "flush", flush.range());
  flush.before_unlock();
  if (asks && rules.exclusive_clear == ExclusiveClear::kClearThenTest && leaving.is_pinned()) {
    point(system, mm, Point::kSetEntry);
    place.store(entry);
    guard.release();
    flush.after_unlock();
    return;
  }
  if (entry.dirty() && !COWHERD_MUTANT(migrate_loses_dirty)) descriptor.set_dirty(true);
  if (exclusive) {
    point(system, Point::kExclusive);
    descriptor.set_exclusive(false);
  }
  point(system, mm, Point::kSetEntry);
  const bool writable = entry.writable() && !COWHERD_MUTANT(migrate_forgets_writable);
  place.store(Entry::migrating(leaving.frame, writable, exclusive)
                  .with_soft_dirty(entry.soft_dirty())
                  .with_uffd_wp(entry.uffd_wp()));
  add_rss(system, place, -1);
  drop_mapcount(system, leaving.frame);
  guard.release();
  flush.after_unlock();
  put_page(system, leaving.frame);
}

/// Maps `to` where a migration entry names the page that is leaving; they are the same where it stays after all.
/// Compare Linux mm/migrate.c: remove_migration_pte().
///
/// A fork copies migration entries as it copies others:
///
///   migration                              a child forks
///   look at the child: the page arrives
///   look at the grandchild: nothing there yet
///                                          the grandchild gets what the child has: the page where it is now
///
/// Allowed because of two who have one line of VMAs the older is looked at first.
template <class G>
void arrive(const Migrating<G>& leaving, FrameNumber to, const Vma& area, Vpn page) {
  System<G>& system = leaving.system;
  Mm& mm = system.at(area.mm);
  const auto walk = walk_by_rmap(system, mm, page);
  if (!walk.slot || walk.huge) return;
  const EntrySlot place = walk.slot;
  const PageTableGuard<G> guard(system, mm, place);
  const Entry entry = guard.blocked() ? Entry{} : place.load();
  if (!entry.migration() || entry.leaving() != leaving.frame) return;
  FrameDescriptor& descriptor = system.descriptor(to);
  const Live live(system, "arrive", entry);
  point(system, Point::kTakeReference);
  descriptor.add_references(1);
  if (mapcounts_matter(system.rules())) point(system, Point::kMapcount);
  descriptor.add_mapcount();
  if (entry.migration_exclusive() && !COWHERD_MUTANT(migrate_forgets_mark)) {
    point(system, Point::kExclusive);
    descriptor.set_exclusive(true);
  }
  point(system, mm, Point::kSetEntry);
  // Its VMA may permit less by now than it did. Without a mmap lock that changes meanwhile: who changes it comes to the
  // entry next, for its lock.
  const Protection now = area.flags.protection_unlocked();
  place.store(Entry::of(to)
                  .with_user(now != Protection::kNone)
                  .with_writable(entry.migration_writable() && has(now, Protection::kWrite))
                  .with_soft_dirty(entry.soft_dirty() && !COWHERD_MUTANT(migrate_loses_soft_dirty))
                  .with_uffd_wp(entry.uffd_wp() && !COWHERD_MUTANT(migrate_loses_uffd_wp)));
  add_rss(system, place, 1);
}

/// Makes `to`, which nobody knows, the page in place of the one that is leaving, which nobody maps any more: if nobody
/// but its mover and the swap cache has a reference. Returns whether it did. Compare Linux mm/migrate.c:
/// folio_migrate_mapping().
///
/// Who read the entry before it was cleared may still take a reference after this, and finds the entry changed; who
/// finds the page by its slot has his under the swap lock.
template <class G>
bool take_over(const Migrating<G>& leaving, FrameNumber to) {
  System<G>& system = leaving.system;
  FrameDescriptor& from = leaving.descriptor();
  const bool ignores = COWHERD_MUTANT(migrate_ignores_references);
  if (system.has_swap() && system.frames().cold(leaving.frame).in_swap_cache()) {
    const SwapGuard<G> guard(system);
    ColdDescriptor& cold = system.frames().cold(leaving.frame);
    if (from.references() != 2 && !ignores) return false;
    const BlockNumber slot = cold.slot();
    system.frames().cold(to).set_slot(slot);
    system.swap().set_cached(slot, to);
    cold.clear_slot();
    system.descriptor(to).add_references(1);
    from.drop_references(1);
    return true;
  }
  point(system, Point::kReadCounts);
  return from.references() == 1 || ignores;
}

/// What is known of a page besides its counts goes with it. Compare Linux mm/migrate.c: folio_migrate_flags().
template <class G>
void pass_on_flags(const Migrating<G>& leaving, FrameNumber to) {
  System<G>& system = leaving.system;
  FrameDescriptor& made = system.descriptor(to);
  made.set_owner(leaving.descriptor().owner(), leaving.descriptor().index());
  made.set_dirty(leaving.descriptor().dirty());
  made.set_gup_mark(leaving.descriptor().gup_mark());
  if (!system.has_swap()) return;
  const ColdDescriptor& cold = system.frames().cold(leaving.frame);
  system.frames().cold(to).set_referenced(cold.referenced());
  system.frames().cold(to).set_active(cold.active());
  system.frames().cold(to).set_lazy_free(cold.lazy_free());
}

/// A frame for what is in `from`. EBUSY: only one where it was not to go. Compare Linux mm/migrate.c:
/// alloc_migration_target(), mm/compaction.c: compaction_alloc().
template <class G>
Result<FrameNumber> allocate_destination(System<G>& system, FrameNumber from, Destination destination) {
  const bool was_movable = system.frames().is_movable(from);
  const bool stays_movable =
      destination == Destination::kAnywhere || (destination == Destination::kLower && was_movable);
  COWHERD_TRY_ASSIGN(to, system.allocate_page(FrameUse::kAnon, stays_movable ? Zone::kMovable : Zone::kNormal));
  const bool lower = to < from && system.frames().is_movable(to) == was_movable;
  if (destination != Destination::kLower || lower) return to;
  system.frames().free(to);
  return Errno::kBusy;
}

/// With the page lock and a reference. EBUSY, ENOMEM. Compare Linux mm/migrate.c: migrate_folios_move().
template <class G>
Result<void> move_page(const Migrating<G>& leaving, Mm& mm, Ref<Vma> lists, Destination destination) {
  System<G>& system = leaving.system;
  COWHERD_TRY_ASSIGN(to, allocate_destination(system, leaving.frame, destination));
  const Live live(system, "move-page", to);
  bool moved = false;
  system.add_page_on_its_way(true);
  {
    const AnonVmaGuard<G> guard(system, mm, lists);
    for_each_place(system, leaving.frame,
                   [&](const Vma& area, Vpn page) { depart(leaving, system.at(area.mm), page); });
  }
  point(system, Point::kReadCounts);
  // Whoever judges by mapcounts waits until all of them are there again.
  (void)try_lock_page_of(system, to);
  if (leaving.descriptor().mapcount() == 0 && take_over(leaving, to)) {
    moved = true;
    system.descriptor(to).add_references(1);
    pass_on_flags(leaving, to);
    if (!COWHERD_MUTANT(migrate_without_copy)) copy_page(system, to, leaving.frame, Reader::kLater);
    system.note({.kind = EventKind::kMigrated,
                 .decision = destination == Destination::kNormal ? Decision::kLongtermMovable : Decision::kMigrateUnmap,
                 .page = leaving.descriptor().index(),
                 .frame = leaving.frame,
                 .new_frame = to});
  }
  const Live done(system, "moved", moved);
  if (moved || !COWHERD_MUTANT(migrate_loses_entry)) {
    const AnonVmaGuard<G> guard(system, mm, lists);
    for_each_place(system, leaving.frame,
                   [&](const Vma& area, Vpn page) { arrive(leaving, moved ? to : leaving.frame, area, page); });
  }
  system.add_page_on_its_way(false);
  unlock_page_of(system, to);
  if (moved) {
    put_page(system, to);
    return {};
  }
  system.frames().free(to);
  return Errno::kBusy;
}

/// Waits, without the lock or a reference, until nobody has the lock of what is in `frame` now. False: nobody could let
/// go of it, since operations run to their end.
template <class G>
bool wait_until_unlocked(System<G>& system, FrameNumber frame) {
  const FrameDescriptor& page = system.descriptor(frame);
  if constexpr (G::kExplored) {
    return wait_until<G, FrameDescriptor>(system, Point::kPageLock, page,
                                          [](const FrameDescriptor& p) { return !p.locked(); });
  } else {
    for (unsigned round = 0; page.locked(); ++round) spin_pause(round);
    return true;
  }
}

/// Its bytes are not on their way to a slot, nobody has merged it, nor has it failed. The page lock is held.
template <class G>
bool is_settled(System<G>& system, FrameNumber frame) {
  return system.descriptor(frame).use() == FrameUse::kAnon && !system.descriptor(frame).poisoned() &&
         !(system.has_swap() && system.frames().cold(frame).writeback());
}

}  // namespace

/// The mmap lock is held only until the page is found, so that whatever else changes the address space comes between,
/// meets migration entries, and waits for them or changes them.
template <class G>
Result<void> move_page_at(System<G>& system, Mm& mm, Vpn page, Destination destination, bool waits) {
  FrameNumber others = Frames<G>::kZeroPage;
  const auto looked = find_page_by_address(system, mm, page, waits ? &others : nullptr);
  if (others != Frames<G>::kZeroPage) {
    const Live waiting(system, "waiting", others);
    return wait_until_unlocked(system, others) ? Errno::kAgain : Errno::kWouldBlock;
  }
  if (!looked) return looked.error();
  const FoundPage found = *looked;
  const Live candidate(system, "candidate", found.frame, found.lists);
  Errno outcome = Errno::kBusy;
  const Live moving(system, "outcome", outcome);
  bool locked = waits;
  if (!locked) {
    point(system, Point::kTryPageLock);
    locked = try_lock_page_of(system, found.frame);
  }
  if (locked) {
    // Somebody else may have moved it meanwhile.
    const bool there = destination == Destination::kNormal && !system.frames().is_movable(found.frame);
    if (there) {
      outcome = Errno{0};
    } else if (is_settled(system, found.frame) && leave_folio(system, found.frame, 1)) {
      const Result<void> moved = move_page(Migrating<G>{system, found.frame}, mm, found.lists, destination);
      outcome = moved ? Errno{0} : moved.error();
    }
    unlock_page_of(system, found.frame);
  }
  ListsHeld<G>::drop(system, mm, found.lists);
  if (!COWHERD_MUTANT(migrate_leaks_old_page)) put_page(system, found.frame);
  return outcome == Errno{0} ? Result<void>() : outcome;
}

template <class G>
Result<void> migrate(System<G>& system, ProcessId process, Vaddr address) {
  const Vpn page = Geometry<G>::page_of(address);
  if (page.value() >= Geometry<G>::kUserPages) return Errno::kFault;
  const HeldMm<G> held(system, process);
  if (!held) return Errno::kNoProcess;
  const Live live(system, "migrate", held.ref(), page);
  return move_page_at(system, held.mm(), page, Destination::kAnywhere, false);
}

#define COWHERD_INSTANTIATE(G)                                                    \
  template Result<void> move_page_at<G>(System<G>&, Mm&, Vpn, Destination, bool); \
  template Result<void> migrate<G>(System<G>&, ProcessId, Vaddr);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
