#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/device_exclusive.hpp"
#include "mm/flush.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// The entry with the mark: not writable, and on its way to nowhere where it may be written.
Entry marked(Entry entry) {
  const bool keeps = COWHERD_MUTANT(uffd_wp_keeps_writable);
  if (entry.present()) entry = keeps ? entry : entry.with_writable(false);
  if (entry.migration()) entry = entry.with_migration_readable();
  return entry.with_uffd_wp(true);
}

/// One entry, its table's lock held. A page that is nowhere has none to mark: the first write to it is a fault as any
/// other. Compare Linux mm/mprotect.c: change_pte_range() with MM_CP_UFFD_WP.
template <class G>
void mark_entry(System<G>& system, Mm& mm, Vpn page, EntrySlot slot, bool protect, PendingFlush<G>& flush) {
  Entry entry = take_back(system, mm, slot, slot.load());
  const bool done = protect ? entry.uffd_wp() && !entry.writable() : !entry.uffd_wp();
  if (entry.poison() || done) return;
  point(system, mm, protect ? Point::kProtectEntry : Point::kSetEntry);
  entry = slot.load();
  while (!slot.replace(entry, protect ? marked(entry) : entry.with_uffd_wp(false))) {
  }
  if (protect && entry.writable() && !COWHERD_MUTANT(uffd_wp_without_flush)) flush.add({page, page + PageCount{1}});
  system.note({.kind = protect ? EventKind::kUffdProtected : EventKind::kUffdUnprotected,
               .decision = Decision::kUffdFlush,
               .page = page,
               .frame = entry.present() ? entry.frame() : FrameNumber{}});
}

/// Whether every page of the range is in memory that is registered for this.
template <class G>
bool all_registered(System<G>& system, Mm& mm, PageRange range) {
  VmaTree areas = system.areas(mm);
  Vpn at = range.begin;
  while (at < range.end) {
    const Ref<Vma> vma = areas.at(at);
    if (!vma || !has(system.at(vma).flags.uffd, UffdFlags::kWriteProtect)) return false;
    at = system.at(vma).pages.end;
  }
  return true;
}

template <class G>
Result<void> protect_locked(System<G>& system, Mm& mm, PageRange range, bool protect) {
  const MmapReadGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  if (has_unread(mm)) return Errno::kAgain;
  if (!all_registered(system, mm, range)) return Errno::kNoEntry;
  if (system.tables(mm).any_shared(range)) return kTablesShared;
  mark_range(system, mm, range, protect);
  return {};
}

/// Tables that other address spaces have too, and huge entries, are none of which one page can change.
template <class G>
Result<void> make_tables_own(System<G>& system, Mm& mm, PageRange range) {
  const Live live(system, "make-tables-own", range);
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  return own_tables(system, mm, range);
}

}  // namespace

/// Others fault meanwhile, since the mmap lock is held for reading:
///
///   handler                                two threads of the process
///   write-protect the entry, unlock the table
///                                          the handler takes that back; T1 faults, copies the page, stores to the copy
///                                          T2's CPU still knows the old page as writable: its store is lost
///   flush
///
/// Allowed because the flush comes before the table is unlocked (`uffd-flush=before-unlock`).
template <class G>
void mark_range(System<G>& system, Mm& mm, PageRange range, bool protect) {
  auto tables = system.tables(mm);
  PendingFlush<G> flush(system, mm);
  Vpn at = tables.next_used(range.begin, range.end);
  const Live live(system, "mark-range", at, protect, flush.range());
  while (at < range.end) {
    const PageRange chunk = intersect(range, {at, Tables<G>::table_end(at)});
    {
      const PageTableGuard<G> guard(system, mm, tables.find(at));
      if (guard.blocked()) return;
      tables.for_each(chunk, [&](Vpn page, EntrySlot slot) {
        at = page;
        mark_entry(system, mm, page, slot, protect, flush);
        return true;
      });
      if (system.rules().uffd_flush == UffdFlush::kBeforeUnlock) flush.after_unlock();
    }
    at = tables.next_used(chunk.end, range.end);
  }
  flush.after_unlock();
}

template <class G>
Result<void> uffd_write_protect(System<G>& system, ProcessId process, Vaddr address, ByteCount length, bool protect) {
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, length));
  const HeldMm<G> held(system, process);
  if (!held) return Errno::kNoProcess;
  const Live live(system, "uffd-write-protect", held.ref(), range);
  while (true) {
    auto done = protect_locked(system, held.mm(), range, protect);
    if (done || done.error() != kTablesShared) return done;
    COWHERD_TRY(make_tables_own(system, held.mm(), range));
  }
}

#define COWHERD_INSTANTIATE(G)                                   \
  template void mark_range<G>(System<G>&, Mm&, PageRange, bool); \
  template Result<void> uffd_write_protect<G>(System<G>&, ProcessId, Vaddr, ByteCount, bool);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
