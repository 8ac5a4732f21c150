#pragma once

#include <cstddef>

#include "measure/figure.hpp"
#include "measure/load.hpp"

namespace cowherd::measure::floor {

// What the memory of this machine allows: the smallest loop that moves the data an operation has to move, with no
// look-up, lock or bookkeeping around it. Nothing here knows of the memory system. Units as in linux_side.hpp.

inline constexpr std::size_t kPage = 4096;

/// Read an entry, count its frame in a 16-byte descriptor atomically, store the entry without write permission twice.
Figure fork_loop(const Load& load);
/// As fork_loop(), and a page copied for every pin; ns/page of all pages.
Figure fork_loop_with_pins(const Load& load);
/// Write permission back for an entry whose frame has one reference.
Figure reuse_loop(const Load& load);
/// Count a pin, and read the entry again; and the way back.
Figure pin_loop(const Load& load);
Figure unpin_loop(const Load& load);
/// Clear an entry, drop the reference, and put the frame on a list.
Figure unmap_loop(const Load& load);
/// Take write permission from every entry of a table, and give it back.
Figure protect_loop(const Load& load);

/// A page cleared, or copied from where it was first touched in the load's order: with what is fastest here, the
/// library's function or streaming stores. ns/page to one thread.
Figure clear_page(const Load& load);
Figure copy_page(const Load& load);
/// GiB/s of memcpy, a MiB at a time.
Figure bulk_copy(const Load& load);

}  // namespace cowherd::measure::floor
