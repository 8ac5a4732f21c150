#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/files.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/shared_tables.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// Whether a handler can decide such faults in this memory. Compare Linux include/linux/userfaultfd_k.h:
/// vma_can_userfault().
template <class G>
bool can_register(System<G>& system, const Vma& vma, UffdFlags modes) {
  if (vma.flags.secret || vma.flags.hugetlb) return false;
  const Rules& rules = system.rules();
  if (has(modes, UffdFlags::kWpUnpopulated) && rules.uffd_wp_absent == UffdWpAbsent::kRefuse) return false;
  if (!vma.mapping) return !has(modes, UffdFlags::kMinor);
  // Of files only those in memory. Marks have to outlive the entries.
  const bool marks = has(modes, UffdFlags::kWriteProtect) && rules.uffd_wp_file == UffdWpFile::kRefuse;
  return !system.at(file_of(system, vma)).on_disk() && !marks;
}

/// Calls `visit(vma)` for each VMA with pages in `range`.
template <class G, class Visit>
void for_each_vma(System<G>& system, Mm& mm, PageRange range, Visit&& visit) COWHERD_REQUIRES(mm.mmap_lock) {
  VmaTree areas = system.areas(mm);
  for (Ref<Vma> vma = areas.find(range.begin); vma && system.at(vma).pages.begin < range.end; vma = areas.next(vma)) {
    visit(vma);
  }
}

/// EINVAL: nothing is mapped there, or something that no handler can decide for.
template <class G>
Result<void> check_range(System<G>& system, Mm& mm, PageRange range, UffdFlags modes) COWHERD_REQUIRES(mm.mmap_lock) {
  bool any = false;
  bool can = true;
  for_each_vma(system, mm, range, [&](Ref<Vma> vma) {
    any = true;
    can = can && can_register(system, system.at(vma), modes);
  });
  return any && can ? Result<void>() : Result<void>(Errno::kInvalid);
}

/// What was write-protected is so no more where nobody can take that back.
template <class G>
void drop_marks(System<G>& system, Mm& mm, PageRange range, UffdFlags modes) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
  // The analysis does not see that the caller's lock is held in here too.
  if (has(modes, UffdFlags::kWriteProtect)) return;
  for_each_vma(system, mm, range, [&](Ref<Vma> vma) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
    const Vma& area = system.at(vma);
    if (!has(area.flags.uffd, UffdFlags::kWriteProtect)) return;
    if (!COWHERD_MUTANT(unregistered_keeps_uffd_wp)) mark_range(system, mm, intersect(area.pages, range), false);
  });
}

template <class G>
bool any_protected(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock) {
  bool any = false;
  for_each_vma(system, mm, range,
               [&](Ref<Vma> vma) { any = any || has(system.at(vma).flags.uffd, UffdFlags::kWriteProtect); });
  return any;
}

/// The range is registered for `modes` from now on, and for nothing else.
template <class G>
Result<void> set_modes(System<G>& system, ProcessId process, Vaddr address, ByteCount length, UffdFlags modes) {
  Mm& mm = mm_of(system, process);
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, length));
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  COWHERD_TRY(check_range(system, mm, range, modes));
  const Live live(system, "uffd-register", range);
  // What may fail comes before what changes.
  COWHERD_TRY(split_at(system, mm, range));
  if (any_protected(system, mm, range)) {
    if (auto owned = own_tables(system, mm, range); !owned) {
      merge_vmas(system, mm, range);
      return owned;
    }
  }
  drop_marks(system, mm, range, modes);
  for_each_vma(system, mm, range, [&](Ref<Vma> vma) { system.at(vma).flags.uffd = modes; });
  merge_vmas(system, mm, range);
  return {};
}

}  // namespace

template <class G>
Result<void> uffd_register(System<G>& system, ProcessId process, Vaddr address, ByteCount length, UffdFlags modes) {
  const auto asked = static_cast<unsigned>(modes);
  const auto faults = static_cast<unsigned>(UffdFlags::kMissing | UffdFlags::kWriteProtect | UffdFlags::kMinor);
  if ((asked & faults) == 0) return Errno::kInvalid;
  return set_modes(system, process, address, length, modes);
}

template <class G>
Result<void> uffd_unregister(System<G>& system, ProcessId process, Vaddr address, ByteCount length) {
  return set_modes(system, process, address, length, UffdFlags::kNone);
}

#define COWHERD_INSTANTIATE(G)                                                                \
  template Result<void> uffd_register<G>(System<G>&, ProcessId, Vaddr, ByteCount, UffdFlags); \
  template Result<void> uffd_unregister<G>(System<G>&, ProcessId, Vaddr, ByteCount);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
