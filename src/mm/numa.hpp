#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

/// Whether a present entry of `vma` was closed by numa_hint().
inline bool is_hint(Entry entry, const Vma& vma) {
  return entry.present() && !entry.user() && vma.flags.protection != Protection::kNone;
}

/// Opens the entry again, if it still is `seen`: the access has said who uses the page. kWouldBlock. Compare Linux
/// mm/memory.c: do_numa_page().
template <class G>
Result<void> fault_on_hint(System<G>& system, Mm& mm, const Vma& vma, EntrySlot slot, Entry seen);

}  // namespace cowherd::mm
