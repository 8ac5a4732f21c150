#pragma once

#include <cstddef>
#include <cstdint>

#include "mm/system.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

// What verify() asks of a machine at rest. Nothing is locked.

/// Calls `visit(mm)` for each address space once, however many processes live in it.
template <class G, class Visit>
void for_each_mm(System<G>& system, Visit&& visit) {
  for (Ref<Process> process = system.processes(); process; process = system.at(process).next) {
    const Ref<Mm> mm = system.at(process).mm;
    bool met = !mm;
    for (Ref<Process> other = system.processes(); other != process && !met; other = system.at(other).next) {
      met = system.at(other).mm == mm;
    }
    if (!met) visit(mm);
  }
}

/// Whether the reverse map of the frame comes by `page` of `vma`. Asked from this end, where nothing can dangle.
template <class G>
bool leads_to(System<G>& system, const FrameDescriptor& descriptor, const Vma& vma, Vpn page) {
  if (descriptor.index() != vma.index_of(page)) return false;
  for (Ref<AnonVmaChain> link = vma.chain; link; link = system.at(link).next_of_vma) {
    if (system.at(link).anon_vma.unit == descriptor.owner()) return true;
  }
  return false;
}

/// A mark of userfaultfd's is in memory that is registered for it, and keeps writers out.
inline bool mark_is_sound(const Vma& vma, Entry entry) {
  const bool open = entry.writable() || entry.migration_writable();
  return !entry.uffd_wp() || (!open && has(vma.flags.uffd, UffdFlags::kWriteProtect));
}

/// Of an entry that is poisoned: the frame that it names has failed, or it is userfaultfd's handler who says so.
template <class G>
bool failure_is_sound(System<G>& system, Entry entry) {
  return entry.is_forbidden() || system.descriptor(entry.leaving()).poisoned();
}

/// Each is one that there is, the oldest one first.
inline bool events_are_sound(const Mm& mm) {
  bool last = false;
  for (const std::uint8_t unread : mm.unread) {
    const UffdEvent event = UnreadEvent::event(unread);
    const bool known = event == UffdEvent::kFork || event == UffdEvent::kRemap || event == UffdEvent::kRemove ||
                       event == UffdEvent::kUnmap;
    if (unread != 0 && (last || !known)) return false;
    last = last || unread == 0;
  }
  return true;
}

template <class G>
bool is_zero(const std::byte* page) {
  for (std::size_t i = 0; i < Geometry<G>::kPageBytes; i += sizeof(std::uint64_t)) {
    if (*reinterpret_cast<const std::uint64_t*>(page + i) != 0) return false;
  }
  return true;
}

}  // namespace cowherd::mm
