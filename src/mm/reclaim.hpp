#pragma once

#include "mm/flush.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// Taking pages away from those who map them. All of it needs a machine with swap.

/// Takes the page at `page` of `vma` from everybody who maps it: it goes to swap, or is thrown away where its owner has
/// said MADV_FREE and not written it since. A large folio that lies in `within` goes with it where the rules say so.
/// Returns how many frames that freed. A page of a file in memory need not be mapped there. EFAULT: no anonymous
/// page is there, nor one of such a file. EBUSY: it is kept, and may have left
/// some of its mappings behind, which find it in the swap cache. ENOMEM: swap is full. EAGAIN: the tables have to
/// become the address space's own first (shared_tables.hpp). kWouldBlock. Compare Linux mm/vmscan.c:
/// shrink_folio_list().
template <class G>
Result<PageCount> reclaim_page(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, PageRange within)
    COWHERD_REQUIRES(mm.mmap_lock);

/// Frees the page that the swap cache has for `slot`, if nobody maps it, or the slot, where swap is full and somebody
/// does. Returns whether it freed the page.
template <class G>
bool reclaim_cached(System<G>& system, BlockNumber slot);

/// Takes up to `wanted` pages from whoever maps them, and returns how many frames it freed: those that nobody has used
/// for a round first. The caller holds no lock. Compare Linux mm/vmscan.c: try_to_free_pages().
template <class G>
PageCount reclaim_pages(System<G>& system, PageCount wanted);

/// Does `operation`, and again where it fails for want of memory and reclaim finds some. The caller holds no lock. In
/// an explored geometry what fails has failed.
template <class G, class Operation>
auto with_reclaim(System<G>& system, Operation&& operation) -> decltype(operation()) {
  if (G::kExplored || !system.has_swap()) return operation();
  // Others may take what reclaim has freed.
  constexpr unsigned kMostTries = 16;
  constexpr PageCount kBatch{64};
  for (unsigned tries = 0;; ++tries) {
    const std::uint32_t before = system.frames().shortages();
    auto done = operation();
    // What failed for another thread counts too: reclaim does no harm then.
    const bool lacks = !done && done.error() == Errno::kNoMemory && system.frames().shortages() != before;
    if (!lacks || tries == kMostTries || reclaim_pages(system, kBatch) == PageCount{0}) return done;
  }
}

}  // namespace cowherd::mm
