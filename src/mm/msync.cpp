#include "mm/msync.hpp"

#include "base/try.hpp"
#include "mm/files.hpp"
#include "mm/locks.hpp"

namespace cowherd::mm {

template <class G>
Result<void> sync_range(System<G>& system, Mm& mm, PageRange range) {
  const MmapReadGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) {
    return would_block(system, Point::kMmapLock);
  }
  bool hole = false;
  Vpn at = range.begin;
  const Live live(system, "sync-range", hole, at);
  while (at < range.end) {
    const Ref<Vma> vma = system.areas(mm).find(at);
    if (!vma || system.at(vma).pages.begin >= range.end) break;
    const Vma& area = system.at(vma);
    const PageRange part = intersect({at, range.end}, area.pages);
    hole = hole || part.begin != at;
    at = part.end;
    if (!area.flags.shared || !area.mapping) continue;
    const auto first = static_cast<std::uint32_t>(area.index_of(part.begin).value());
    const auto end = first + static_cast<std::uint32_t>(part.count().value());
    COWHERD_TRY(writeback_range(system, file_of(system, area), first, end));
  }
  return hole || at != range.end ? Result<void>(Errno::kNoMemory) : Result<void>();
}

#define COWHERD_INSTANTIATE(G) template Result<void> sync_range<G>(System<G>&, Mm&, PageRange);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
