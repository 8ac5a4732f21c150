#include <algorithm>

#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/cold_pages.hpp"
#include "mm/collapse.hpp"
#include "mm/files.hpp"
#include "mm/hugetlb.hpp"
#include "mm/ksm.hpp"
#include "mm/locks.hpp"
#include "mm/mlock.hpp"
#include "mm/msync.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/populate.hpp"
#include "mm/shared_tables.hpp"
#include "mm/userfault.hpp"

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
    case Advice::kMergeable:
      // Nobody merges hugetlb pages. Compare Linux mm/ksm.c: vma_ksm_compatible().
      flags.mergeable = !flags.hugetlb;
      break;
    case Advice::kUnmergeable:
      flags.mergeable = false;
      break;
    case Advice::kHugePage:
      flags.huge = true;
      break;
    case Advice::kNoHugePage:
      flags.huge = false;
      break;
    case Advice::kDontNeed:
    case Advice::kPopulateRead:
    case Advice::kPopulateWrite:
    case Advice::kLock:
    case Advice::kUnlock:
    case Advice::kSync:
    case Advice::kCold:
    case Advice::kPageOut:
    case Advice::kFree:
    case Advice::kRemove:
    case Advice::kCollapse:
      break;
  }
  return flags;
}

/// Calls `visit(vma, part)` for what is mapped in `range`. Returns whether there was a hole.
template <class G, class Visit>
bool for_each_part(System<G>& system, Mm& mm, PageRange range, Visit&& visit) {
  VmaTree areas = system.areas(mm);
  bool hole = false;
  Vpn at = range.begin;
  const Live live(system, "for-each-part", hole, at);
  while (at < range.end) {
    const Ref<Vma> vma = areas.find(at);
    if (!vma || system.at(vma).pages.begin >= range.end) {
      break;
    }
    const PageRange part = intersect({at, range.end}, system.at(vma).pages);
    hole = hole || part.begin != at;
    at = part.end;
    visit(vma, part);
  }
  return hole || at != range.end;
}

/// Whether hugetlb pages cannot be advised so. Compare Linux mm/madvise.c: madvise_dontneed_free_valid_vma(),
/// can_madv_lru_vma(). What says something of transparent huge pages is taken, and means nothing to them.
bool is_not_of_hugetlb(Advice advice) {
  switch (advice) {
    case Advice::kWipeOnFork:
    case Advice::kFree:
    case Advice::kCold:
    case Advice::kPageOut:
      return true;
    default:
      return false;
  }
}

/// Advice about hugetlb pages that cannot be taken, or about a part of one: EINVAL. What changes nothing may be said of
/// a part. MADV_DONTNEED takes whole pages up to the end of `range`, and leaves alone what is behind the last one.
template <class G>
Result<void> check_hugetlb(System<G>& system, Mm& mm, PageRange range, Advice advice) COWHERD_REQUIRES(mm.mmap_lock) {
  const auto changes = [&](const VmaFlags& flags) {
    const bool says = advice == Advice::kHugePage || advice == Advice::kNoHugePage;
    return says || !advised(flags, advice).like(flags);
  };
  const bool parts_one = advice == Advice::kDontNeed ? cuts_hugetlb(system, mm, {range.begin, range.begin})
                                                     : cuts_hugetlb_where(system, mm, range, changes);
  if (parts_one) return Errno::kInvalid;
  return is_not_of_hugetlb(advice) && any_hugetlb(system, mm, range) ? Result<void>(Errno::kInvalid) : Result<void>();
}

/// The part of `range` before the first memory that mlock keeps: from there on nothing is taken from memory. Compare
/// Linux mm/madvise.c: madvise_dontneed_free_valid_vma(), can_madv_lru_vma().
template <class G>
PageRange until_locked(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock) {
  VmaTree areas = system.areas(mm);
  for (Ref<Vma> vma = areas.find(range.begin); vma && system.at(vma).pages.begin < range.end; vma = areas.next(vma)) {
    const VmaFlags flags = system.at(vma).flags;
    if (!flags.locked || flags.hugetlb || COWHERD_MUTANT(advice_ignores_lock)) continue;
    return {range.begin, std::max(range.begin, system.at(vma).pages.begin)};
  }
  return range;
}

/// A table that is given up with what it shares would take the marks along that stay.
template <class G>
Result<void> own_marked_tables(System<G>& system, Mm& mm, PageRange range) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
  // The analysis does not see the caller's lock.
  if (!system.tables(mm).any_shared(range)) return {};
  VmaTree areas = system.areas(mm);
  for (Ref<Vma> vma = areas.find(range.begin); vma && system.at(vma).pages.begin < range.end; vma = areas.next(vma)) {
    if (keeps_marks(system.at(vma))) COWHERD_TRY(own_tables(system, mm, intersect(range, system.at(vma).pages)));
  }
  return {};
}

/// As discard(), where some VMA is of hugetlb pages.
template <class G>
Result<bool> discard_with_hugetlb(System<G>& system, Mm& mm, PageRange range) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
  Result<void> done;
  const bool hole =
      for_each_part(system, mm, range, [&](Ref<Vma> vma, PageRange part) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
        if (system.at(vma).flags.hugetlb) {
          return zap_hugetlb(system, mm, system.at(vma), {part.begin, Tables<G>::covered(part.end, 1).begin});
        }
        if (auto owned = own_edges(system, mm, part); !owned) {
          done = owned;
          return;
        }
        drop_shared_tables(system, mm, part);
        zap_range(system, mm, part, keeps_marks(system.at(vma)));
      });
  if (!done) return done.error();
  return hole;
}

/// Whether there was a hole. ENOMEM: a table could not be had, and nothing has changed.
template <class G>
Result<bool> discard(System<G>& system, Mm& mm, PageRange range) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
  if (any_hugetlb(system, mm, range)) return discard_with_hugetlb(system, mm, range);
  COWHERD_TRY(own_edges(system, mm, range));
  COWHERD_TRY(own_marked_tables(system, mm, range));
  drop_shared_tables(system, mm, range);
  // The analysis does not see that the caller's lock is held in here too.
  const bool hole =
      for_each_part(system, mm, range, [&](Ref<Vma> vma, PageRange part) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
        zap_range(system, mm, part, keeps_marks(system.at(vma)));
      });
  return hole;
}

/// Whether some memory of the range is shared or a file's: it cannot be empty in a child, nor is it the owner's to
/// lose.
template <class G>
bool maps_files(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock) {
  VmaTree areas = system.areas(mm);
  for (Ref<Vma> vma = areas.find(range.begin); vma && system.at(vma).pages.begin < range.end; vma = areas.next(vma)) {
    if (system.at(vma).mapping) return true;
  }
  return false;
}

template <class G>
Result<void> set_flags(System<G>& system, Mm& mm, PageRange range, Advice advice) COWHERD_REQUIRES(mm.mmap_lock) {
  if (advice == Advice::kWipeOnFork && maps_files(system, mm, range)) return Errno::kInvalid;
  // As in mprotect(): what may fail comes before what changes.
  COWHERD_TRY(
      split_where(system, mm, range, [&](const VmaFlags& flags) { return !advised(flags, advice).like(flags); }));
  const bool hole = for_each_part(system, mm, range, [&](Ref<Vma> vma, PageRange) {
    system.at(vma).flags = advised(system.at(vma).flags, advice);
  });
  merge_vmas(system, mm, range);
  return hole ? Result<void>(Errno::kNoMemory) : Result<void>();
}

bool is_about_reclaim(Advice advice) {
  return advice == Advice::kCold || advice == Advice::kPageOut || advice == Advice::kFree;
}

/// Whether there was a hole.
template <class G>
bool leave_to_reclaim(System<G>& system, Mm& mm, PageRange range, Advice advice,
                      bool alone) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
  // As in discard().
  return for_each_part(system, mm, range, [&](Ref<Vma>, PageRange part) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
    if (advice == Advice::kFree) free_lazily(system, mm, part);
    if (advice == Advice::kCold) make_cold(system, mm, part);
    if (advice == Advice::kPageOut) page_out(system, mm, part, alone);
  });
}

/// Whether there was a hole. `alone`: the mmap lock is held for writing; else no table of the range is shared, and a
/// huge page that comes meanwhile is left alone. ENOMEM, EAGAIN: nothing has changed.
template <class G>
Result<bool> take_from_memory(System<G>& system, Mm& mm, PageRange range, Advice advice, bool alone)
    COWHERD_REQUIRES(mm.mmap_lock) {
  if (range.empty()) return false;
  if (advice == Advice::kDontNeed) return discard(system, mm, range);
  // What goes to swap may go whole.
  const OnHuge on_huge = advice == Advice::kPageOut && system.has_swap() ? OnHuge::kKeep : OnHuge::kSplit;
  if (alone) COWHERD_TRY(own_tables(system, mm, range, on_huge));
  return leave_to_reclaim(system, mm, range, advice, alone);
}

template <class G>
Result<void> discard_or_populate(System<G>& system, Mm& mm, PageRange range, Advice advice, Vpn& at, bool alone)
    COWHERD_REQUIRES(mm.mmap_lock) {
  COWHERD_TRY(check_hugetlb(system, mm, range, advice));
  if (advice == Advice::kDontNeed || is_about_reclaim(advice)) {
    if (advice == Advice::kFree && maps_files(system, mm, range)) return Errno::kInvalid;
    const PageRange allowed = until_locked(system, mm, range);
    COWHERD_TRY_ASSIGN(hole, take_from_memory(system, mm, allowed, advice, alone));
    if (allowed.end < range.end) return Errno::kInvalid;
    return hole ? Result<void>(Errno::kNoMemory) : Result<void>();
  }
  COWHERD_TRY(own_tables(system, mm, range, OnHuge::kOwn));
  return populate(system, mm, range, advice == Advice::kPopulateWrite ? FaultKind::kWrite : FaultKind::kRead, at);
}

/// What is about pages and not about VMAs; `at` says how far populating has come.
template <class G>
Result<void> treat_pages(System<G>& system, Mm& mm, PageRange range, Advice advice, Vpn& at) {
  {
    const MmapReadGuard<G> guard(system, mm);
    if (guard.blocked() || stuck(mm)) {
      return would_block(system, Point::kMmapLock);
    }
    if (!system.tables(mm).any_shared(range) && !any_hugetlb(system, mm, range)) {
      return discard_or_populate(system, mm, range, advice, at, false);
    }
  }
  const Live live(system, "with-own-tables", range);
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) {
    return would_block(system, Point::kMmapLock);
  }
  return discard_or_populate(system, mm, range, advice, at, true);
}

/// Whether a hole may be made where `area` shows its file. EINVAL, EACCES.
Result<void> may_remove(const Vma& area) {
  if (area.flags.locked && !COWHERD_MUTANT(remove_ignores_lock)) return Errno::kInvalid;
  if (!area.mapping && !area.flags.hugetlb) return Errno::kInvalid;
  return area.flags.shared || COWHERD_MUTANT(remove_through_private) ? Result<void>() : Errno::kAccess;
}

/// Makes holes in the files that shared mappings in `range` show. What lies before the first mapping that does not is
/// done. The mmap lock keeps the mappings; nobody takes it with a file lock held. Compare Linux mm/madvise.c:
/// madvise_remove().
template <class G>
Result<void> remove_range(System<G>& system, Mm& mm, PageRange range) {
  const MmapReadGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  Result<void> done;
  const bool hole = for_each_part(system, mm, range, [&](Ref<Vma> vma, PageRange part) {
    if (done) done = may_remove(system.at(vma));
    if (!done) return;
    const FileId file{file_of(system, system.at(vma)).unit};
    done = punch(system, file, PageCount{system.at(vma).index_of(part.begin).value()}, part.count());
  });
  if (!done) return done;
  return hole ? Result<void>(Errno::kNoMemory) : Result<void>();
}

}  // namespace

template <class G>
Result<void> madvise(System<G>& system, ProcessId process, Vaddr address, ByteCount length, Advice advice) {
  Mm& mm = mm_of(system, process);
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, length));
  if (advice == Advice::kDontNeed && COWHERD_MUTANT(dontneed_without_mmap_lock)) {
    COWHERD_TRY_ASSIGN(hole, discard(system, mm, range));
    return hole ? Result<void>(Errno::kNoMemory) : Result<void>();
  }
  switch (advice) {
    case Advice::kDontNeed:
    case Advice::kPopulateRead:
    case Advice::kPopulateWrite:
    case Advice::kCold:
    case Advice::kPageOut:
    case Advice::kFree: {
      Vpn at = range.begin;
      const Live live(system, "treat-pages", range, at);
      while (true) {
        const Result<void> done = treat_pages(system, mm, range, advice, at);
        if (done || !asks_handler(done.error())) return done;
        COWHERD_TRY(wait_for_handler(system, mm, at, done.error()));
      }
    }
    case Advice::kLock:
    case Advice::kUnlock:
      return lock_or_unlock(system, mm, range, advice == Advice::kLock);
    case Advice::kSync:
      return sync_range(system, mm, range);
    case Advice::kRemove:
      return remove_range(system, mm, range);
    case Advice::kCollapse:
      return collapse_range(system, mm, range);
    default: {
      const MmapWriteGuard<G> guard(system, mm);
      if (guard.blocked() || stuck(mm)) {
        return would_block(system, Point::kMmapLock);
      }
      COWHERD_TRY(check_hugetlb(system, mm, range, advice));
      if (advice == Advice::kUnmergeable) COWHERD_TRY(part_merged(system, mm, range));
      return set_flags(system, mm, range, advice);
    }
  }
}

#define COWHERD_INSTANTIATE(G) template Result<void> madvise<G>(System<G>&, ProcessId, Vaddr, ByteCount, Advice);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
