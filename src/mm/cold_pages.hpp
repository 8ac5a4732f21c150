#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

// What madvise() says of pages that are not needed. All of it needs the mmap lock, for reading, and that no page of the
// range is below a table that other address spaces have too. In a machine without swap nobody takes such pages, and
// nothing happens.

/// MADV_FREE: pages that only this mapping has may be thrown away by reclaim until they are written again; what is in
/// swap is given up at once. Compare Linux mm/madvise.c: madvise_free_pte_range().
template <class G>
void free_lazily(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);

/// MADV_COLD: reclaim takes the pages first. Compare Linux mm/madvise.c: madvise_cold_or_pageout_pte_range().
template <class G>
void make_cold(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);

/// MADV_PAGEOUT: reclaim takes the pages now, those that only this mapping has. `alone`: the mmap lock is held for
/// writing; else huge pages are left alone.
template <class G>
void page_out(System<G>& system, Mm& mm, PageRange range, bool alone) COWHERD_REQUIRES(mm.mmap_lock);

}  // namespace cowherd::mm
