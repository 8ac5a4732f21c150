#pragma once

#include "base/mutant.hpp"
#include "mm/fault.hpp"
#include "mm/locks.hpp"
#include "mm/sync.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

/// Takes the page of `entry`, which is in `slot`, back from the device that has it for itself, if one has; the lock of
/// the table is held, and so no device is at the page. Returns what is in `slot` now. Compare Linux mm/memory.c:
/// restore_exclusive_pte().
template <class G>
Entry take_back(System<G>& system, Mm& mm, EntrySlot slot, Entry entry) {
  if (!entry.on_device()) [[likely]]
    return entry;
  point(system, mm, Point::kSetEntry);
  slot.store(entry.taken_back());
  system.note(
      {.kind = EventKind::kTakenBack, .page = system.descriptor(entry.frame()).index(), .frame = entry.frame()});
  return entry.taken_back();
}

/// A fault on an entry whose page a device has for itself takes the page back. Compare Linux mm/memory.c:
/// remove_device_exclusive_entry().
template <class G>
Result<Faulted> fault_on_device(System<G>& system, Mm& mm, EntrySlot place) {
  const PageTableGuard<G> guard(system, mm, place);
  if (guard.blocked()) return would_block(system, Point::kPageTableLock);
  (void)take_back(system, mm, place, place.load());
  return Faulted::kGaveWay;
}

}  // namespace cowherd::mm
