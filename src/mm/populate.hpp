#pragma once

#include <algorithm>

#include "mm/fault.hpp"
#include "mm/sync.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

/// Faults in every page of `range` as an access of `kind` would. ENOMEM at a hole or for want of memory; EINVAL where
/// the protection forbids the access; EFAULT behind the end of a file. What lies before the failure is populated.
/// kAsksToRead, kAsksToWrite. `page`, which begins at the range's begin or within it, says how far it came.
/// Compare Linux mm/gup.c: faultin_page_range().
template <class G>
Result<void> populate(System<G>& system, Mm& mm, PageRange range, FaultKind kind, Vpn& page)
    COWHERD_REQUIRES(mm.mmap_lock) {
  // A quarter of a MiB is half of a small second-level cache.
  constexpr PageCount kMany{64};
  const std::size_t near = range.count() >= kMany ? kOneOfMany : 0;
  const Live live(system, "populate", page);
  while (page < range.end) {
    const Ref<Vma> vma = system.areas(mm).at(page);
    if (!vma) {
      return Errno::kNoMemory;
    }
    const Protection protection = system.at(vma).flags.protection;
    if (kind == FaultKind::kWrite ? !has(protection, Protection::kWrite) : protection == Protection::kNone) {
      return Errno::kInvalid;
    }
    // The mmap lock keeps the VMA as it is.
    for (const Vpn end = std::min(range.end, system.at(vma).pages.end); page < end;) {
      auto handled = handle_fault(system, mm, vma, page, kind, near);
      // Behind the end of a file.
      if (!handled) return handled.error() == Errno::kSigBus ? Errno::kFault : handled.error();
      if (*handled != Faulted::kGaveWay) ++page;
    }
  }
  return {};
}

}  // namespace cowherd::mm
