#pragma once

#include <array>

#include "mm/flush.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// Changes to the VMAs of an address space, and to what is mapped in them. All need the mmap lock for writing, where
// nothing else is said.

/// Cuts `vma` in two at `at`, which lies inside it; `vma` keeps the lower part. ENOMEM, and then nothing has changed.
/// Compare Linux mm/vma.c: __split_vma().
template <class G>
Result<void> split_vma(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn at) COWHERD_REQUIRES(mm.mmap_lock);

/// Merges neighbours that are alike, from the VMA before `range` to the one after it.
/// Compare Linux mm/vma.c: vma_merge_existing_range().
template <class G>
void merge_vmas(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);

/// Makes `range` begin and end where VMAs do, of those for whose flags `changes(flags)` holds. ENOMEM, and then nothing
/// has changed. Compare Linux mm/madvise.c: madvise_update_vma(), mm/mprotect.c: mprotect_fixup(), mm/mlock.c:
/// mlock_fixup().
template <class G, class Changes>
Result<void> split_where(System<G>& system, Mm& mm, PageRange range, Changes&& changes) COWHERD_REQUIRES(mm.mmap_lock) {
  for (const Vpn edge : {range.begin, range.end}) {
    const Ref<Vma> cut = system.areas(mm).at(edge);
    if (!cut || system.at(cut).pages.begin == edge || !changes(system.at(cut).flags)) continue;
    if (auto split = split_vma(system, mm, cut, edge); !split) {
      merge_vmas(system, mm, range);
      return split;
    }
  }
  return {};
}
/// As split_where(), of all VMAs.
template <class G>
Result<void> split_at(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock) {
  return split_where(system, mm, range, [](const VmaFlags&) { return true; });
}

/// Unmaps every page in `range`; the VMAs and the tables stay. Needs the mmap lock for reading only.
/// Compare Linux mm/memory.c: zap_page_range_single().
template <class G>
void zap_range(System<G>& system, Mm& mm, PageRange range, bool keeps_marks = false) COWHERD_REQUIRES(mm.mmap_lock);

/// What remove_vmas() has taken out of an address space, and free_removed() has to give back. Nobody reaches any of it:
/// no CPU, no walker and no reverse map.
template <class G>
struct Removed {
  Removed(System<G>& system, Mm& mm) : flush(system, mm) {}

  /// Linked by `right`.
  Ref<Vma> vmas;
  /// By level, 0 the lowest; linked by their owners.
  std::array<FrameNumber, Tables<G>::kLowerLevels> tables{};
  PendingFlush<G> flush;
  /// Userfaultfd's handler is to be told.
  bool tells = false;
};

/// Removes every VMA in `range`, and what they map. The caller is alone in the address space no longer than it takes to
/// unhook what lies there: a table that holds nothing else goes whole, and its pages with free_removed().
/// Precondition: split_at(range) and own_edges(range). Compare Linux mm/vma.c: vms_gather_munmap_vmas().
template <class G>
void remove_vmas(System<G>& system, Mm& mm, PageRange range, Removed<G>& removed) COWHERD_REQUIRES(mm.mmap_lock);

/// Gives back what was removed; no lock is needed. Compare Linux mm/vma.c: vms_complete_munmap_vmas().
template <class G>
void free_removed(System<G>& system, Removed<G>& removed);

/// The pages of [address, address + length), or EINVAL: not aligned, empty, or beyond user space.
template <class G>
Result<PageRange> page_range(Vaddr address, ByteCount length) {
  constexpr std::uint64_t kLimit = Geometry<G>::kUserPages;
  if (!Geometry<G>::is_aligned(address) || length == ByteCount{0}) {
    return Errno::kInvalid;
  }
  const Vpn first = Geometry<G>::page_of(address);
  const PageCount count = Geometry<G>::pages_for(length);
  if (first.value() >= kLimit || count.value() > kLimit - first.value()) {
    return Errno::kInvalid;
  }
  return PageRange{first, first + count};
}

}  // namespace cowherd::mm
