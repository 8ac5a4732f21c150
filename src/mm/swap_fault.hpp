#pragma once

#include "mm/fault.hpp"

namespace cowherd::mm {

/// A fault on `entry`, which names a slot of swap: brings the page back and maps it, writable where it is the faulting
/// process's alone and that is what it wants. ENOMEM, kWouldBlock. Compare Linux mm/memory.c: do_swap_page().
template <class G>
Result<Faulted> fault_swapped(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind, EntrySlot place,
                              Entry entry);

}  // namespace cowherd::mm
