#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

// Slots of swap and the swap cache.
//
// A slot is in use while entries or files name it or a page is in the swap cache for it. The swap cache holds one
// reference to each of its pages, of which all are anonymous there (shmem_swap.hpp). Which page is in it, and for which
// slot, changes under the page lock and the swap lock, so that either keeps it as it is.
//
// All of this needs a machine with swap.

/// One more entry is about to name `slot`, which some entry names already. ENOMEM: its count is at its limit.
/// Compare Linux mm/swapfile.c: swap_duplicate().
template <class G>
Result<void> duplicate_swap(System<G>& system, BlockNumber slot);

/// An entry that named `slot` is gone. With the last one the page in the swap cache leaves it too, unless somebody maps
/// it or has its lock. Compare Linux mm/swapfile.c: free_swap_and_cache().
template <class G>
void free_swap_entry(System<G>& system, BlockNumber slot);

/// The page in the swap cache for `slot`, with a reference; the zero page: none.
/// Compare Linux mm/swap_state.c: swap_cache_get_folio().
template <class G>
FrameNumber get_from_swap_cache(System<G>& system, BlockNumber slot);

/// Puts a page, whose lock and a reference to which the caller holds, into the swap cache, for a slot that no entry
/// names yet. ENOMEM: swap is full. Compare Linux mm/swap_state.c: add_to_swap().
template <class G>
Result<void> add_to_swap(System<G>& system, FrameNumber frame);

/// As add_to_swap(), of `pages` frames from `head` on, which get slots side by side. False: there are none.
/// Compare Linux mm/swapfile.c: folio_alloc_swap().
template <class G>
bool add_run_to_swap(System<G>& system, FrameNumber head, std::uint32_t pages);

/// Takes a page, whose lock and a reference to which the caller holds, out of the swap cache, if it is there and no
/// entry names its slot; it is dirty then. Compare Linux mm/swapfile.c: folio_free_swap().
template <class G>
bool try_free_swap(System<G>& system, FrameNumber frame);

/// As try_free_swap(), for who has just dropped a mapping of the page and still has its reference: if nobody else maps
/// it and its lock is free. Compare Linux mm/swap_state.c: free_swap_cache().
template <class G>
void free_swap_cache(System<G>& system, FrameNumber frame);

/// The last that reclaim does: takes a page, whose lock and one reference to which the caller holds, out of the swap
/// cache if nobody else has a reference and its slot has all that is in it. The caller's reference is the last one
/// then. Compare Linux mm/vmscan.c: __remove_mapping().
template <class G>
bool remove_clean_from_swap_cache(System<G>& system, FrameNumber frame);

/// Takes a page that has failed, whose lock the caller holds, out of the swap cache if its slot has all that was in it.
/// Else it stays, and whoever comes for the slot finds out. Compare Linux mm/memory-failure.c: me_swapcache_clean().
template <class G>
void leave_swap_cache_clean(System<G>& system, FrameNumber frame);

/// The page in `slot`, locked, with a reference: the one in the swap cache, or one that is read and put there, into a
/// frame of `zone`. The zero page: the slot has none any more, so that the entry that named it has changed. ENOMEM,
/// kWouldBlock. Compare Linux mm/swap_state.c: read_swap_cache_async().
template <class G>
Result<FrameNumber> read_swap_page(System<G>& system, BlockNumber slot, Zone zone = Zone::kMovable);

/// Copies a page to its slot, or a slot to a page that nobody else knows. The caller keeps both as they are.
template <class G>
void write_to_swap(System<G>& system, FrameNumber frame, BlockNumber slot);
template <class G>
void read_from_swap(System<G>& system, BlockNumber slot, FrameNumber frame);

}  // namespace cowherd::mm
