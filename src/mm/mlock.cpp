#include "mm/mlock.hpp"

#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/hugetlb.hpp"
#include "mm/locks.hpp"
#include "mm/populate.hpp"
#include "mm/shared_tables.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// Brings in what has become locked, from `at` on, as a write would where the mapping allows it.
template <class G>
Result<void> bring_in(System<G>& system, Mm& mm, PageRange range, Vpn& at) COWHERD_REQUIRES(mm.mmap_lock) {
  COWHERD_TRY(own_tables(system, mm, range, OnHuge::kOwn));
  const Live live(system, "bring-in", at);
  while (at < range.end) {
    const Ref<Vma> vma = system.areas(mm).at(at);
    if (!vma) return Errno::kNoMemory;
    const PageRange part = intersect({at, range.end}, system.at(vma).pages);
    const bool writable = has(system.at(vma).flags.protection, Protection::kWrite);
    auto populated = populate(system, mm, part, writable ? FaultKind::kWrite : FaultKind::kRead, at);
    if (!populated) {
      // Compare Linux mm/mlock.c: __mlock_posix_error_return().
      const bool closed = populated.error() == Errno::kInvalid || populated.error() == Errno::kFault ||
                          populated.error() == Errno::kHwPoison;
      return closed ? Errno::kNoMemory : populated.error();
    }
  }
  return {};
}

/// After the handler has decided about the page at `at`.
template <class G>
Result<void> bring_in_more(System<G>& system, Mm& mm, PageRange range, Vpn& at) {
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) {
    return would_block(system, Point::kMmapLock);
  }
  return bring_in(system, mm, range, at);
}

/// Says of the VMAs that they are locked, or not, and brings in what is.
template <class G>
Result<void> mark_and_bring_in(System<G>& system, Mm& mm, PageRange range, bool locks, Vpn& brought) {
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) {
    return would_block(system, Point::kMmapLock);
  }
  // hugetlb memory stays anyway: nothing is said of it, so that a part of a page will do. Compare Linux mm/mlock.c:
  // mlock_fixup().
  COWHERD_TRY(
      split_where(system, mm, range, [&](const VmaFlags& flags) { return flags.locked != locks && !flags.hugetlb; }));
  VmaTree areas = system.areas(mm);
  Vpn at = range.begin;
  for (Ref<Vma> vma = areas.at(at); vma && at < range.end; vma = areas.at(at)) {
    VmaFlags& flags = system.at(vma).flags;
    if (!flags.hugetlb) flags.locked = locks && !COWHERD_MUTANT(mlock_forgotten);
    at = system.at(vma).pages.end;
  }
  merge_vmas(system, mm, range);
  if (at < range.end) return Errno::kNoMemory;
  return locks ? bring_in(system, mm, range, brought) : Result<void>();
}

}  // namespace

template <class G>
Result<void> lock_or_unlock(System<G>& system, Mm& mm, PageRange range, bool locks) {
  Vpn at = range.begin;
  const Live live(system, "lock-or-unlock", range, locks, at);
  Result<void> done = mark_and_bring_in(system, mm, range, locks, at);
  while (!done && asks_handler(done.error())) {
    COWHERD_TRY(wait_for_handler(system, mm, at, done.error()));
    done = bring_in_more(system, mm, range, at);
  }
  return done;
}

#define COWHERD_INSTANTIATE(G) template Result<void> lock_or_unlock<G>(System<G>&, Mm&, PageRange, bool);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
