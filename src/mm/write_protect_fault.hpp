#pragma once

#include "mm/fault.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

/// A write or unshare fault on an entry that is present and does not let it through, or did not when it was read. The
/// VMA has an anon_vma; `slot` is the place of the entry. Without error the access may be tried again. ENOMEM,
/// kWouldBlock. Compare Linux mm/memory.c: do_wp_page().
template <class G>
Result<Faulted> fault_write_protected(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind, EntrySlot slot)
    COWHERD_REQUIRES(mm.mmap_lock);

/// A write to a page of a shared mapping that userfaultfd has marked: the handler is asked, or the mark goes
/// (UffdFlags::kWpAsync). kAsksToWrite, kWouldBlock.
template <class G>
Result<Faulted> fault_marked(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind, EntrySlot slot)
    COWHERD_REQUIRES(mm.mmap_lock);

}  // namespace cowherd::mm
