#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/flush.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

namespace {

/// What an entry becomes under a new protection. Compare Linux mm/mprotect.c: change_pte_range().
template <class G>
Entry reprotected(System<G>& system, Entry entry, Protection protection) {
  bool writable = entry.writable();
  if (!has(protection, Protection::kWrite)) {
    writable = writable && COWHERD_MUTANT(protect_leaves_writable);
  } else if (system.rules().protect_upgrade == ProtectUpgrade::kMapWritable) {
    const FrameState frame = system.state(entry.frame());
    const bool own = frame.exclusive || COWHERD_MUTANT(protect_upgrades_shared_page);
    writable = writable || (frame.anon && own && entry.dirty());
  }
  const bool user = protection != Protection::kNone || COWHERD_MUTANT(protect_leaves_accessible);
  return entry.with_user(user).with_writable(writable);
}

template <class G>
void reprotect_range(System<G>& system, Mm& mm, PageRange range, Protection protection, PendingFlush<G>& flush) {
  auto tables = system.tables(mm);
  Vpn at = tables.next_used(range.begin, range.end);
  const Live live(system, "reprotect-range", at);
  while (at < range.end) {
    const PageRange chunk = intersect(range, {at, Tables<G>::table_end(at)});
    const PageTableGuard<G> guard(system, mm, tables.find(at));
    if (guard.blocked()) {
      return;
    }
    tables.for_each(chunk, [&](Vpn page, EntrySlot slot) {
      at = page;
      point(system, mm, Point::kSetEntry);
      Entry entry = slot.load();
      Entry wanted = reprotected(system, entry, protection);
      // A processor may set the accessed or the dirty bit meanwhile.
      while (!slot.replace(entry, wanted)) wanted = reprotected(system, entry, protection);
      if (wanted != entry && !COWHERD_MUTANT(protect_without_flush)) flush.add({page, page + PageCount{1}});
      return true;
    });
    at = tables.next_used(chunk.end, range.end);
  }
}

}  // namespace

template <class G>
Result<void> mprotect(System<G>& system, ProcessId process, Vaddr address, ByteCount length, Protection protection) {
  Mm& mm = mm_of(system, process);
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, length));
  PendingFlush<G> flush(system, mm);
  const Live live(system, "mprotect", flush.range());
  bool hole = false;
  {
    MmapWriteGuard<G> guard(system, mm);
    if (guard.blocked() || stuck(mm)) {
      return would_block(system, Point::kMmapLock);
    }
    // All VMAs that this may need come first: once a protection has changed nothing fails for want of memory.
    COWHERD_TRY(split_at(system, mm, range));
    if (auto owned = own_tables(system, mm, range); !owned) {
      merge_vmas(system, mm, range);
      return owned;
    }
    if (COWHERD_MUTANT(protect_unlocks_early)) guard.release();
    VmaTree areas = system.areas(mm);
    Vpn at = range.begin;
    const Live walked(system, "areas", at);
    for (Ref<Vma> vma = areas.at(at); vma && at < range.end; vma = areas.at(at)) {
      const PageRange part = system.at(vma).pages;
      if (system.at(vma).flags.protection != protection) {
        system.at(vma).flags.protection = protection;
        reprotect_range(system, mm, part, protection, flush);
      }
      at = part.end;
    }
    flush.before_unlock();
    merge_vmas(system, mm, range);
    hole = at < range.end;
  }
  flush.after_unlock();
  return hole ? Result<void>(Errno::kNoMemory) : Result<void>();
}

#define COWHERD_INSTANTIATE(G) template Result<void> mprotect<G>(System<G>&, ProcessId, Vaddr, ByteCount, Protection);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
