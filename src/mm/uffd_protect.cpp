#include <algorithm>

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

/// Sets, or clears, what stands where no page is.
template <class G>
void set_marker(System<G>& system, Mm& mm, Vpn page, EntrySlot slot, bool protect) {
  point(system, mm, Point::kSetEntry);
  (void)system.tables(mm).set(slot, protect ? Entry::marker() : Entry{});
  system.note({.kind = protect ? EventKind::kUffdProtected : EventKind::kUffdUnprotected,
               .decision = Decision::kUffdWpFile,
               .page = page});
}

/// One entry, its table's lock held. Where a page is nowhere and no marker can stand there is nothing to mark: the
/// first write to it is a fault as any other. Compare Linux mm/mprotect.c: change_pte_range() with MM_CP_UFFD_WP.
template <class G>
void mark_entry(System<G>& system, Mm& mm, Vpn page, EntrySlot slot, bool protect, PendingFlush<G>& flush) {
  Entry entry = take_back(system, mm, slot, slot.load());
  if (entry.is_empty()) {
    if (entry.is_marker() != protect) set_marker(system, mm, page, slot, protect);
    return;
  }
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

/// The tables for markers. ENOMEM, and nothing has changed. Compare Linux mm/mprotect.c: pgtable_split_needed(),
/// change_pmd_prepare().
template <class G>
Result<void> make_room_for_markers(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock) {
  Vpn at = range.begin;
  const Live live(system, "make-room", at);
  while (at < range.end) {
    const Ref<Vma> vma = system.areas(mm).at(at);
    const Vpn end = std::min({range.end, system.at(vma).pages.end, Tables<G>::table_end(at)});
    if (uses_markers(system, system.at(vma)) && !system.tables(mm).find(at)) {
      COWHERD_TRY(make_slot(system, mm, at));
    }
    at = end;
  }
  return {};
}

/// Where the next page to be marked is: any in a VMA that uses markers, else one that has an entry.
template <class G>
Vpn next_to_mark(System<G>& system, Mm& mm, Vpn at, Vpn end, bool protect) {
  VmaTree areas = system.areas(mm);
  while (at < end) {
    const Ref<Vma> vma = areas.find(at);
    if (!vma || system.at(vma).pages.begin >= end) return end;
    at = std::max(at, system.at(vma).pages.begin);
    const Vpn here = std::min(end, system.at(vma).pages.end);
    if (protect && uses_markers(system, system.at(vma)) && system.tables(mm).find(at)) return at;
    const Vpn used = system.tables(mm).next_used(at, here);
    if (used < here) return used;
    at = here;
  }
  return end;
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
  if (protect) COWHERD_TRY(make_room_for_markers(system, mm, range));
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
  Vpn at = next_to_mark(system, mm, range.begin, range.end, protect);
  const Live live(system, "mark-range", at, protect, flush.range());
  while (at < range.end) {
    const Vma& area = system.at(system.areas(mm).at(at));
    const PageRange chunk = intersect(intersect(range, area.pages), {at, Tables<G>::table_end(at)});
    const bool all = protect && uses_markers(system, area);
    {
      const EntrySlot first = tables.find(at);
      const PageTableGuard<G> guard(system, mm, first);
      if (guard.blocked()) return;
      const FrameNumber table = tables.table_of(first);
      for (; at < chunk.end; ++at) {
        const EntrySlot slot = tables.slot_in(table, at);
        if (all || !slot.load().none()) mark_entry(system, mm, at, slot, protect, flush);
      }
      if (system.rules().uffd_flush == UffdFlush::kBeforeUnlock) flush.after_unlock();
    }
    at = next_to_mark(system, mm, chunk.end, range.end, protect);
  }
  flush.after_unlock();
}

template <class G>
Result<void> copy_marks(System<G>& system, Mm& parent, Mm& child, PageRange range) {
  auto parents = system.tables(parent);
  Vpn at = parents.next_used(range.begin, range.end, true);
  const Live live(system, "copy-marks", at);
  while (at < range.end) {
    const Vpn end = intersect(range, {at, Tables<G>::table_end(at)}).end;
    COWHERD_TRY(own_tables(system, parent, at, OnHuge::kKeep));
    for (; at < end; ++at) {
      const EntrySlot from = parents.find(at);
      if (!from || !from.load().uffd_wp()) continue;
      COWHERD_TRY_ASSIGN(to, system.tables(child).obtain(at));
      const PageTableGuard<G> child_guard(system, child, to);
      const PageTableGuard<G> parent_guard(system, parent, from);
      if (child_guard.blocked() || parent_guard.blocked()) return would_block(system, Point::kPageTableLock);
      if (from.load().uffd_wp()) (void)system.tables(child).set(to, Entry::marker());
    }
    at = parents.next_used(end, range.end, true);
  }
  return {};
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

#define COWHERD_INSTANTIATE(G)                                          \
  template void mark_range<G>(System<G>&, Mm&, PageRange, bool);        \
  template Result<void> copy_marks<G>(System<G>&, Mm&, Mm&, PageRange); \
  template Result<void> uffd_write_protect<G>(System<G>&, ProcessId, Vaddr, ByteCount, bool);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
