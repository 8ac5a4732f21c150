#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

/// mlock() and munlock(): says of the VMAs in `range`, up to the first hole, that what they map stays resident, and
/// brings it in; or no longer. It takes no reference: fork and everybody else treat the pages as before, and the child
/// has them unlocked. ENOMEM at a hole, or where the mapping lets nobody in, or for want of memory; some VMAs or pages
/// may be done by then, as on Linux. Compare Linux mm/mlock.c: do_mlock().
template <class G>
Result<void> lock_or_unlock(System<G>& system, Mm& mm, PageRange range, bool locks);

}  // namespace cowherd::mm
