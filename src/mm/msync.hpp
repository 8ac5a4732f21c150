#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

/// Writes out the part of every disk's file that a shared mapping in `range` shows, dirty by whichever way; other
/// memory has nothing to write. Whoever calls it wants his stores on the disk: it waits for writeback that others
/// began. ENOMEM: there is a hole, and all else was written. kWouldBlock. Takes the mmap lock for reading, and holds
/// it: nobody takes it with a page lock held. Compare Linux mm/msync.c.
template <class G>
Result<void> sync_range(System<G>& system, Mm& mm, PageRange range);

}  // namespace cowherd::mm
