#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/fault.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/populate.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

namespace {

/// Where a new mapping goes. EEXIST, ENOMEM.
template <class G>
Result<PageRange> place(System<G>& system, Mm& mm, Vaddr address, PageRange wanted, MapFlags flags) {
  VmaTree areas = system.areas(mm);
  const auto is_free = [&](PageRange range) {
    const Ref<Vma> next = areas.find(range.begin);
    return !next || system.at(next).pages.begin >= range.end;
  };
  if (has(flags, MapFlags::kFixedNoReplace)) {
    return is_free(wanted) ? Result<PageRange>(wanted) : Errno::kExist;
  }
  if (has(flags, MapFlags::kFixed) || (address != Vaddr{0} && is_free(wanted))) {
    return wanted;
  }
  constexpr Vpn kEnd{Geometry<G>::kUserPages};
  const Vpn hole = areas.find_hole(wanted.count(), Vpn{G::kFirstMapPage}, kEnd);
  if (hole == kEnd) {
    return Errno::kNoMemory;
  }
  return PageRange{hole, hole + wanted.count()};
}

}  // namespace

template <class G>
Result<Vaddr> mmap(System<G>& system, ProcessId process, Vaddr address, ByteCount length, Protection protection,
                   MapFlags flags) {
  Mm& mm = mm_of(system, process);
  COWHERD_TRY_ASSIGN(wanted, page_range<G>(address, length));
  PageRange range;
  Removed<G> removed(system, mm);
  const Live live(system, "mmap", removed.vmas, removed.tables, removed.flush.range());
  {
    const MmapWriteGuard<G> guard(system, mm);
    if (guard.blocked() || stuck(mm)) {
      return would_block(system, Point::kMmapLock);
    }
    COWHERD_TRY_ASSIGN(placed, place(system, mm, address, wanted, flags));
    range = placed;
    auto vma = system.frames().template make<Vma>();
    if (!vma) {
      return vma.error();
    }
    auto ready = split_at(system, mm, range);
    if (ready) {
      const Live owning(system, "own-edges-of", range, *vma);
      ready = own_edges(system, mm, range);
      if (!ready) merge_vmas(system, mm, range);
    }
    if (!ready) {
      if (!COWHERD_MUTANT(failed_mmap_leaks_vma)) system.frames().destroy(*vma);
      return ready.error();
    }
    const Live placing(system, "place", range, *vma);
    remove_vmas(system, mm, range, removed);
    Vma& added = system.at(*vma);
    added.pages = range;
    added.index = range.begin;
    added.mm = system.at(process_ref<G>(process)).mm;
    added.flags = {.protection = protection, .soft_dirty = true, .secret = has(flags, MapFlags::kSecret)};
    system.areas(mm).insert(*vma);
    merge_vmas(system, mm, range);
    if (has(flags, MapFlags::kPopulate)) {
      free_removed(system, removed);
      // A mapping that could not be filled is still a mapping. Compare Linux mm/gup.c: __mm_populate().
      const auto kind = has(protection, Protection::kWrite) ? FaultKind::kWrite : FaultKind::kRead;
      auto populated = own_tables(system, mm, range);
      if (populated) populated = populate(system, mm, range, kind);
      if (!populated && populated.error() == Errno::kWouldBlock) {
        return Errno::kWouldBlock;
      }
    }
  }
  const Live placed(system, "placed", range);
  free_removed(system, removed);
  return Geometry<G>::address_of(range.begin);
}

template <class G>
Result<void> munmap(System<G>& system, ProcessId process, Vaddr address, ByteCount length) {
  Mm& mm = mm_of(system, process);
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, length));
  Removed<G> removed(system, mm);
  const Live live(system, "munmap", removed.vmas, removed.tables, removed.flush.range());
  {
    const MmapWriteGuard<G> guard(system, mm);
    if (guard.blocked() || stuck(mm)) {
      return would_block(system, Point::kMmapLock);
    }
    COWHERD_TRY(split_at(system, mm, range));
    if (auto owned = own_edges(system, mm, range); !owned) {
      merge_vmas(system, mm, range);
      return owned;
    }
    remove_vmas(system, mm, range, removed);
  }
  free_removed(system, removed);
  return {};
}

#define COWHERD_INSTANTIATE(G)                                                                   \
  template Result<Vaddr> mmap<G>(System<G>&, ProcessId, Vaddr, ByteCount, Protection, MapFlags); \
  template Result<void> munmap<G>(System<G>&, ProcessId, Vaddr, ByteCount);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
