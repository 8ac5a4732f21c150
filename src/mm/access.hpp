#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

/// Whether an access may go through `entry`.
constexpr bool permits(Entry entry, bool write) {
  return entry.present() && entry.user() && (!write || entry.writable());
}

/// Walks the tables as hardware does: sets the accessed and dirty bits of an entry that permits the access, and returns
/// the entry; none where it does not. The caller is inside, as WalkerSlots or AccessorSlots mean it.
template <class G>
Entry walk(System<G>& system, Mm& mm, Vpn page, bool write) {
  const auto found = system.tables(mm).walk_to(page);
  if (!found.slot) {
    return {};
  }
  Entry entry = found.slot.load();
  // What a huge entry was may be a table's by now, and permits nothing then: the access is tried again.
  while (permits(found.as_permitted(entry), write)) {
    const Entry marked = entry.with_young(true).with_dirty(entry.dirty() || write);
    if (marked == entry || found.slot.replace(entry, marked)) {
      return found.as_permitted(marked);
    }
  }
  return {};
}

/// Handles the fault of a thread that loads from or stores to `address`. SIGSEGV, SIGBUS, kWouldBlock. The caller is
/// not inside.
template <class G>
Result<void> fault_access(System<G>& system, Mm& mm, Vaddr address, bool write);

}  // namespace cowherd::mm
