#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/device_exclusive.hpp"
#include "mm/flush.hpp"
#include "mm/hugetlb.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

namespace {

/// Takes the soft-dirty bit from every entry in `range`, and write permission with it, with a page-table lock at a
/// time. Compare Linux fs/proc/task_mmu.c: clear_soft_dirty().
template <class G>
void protect_range(System<G>& system, Mm& mm, PageRange range, PendingFlush<G>& flush) {
  auto tables = system.tables(mm);
  Vpn at = tables.next_used(range.begin, range.end);
  const Live live(system, "protect-range", at);
  while (at < range.end) {
    const PageRange chunk = intersect(range, {at, Tables<G>::table_end(at)});
    const PageTableGuard<G> guard(system, mm, tables.find(at));
    if (guard.blocked()) {
      return;
    }
    tables.for_each(chunk, [&](Vpn page, EntrySlot slot) {
      at = page;
      Entry entry = take_back(system, mm, slot, slot.load());
      if (entry.swap() && entry.soft_dirty()) slot.store(entry.with_soft_dirty(false));
      if (entry.migration()) [[unlikely]] {
        // The next write has to ask, wherever the page is by then.
        const bool keeps = COWHERD_MUTANT(clear_refs_keeps_migration_writable);
        slot.store((keeps ? entry : entry.with_migration_readable()).with_soft_dirty(false));
      }
      if (!entry.present() || !(entry.writable() || entry.soft_dirty())) return true;
      if (system.rules().clear_refs_pinned == ClearRefsPinned::kSkip) {
        point(system, Point::kReadCounts);
        if (maybe_pinned(system.rules(), system.state(entry.frame()))) return true;
      }
      point(system, mm, Point::kProtectEntry);
      entry = slot.load();
      const auto cleared = [](Entry seen) {
        return seen.with_soft_dirty(COWHERD_MUTANT(clear_refs_keeps_bit) && seen.soft_dirty())
            .with_writable(COWHERD_MUTANT(clear_refs_keeps_writable) && seen.writable())
            .with_dirty(seen.dirty() && !COWHERD_MUTANT(dirty_lost_on_protect));
      };
      while (!slot.replace(entry, cleared(entry))) {
      }
      if (entry.writable() && !COWHERD_MUTANT(clear_refs_without_flush)) flush.add({page, page + PageCount{1}});
      return true;
    });
    at = tables.next_used(chunk.end, range.end);
  }
}

/// Pages without an entry are no longer soft-dirty where all of their VMA is in `range`.
template <class G>
void clear_vmas(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock) {
  VmaTree areas = system.areas(mm);
  for (Ref<Vma> vma = areas.find(range.begin); vma && system.at(vma).pages.begin < range.end; vma = areas.next(vma)) {
    Vma& area = system.at(vma);
    if (range.begin <= area.pages.begin && area.pages.end <= range.end) area.flags.soft_dirty = false;
  }
}

/// The flush comes before the mmap lock goes. With the lock held for reading only, others fault in between:
///
///   clear_refs                             two threads of the process
///   write-protect the entry
///                                          T1 faults, copies the page, stores to the copy
///                                          T2's CPU still knows the old page as writable: its store is lost
///   flush
///
/// Allowed because a fault needs the mmap lock, which is held for writing.
template <class G, bool kShared>
Result<void> clear_refs_locked(System<G>& system, Mm& mm, PageRange range) {
  PendingFlush<G> flush(system, mm);
  const Live live(system, "clear-refs", flush.range());
  {
    const MmapGuard<G, kShared> guard(system, mm);
    if (guard.blocked() || stuck(mm)) {
      return would_block(system, Point::kMmapLock);
    }
    protect_range(system, mm, range, flush);
    flush.before_unlock();
  }
  flush.after_unlock();
  return {};
}

/// What only a writer may change: the VMAs, and tables that other address spaces have too. ENOMEM.
template <class G>
Result<void> begin_round(System<G>& system, Mm& mm, PageRange range) {
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) {
    return would_block(system, Point::kMmapLock);
  }
  if (system.tables(mm).any_shared(range)) COWHERD_TRY(own_tables(system, mm, range));
  clear_vmas(system, mm, range);
  return {};
}

/// Nobody may take a pin between the test for pins and the mark's clearing; the entry is gone meanwhile:
///
///   try_share                              fast pin for reading
///                                          read the entry
///   clear the entry, flush
///   is the page pinned? no
///                                          take a reference
///                                          read the entry again: it has changed
///                                          let go
///   clear the mark, set the entry read-only
///
/// Allowed because a pin that was there before the entry was cleared is seen by the test, and one that comes after
/// sees the entry changed, or the mark gone. Compare Linux mm/rmap.h: folio_try_share_anon_rmap_pte().
template <class G>
Result<void> try_share_entry(System<G>& system, Mm& mm, Vpn page, PendingFlush<G>& flush) {
  auto tables = system.tables(mm);
  const auto walk = tables.walk_to(page);
  const EntrySlot slot = walk.slot;
  if (!slot || (walk.huge && is_of_hugetlb(system, slot.load()))) {
    return Errno::kFault;
  }
  const PageTableGuard<G> guard(system, mm, slot);
  if (guard.blocked()) {
    return would_block(system, Point::kPageTableLock);
  }
  Entry entry = slot.load();
  const FrameNumber frame = entry.frame();
  if (!entry.present() || system.descriptor(frame).use() != FrameUse::kAnon) {
    return Errno::kFault;
  }
  FrameDescriptor& descriptor = system.descriptor(frame);
  if (walk.shared || !descriptor.exclusive()) {
    return walk.huge ? Result<void>(Errno::kAgain) : Result<void>();
  }
  const Live live(system, "try-share-entry", entry);
  const auto is_pinned = [&] {
    point(system, Point::kReadCounts);
    return maybe_pinned(system.rules(), system.state(frame)) && !COWHERD_MUTANT(try_share_ignores_pins);
  };
  const ExclusiveClear order =
      COWHERD_MUTANT(mark_test_before_clear) ? ExclusiveClear::kTestThenClear : system.rules().exclusive_clear;
  if (order == ExclusiveClear::kTestThenClear && is_pinned()) {
    return Errno::kBusy;
  }
  point(system, mm, Point::kClearEntry);
  entry = tables.set(slot, Entry{});
  if (!COWHERD_MUTANT(try_share_without_flush)) flush.add({page, page + PageCount{1}});
  flush.before_unlock();
  if (order == ExclusiveClear::kClearThenTest && is_pinned()) {
    point(system, mm, Point::kSetEntry);
    if (!COWHERD_MUTANT(try_share_loses_entry)) tables.set(slot, entry);
    return Errno::kBusy;
  }
  point(system, Point::kExclusive);
  descriptor.set_exclusive(false);
  point(system, mm, Point::kSetEntry);
  tables.set(slot, entry.with_writable(entry.writable() && COWHERD_MUTANT(try_share_keeps_writable)));
  return {};
}

}  // namespace

template <class G>
Result<void> clear_refs(System<G>& system, ProcessId process, Vaddr address, ByteCount length) {
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, length));
  const HeldMm<G> held(system, process);
  if (!held) {
    return Errno::kNoProcess;
  }
  const Live live(system, "clear-refs-of", held.ref());
  COWHERD_TRY(begin_round(system, held.mm(), range));
  const bool shared = system.rules().clear_refs_lock == ClearRefsLock::kRead || COWHERD_MUTANT(clear_refs_read_lock);
  return shared ? clear_refs_locked<G, true>(system, held.mm(), range)
                : clear_refs_locked<G, false>(system, held.mm(), range);
}

template <class G>
Result<void> try_share(System<G>& system, ProcessId process, Vaddr address) {
  const Vpn page = Geometry<G>::page_of(address);
  if (page.value() >= Geometry<G>::kUserPages) {
    return Errno::kFault;
  }
  const HeldMm<G> held(system, process);
  if (!held) {
    return Errno::kNoProcess;
  }
  Mm& mm = held.mm();
  PendingFlush<G> flush(system, mm);
  const Live live(system, "try-share", held.ref(), flush.range());
  Result<void> shared;
  {
    const MmapReadGuard<G> guard(system, mm);
    if (guard.blocked() || stuck(mm)) {
      return would_block(system, Point::kMmapLock);
    }
    shared = try_share_entry(system, mm, page, flush);
  }
  flush.after_unlock();
  if (!shared && shared.error() == Errno::kAgain) {
    // Linux splits a huge entry before it takes the mark of one of its pages.
    COWHERD_TRY(lock_and_own_tables(system, mm, page));
    return try_share(system, process, address);
  }
  return shared;
}

#define COWHERD_INSTANTIATE(G)                                                  \
  template Result<void> clear_refs<G>(System<G>&, ProcessId, Vaddr, ByteCount); \
  template Result<void> try_share<G>(System<G>&, ProcessId, Vaddr);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
