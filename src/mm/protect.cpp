#include "mm/areas.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

namespace {

/// What an entry becomes under a new protection. Compare Linux mm/mprotect.c: change_pte_range().
template <class G>
Entry reprotected(System<G>& system, Entry entry, Protection protection) {
  bool writable = entry.writable();
  if (!has(protection, Protection::kWrite)) {
    writable = false;
  } else if (system.rules().protect_upgrade == ProtectUpgrade::kMapWritable) {
    const FrameState frame = system.state(entry.frame());
    writable = writable || (frame.anon && frame.exclusive && entry.dirty());
  }
  return entry.with_user(protection != Protection::kNone).with_writable(writable);
}

}  // namespace

template <class G>
Result<void> mprotect(System<G>& system, ProcessId process, Vaddr address, ByteCount length, Protection protection) {
  Mm& mm = mm_of(system, process);
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, length));
  const MmapGuard<G> guard(system, mm.mmap_lock);
  if (guard.blocked() || mm.page_table_lock.held) {
    return Errno::kWouldBlock;
  }
  // All VMAs that this may need come first: once a protection has changed nothing fails for want of memory.
  COWHERD_TRY(split_at(system, mm, range));
  VmaTree areas = system.areas(mm);
  auto tables = system.tables(mm);
  Vpn at = range.begin;
  for (Ref<Vma> vma = areas.at(at); vma && at < range.end; vma = areas.at(at)) {
    const PageRange part = system.at(vma).pages;
    at = part.end;
    if (system.at(vma).flags.protection == protection) {
      continue;
    }
    system.at(vma).flags.protection = protection;
    const PageTableGuard<G> table_guard(system, mm.page_table_lock);
    tables.for_each(part, [&](Vpn, Entry* slot) {
      tables.set(slot, reprotected(system, *slot, protection));
      return true;
    });
  }
  merge_vmas(system, mm, range);
  return at < range.end ? Result<void>(Errno::kNoMemory) : Result<void>();
}

#define COWHERD_INSTANTIATE(G) template Result<void> mprotect<G>(System<G>&, ProcessId, Vaddr, ByteCount, Protection);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
