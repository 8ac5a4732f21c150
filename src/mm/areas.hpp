#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

// Changes to the VMAs of an address space, and to what is mapped in them. All need the mmap lock for writing, where
// nothing else is said.

/// Cuts `vma` in two at `at`, which lies inside it; `vma` keeps the lower part. ENOMEM, and then nothing has changed.
/// Compare Linux mm/vma.c: __split_vma().
template <class G>
Result<void> split_vma(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn at) COWHERD_REQUIRES(mm.mmap_lock);

/// Makes the boundaries of `range` boundaries of VMAs too, wherever it cuts one. ENOMEM, and then nothing has changed
/// that can be observed.
template <class G>
Result<void> split_at(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);

/// Merges neighbours that are alike, from the VMA before `range` to the one after it.
/// Compare Linux mm/vma.c: vma_merge_existing_range().
template <class G>
void merge_vmas(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);

/// Unmaps every page in `range`; the VMAs and the tables stay. Needs the mmap lock for reading only.
/// Compare Linux mm/memory.c: zap_page_range_single().
template <class G>
void zap_range(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);

/// Removes every VMA in `range`, and what they map. Precondition: split_at(range).
template <class G>
void remove_vmas(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);

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
