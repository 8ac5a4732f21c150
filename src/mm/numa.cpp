#include "mm/numa.hpp"

#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/flush.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

namespace {

template <class G>
bool leaves_alone(System<G>& system, FrameNumber frame) {
  const FrameState page = system.state(frame);
  if (page.zero_page || page.merged) return true;
  if (COWHERD_MUTANT(numa_hint_ignores_holders)) return false;
  return system.rules().numa_skip == NumaSkip::kHeld ? page.references != 1 : page.mapcount != 1;
}

/// Closes the entries of one lowest table in `range`. Compare Linux mm/mprotect.c: change_pte_range().
template <class G>
void hint_table(System<G>& system, Mm& mm, PageRange range, PendingFlush<G>& flush) {
  auto tables = system.tables(mm);
  const auto walk = tables.walk_to(range.begin);
  // What several address spaces have changes for none of them.
  if (walk.shared) return;
  const PageTableGuard<G> guard(system, mm, walk.slot);
  if (guard.blocked()) return;
  Vpn at = range.begin;
  const Live live(system, "hint-table", at);
  tables.for_each(range, [&](Vpn page, EntrySlot slot) {
    at = page;
    Entry entry = slot.load();
    if (!entry.present() || !entry.user()) return true;
    point(system, Point::kReadCounts);
    if (leaves_alone(system, slot.load().frame())) return true;
    point(system, mm, Point::kProtectEntry);
    entry = slot.load();
    while (!slot.replace(entry, entry.with_user(false).with_writable(false))) {
    }
    flush.add({page, page + PageCount{1}});
    return true;
  });
}

}  // namespace

template <class G>
Result<void> numa_hint(System<G>& system, ProcessId process, Vaddr address, ByteCount length) {
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, length));
  const HeldMm<G> held(system, process);
  if (!held) {
    return Errno::kNoProcess;
  }
  Mm& mm = held.mm();
  PendingFlush<G> flush(system, mm);
  Vpn at = range.begin;
  const Live live(system, "numa-hint", held.ref(), flush.range(), at);
  {
    const MmapReadGuard<G> guard(system, mm);
    if (guard.blocked() || stuck(mm)) {
      return would_block(system, Point::kMmapLock);
    }
    auto tables = system.tables(mm);
    for (at = tables.next_used(at, range.end); at < range.end; at = tables.next_used(at, range.end)) {
      const PageRange chunk = intersect(range, {at, Tables<G>::table_end(at)});
      hint_table(system, mm, chunk, flush);
      at = chunk.end;
    }
    flush.before_unlock();
  }
  flush.after_unlock();
  return {};
}

template <class G>
Result<void> fault_on_hint(System<G>& system, Mm& mm, const Vma& vma, EntrySlot slot, Entry seen) {
  const PageTableGuard<G> guard(system, mm, slot);
  if (guard.blocked()) {
    return would_block(system, Point::kPageTableLock);
  }
  const Entry entry = slot.load();
  if (entry != seen || COWHERD_MUTANT(numa_hint_never_restored)) return {};
  const FrameDescriptor& frame = system.descriptor(entry.frame());
  const bool own = frame.use() == FrameUse::kAnon && (frame.exclusive() || COWHERD_MUTANT(numa_hint_restores_shared));
  const bool writable = own && entry.dirty() && entry.soft_dirty() && !entry.uffd_wp() &&
                        has(vma.flags.protection, Protection::kWrite) &&
                        system.rules().protect_upgrade == ProtectUpgrade::kMapWritable;
  point(system, mm, Point::kSetEntry);
  slot.store(entry.with_user(true).with_young(true).with_writable(writable));
  return {};
}

#define COWHERD_INSTANTIATE(G)                                                 \
  template Result<void> numa_hint<G>(System<G>&, ProcessId, Vaddr, ByteCount); \
  template Result<void> fault_on_hint<G>(System<G>&, Mm&, const Vma&, EntrySlot, Entry);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
