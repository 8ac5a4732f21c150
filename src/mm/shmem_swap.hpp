#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

// Pages of files in memory (Linux: shmem) in swap. What stands for such a page in its file's index is its frame or its
// slot, never both: whoever looks for the page under the mapping lock finds the one way to it. The file counts once in
// the slot. While the page is on its way it is locked, in the swap cache, and nobody's.
//
// All of this needs a machine with swap.

/// The file in memory of small pages that `vma` maps; null where it maps none.
template <class G>
Ref<File> shmem_of(System<G>& system, const Vma& vma);
/// Whether `frame`, a user page, is a page of such a file, and in its cache.
template <class G>
bool is_shmem(System<G>& system, FrameNumber frame);

/// Whether reclaim may send `frame`, a user page, to swap at all.
template <class G>
bool goes_to_swap(System<G>& system, FrameNumber frame) {
  return system.state_of_page(frame).anon || is_shmem(system, frame);
}

/// Page number `index` of the file, which is in `slot`: brought back into the file's cache, locked and with a
/// reference. The zero page: the slot stands for it no more. ENOMEM, kWouldBlock. Compare Linux mm/shmem.c:
/// shmem_swapin_folio().
template <class G>
Result<FrameNumber> swap_in_shared(System<G>& system, Ref<File> file, std::uint32_t index, BlockNumber slot);

/// Takes page number `index` of the file from everybody who maps it, and sends it to swap. EFAULT: it is not in the
/// cache. EBUSY: it is kept, in the file's cache or in the swap cache. ENOMEM: swap is full. kWouldBlock.
/// Compare Linux mm/shmem.c: shmem_writeout().
template <class G>
Result<void> swap_out_shared(System<G>& system, Ref<File> file, std::uint32_t index);

/// Takes page number `index` out of the file, for which `slot` stands, and gives the slot back. False: it stands for it
/// no more. Compare Linux mm/shmem.c: shmem_free_swap().
template <class G>
bool drop_from_swap(System<G>& system, Ref<File> file, std::uint32_t index, BlockNumber slot);

}  // namespace cowherd::mm
