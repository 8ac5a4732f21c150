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
/// As fork_loop(), of the tables that a fork in the load's mode shares: us.
Figure fork_of_tables(const Load& load);
/// The references to the same tables dropped: us.
Figure drop_of_tables(const Load& load);
/// fork_loop() of one lowest table and a copy of one page: us, the mean of as many as there are pins, or of all tables.
Figure table_and_page(const Load& load);
/// Write permission back for an entry whose frame has one reference.
Figure reuse_loop(const Load& load);
/// Count a pin, and read the entry again; and the way back.
Figure pin_loop(const Load& load);
Figure unpin_loop(const Load& load);
/// Clear an entry, drop the reference, and put the frame on a list.
Figure unmap_loop(const Load& load);
/// Take write permission from every entry of a table, and give it back.
Figure protect_loop(const Load& load);

/// ns: compare a tag in a table and load what lies where it says; walk four levels of tables to random pages.
Figure remembered_translation(const Load& load);
Figure walk(const Load& load);
/// ns: the same word is loaded and loaded again, as a pin does with the sequence count of forks.
Figure two_loads(const Load& load);

/// A page cleared, or copied from where it was first touched in the load's order: with what is fastest here, the
/// library's function or streaming stores. ns/page to one thread.
Figure clear_page(const Load& load);
Figure copy_page(const Load& load);
/// GiB/s of what is fastest: memcpy of a MiB or of a page at a time, a string move of a page, streaming stores.
Figure bulk_copy(const Load& load);

}  // namespace cowherd::measure::floor
