#pragma once

#include "mm/flush.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// Taking pages away from those who map them. All of it needs a machine with swap.

/// Takes the page at `page` of `vma` from everybody who maps it: it goes to swap, or is thrown away where its owner has
/// said MADV_FREE and not written it since. EFAULT: no anonymous page is there. EBUSY: it is kept, and may have left
/// some of its mappings behind, which find it in the swap cache. ENOMEM: swap is full. EAGAIN: the tables have to become
/// the address space's own first (shared_tables.hpp). kWouldBlock.
/// Compare Linux mm/vmscan.c: shrink_folio_list().
template <class G>
Result<void> reclaim_page(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page) COWHERD_REQUIRES(mm.mmap_lock);

/// Takes up to `wanted` pages from whoever maps them, and returns how many frames it freed: those that nobody has used
/// for a round first. It waits for no lock that an address space may be held by. The caller holds none.
/// Compare Linux mm/vmscan.c: try_to_free_pages().
template <class G>
PageCount reclaim_pages(System<G>& system, PageCount wanted);

}  // namespace cowherd::mm
