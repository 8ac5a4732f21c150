#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

/// Gives every page in `range` that is merged a page of its own. ENOMEM.
template <class G>
Result<void> part_merged(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock);

}  // namespace cowherd::mm
