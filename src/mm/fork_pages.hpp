#pragma once

#include "mm/flush.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

/// Whether some page in `range` counts as pinned.
template <class G>
bool any_page_pinned(System<G>& system, Mm& mm, PageRange range);

/// Shares with the child what is mapped in `range` of the parent's `vma`, or copies it now, page by page, as the rules
/// say; `made` is the child's VMA. What loses its write permission goes to `flush`. Returns whether some page got a
/// copy of its own, as pinned pages do. ENOMEM: the child then has a part. Compare Linux mm/memory.c:
/// copy_page_range().
template <class G>
Result<bool> copy_pages(System<G>& system, Mm& parent, Ref<Mm> child_ref, Ref<Vma> vma, Ref<Vma> made, PageRange range,
                        PendingFlush<G>& flush) COWHERD_REQUIRES(parent.mmap_lock);

}  // namespace cowherd::mm
