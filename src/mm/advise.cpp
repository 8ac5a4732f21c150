#include "mm/areas.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/populate.hpp"

namespace cowherd::mm {

namespace {

VmaFlags advised(VmaFlags flags, Advice advice) {
  switch (advice) {
    case Advice::kDontFork:
      flags.dont_fork = true;
      break;
    case Advice::kDoFork:
      flags.dont_fork = false;
      break;
    case Advice::kWipeOnFork:
      flags.wipe_on_fork = true;
      break;
    case Advice::kKeepOnFork:
      flags.wipe_on_fork = false;
      break;
    case Advice::kDontNeed:
    case Advice::kPopulateRead:
    case Advice::kPopulateWrite:
      break;
  }
  return flags;
}

}  // namespace

template <class G>
Result<void> madvise(System<G>& system, ProcessId process, Vaddr address, ByteCount length, Advice advice) {
  Mm& mm = mm_of(system, process);
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, length));
  const MmapGuard<G> guard(system, mm.mmap_lock);
  if (guard.blocked() || mm.page_table_lock.held) {
    return Errno::kWouldBlock;
  }
  if (advice == Advice::kPopulateRead || advice == Advice::kPopulateWrite) {
    return populate(system, mm, range, advice == Advice::kPopulateWrite ? FaultKind::kWrite : FaultKind::kRead);
  }
  if (advice != Advice::kDontNeed) {
    // As in mprotect(): what may fail comes before what changes.
    COWHERD_TRY(split_at(system, mm, range));
  }
  VmaTree areas = system.areas(mm);
  bool hole = false;
  Vpn at = range.begin;
  while (at < range.end) {
    const Ref<Vma> vma = areas.find(at);
    if (!vma || system.at(vma).pages.begin >= range.end) {
      break;
    }
    const PageRange part = intersect({at, range.end}, system.at(vma).pages);
    hole = hole || part.begin != at;
    at = part.end;
    if (advice == Advice::kDontNeed) {
      zap_range(system, mm, part);
    } else {
      system.at(vma).flags = advised(system.at(vma).flags, advice);
    }
  }
  merge_vmas(system, mm, range);
  hole = hole || at != range.end;
  return hole ? Result<void>(Errno::kNoMemory) : Result<void>();
}

#define COWHERD_INSTANTIATE(G) template Result<void> madvise<G>(System<G>&, ProcessId, Vaddr, ByteCount, Advice);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
