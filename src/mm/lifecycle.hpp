#pragma once

#include "mm/system.hpp"

namespace cowherd::mm {

/// An empty address space with one user. ENOMEM. Compare Linux kernel/fork.c: mm_alloc().
template <class G>
Result<Ref<Mm>> create_mm(System<G>& system);

/// Gives up one use; with the last everything in the address space goes. Compare Linux kernel/fork.c: mmput().
template <class G>
void put_mm(System<G>& system, Ref<Mm> mm);

/// A running process in `mm`, whose use it takes over. ENOMEM.
template <class G>
Result<Ref<Process>> create_process(System<G>& system, Ref<Mm> mm, Ref<Process> parent);

}  // namespace cowherd::mm
