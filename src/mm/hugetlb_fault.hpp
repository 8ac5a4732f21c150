#pragma once

#include "mm/hugetlb.hpp"
#include "mm/locks.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

// Faults on hugetlb memory: what hugetlb.cpp, where they begin, and hugetlb_files.cpp share.

/// One fault: what it is about, and the entry as it was seen.
template <class G>
struct HugetlbFault {
  System<G>& system;
  Mm& mm;
  Ref<Vma> vma;
  Vpn first;
  FaultKind kind;
  EntrySlot slot;
  Entry entry;

  [[nodiscard]] FrameNumber head() const { return entry.frame(); }
  [[nodiscard]] const Vma& area() const { return system.at(vma); }
  [[nodiscard]] bool writes() const { return kind == FaultKind::kWrite; }
  /// Whether a page is promised to the place, for a first one or for a copy of a file's.
  [[nodiscard]] bool promised() const {
    return area().flags.reserved && (entry.none() || keeps_promise(system, entry));
  }
  [[nodiscard]] PageRange span() const { return Tables<G>::covered(first, 1); }
  /// What maps the page at `frame`. Until 6.2 a forced write made an entry writable whatever its VMA said.
  [[nodiscard]] Entry entry_of(FrameNumber frame) const {
    const Entry made = make_entry(frame, area(), writes()).with_huge(true);
    const bool anyway = writes() && system.rules().hugetlb_force == HugetlbForce::kWrite;
    return anyway ? made.with_writable(true) : made;
  }
};

/// The place of the entry, with the tables above it, of which no fork shares one from now on. With the upper tables'
/// lock.
template <class G>
EntrySlot install_place(const HugetlbFault<G>& fault, Tables<G>& tables, typename Tables<G>::Missing& missing) {
  const EntrySlot slot = tables.install(
      fault.first, missing, [&] { point(fault.system, fault.mm, Point::kSetEntry); }, 1);
  if (!COWHERD_MUTANT(hugetlb_tables_shared)) note_pins_below(fault.system, fault.mm, fault.first);
  return slot;
}

/// Maps the page of shared memory, brought in where it is not there, for writing too where the VMA allows it. SIGBUS:
/// behind the end of the file; ENOMEM.
template <class G>
Result<Faulted> map_shared_hugetlb(const HugetlbFault<G>& fault);

/// Of a place in a private mapping: the page that its file has in the cache, with a reference for the caller; the zero
/// page where it has none, or is no file's. SIGBUS: behind the end of the file. Compare Linux mm/hugetlb.c:
/// hugetlb_no_page().
template <class G>
Result<FrameNumber> hold_cached_hugetlb(const HugetlbFault<G>& fault);
/// Maps that page, whose reference it takes over, for reading: who writes comes again, and gets a copy. What was
/// promised to the place is so still.
template <class G>
Result<Faulted> map_hugetlb_file_page(const HugetlbFault<G>& fault, FrameNumber head);

}  // namespace cowherd::mm
