#pragma once

#include "measure/figure.hpp"
#include "measure/load.hpp"

namespace cowherd::measure::on_linux {

// What the kernel under this program needs for the operations of the table, in child processes. Private anonymous
// memory, in 4 KiB pages but where huge ones are said. "Batch" calls reach the fault handler without an exception
// (MADV_POPULATE_*).

/// Until fork() returns in the parent, each page written since the fork before: ns/page.
Figure fork_latency(const Load& load);
/// As fork_latency(), but of all pages: us.
Figure fork_whole(const Load& load);
/// As fork_latency(), what one pinned page adds: us/pin. Precondition: some pins.
Figure fork_per_pin(const Load& load);
/// fork(), to each huge page: ns; and what a pinned page of one adds: us/pin.
Figure fork_per_run(const Load& load);
Figure fork_per_piece_pin(const Load& load);
/// What one more VMA of one page adds to fork: ns/VMA. `pages`: VMAs.
Figure fork_per_vma(const Load& load);
/// fork, eight pages dirtied in two tables by the parent, the child's exit and wait: cycles/s.
Figure fork_cycles(const Load& load);

/// ns/page each, to one thread.
Figure zero_fill_batch(const Load& load);
Figure zero_fill_trap(const Load& load);
Figure cow_copy_batch(const Load& load);
Figure cow_copy_trap(const Load& load);
Figure reuse_batch(const Load& load);
Figure reuse_trap(const Load& load);

/// ns/page: munmap of everything; mprotect of everything, the mean of taking write permission and giving it back.
Figure unmap(const Load& load);
Figure protect(const Load& load);
/// ns: mprotect of one page in the middle, and back: the VMA is split into three and merged.
Figure split_and_merge(const Load& load);

/// ns/page: io_uring's registered buffers, one buffer; or one buffer to a page where `shuffled`.
Figure pin(const Load& load);
Figure unpin(const Load& load);
/// GiB/s: process_vm_readv of whole pages.
Figure bulk_read(const Load& load);

/// us by the wall clock, as engine's, of at most 256 MiB: fork() holds the mmap lock throughout, so that of the few
/// calls that meet it only the longest says something.
Figure fault_stall_most(const Load& load);
Figure pin_stall_most(const Load& load);

/// ns: a load whose translation the processor remembers; one of a random page of at most 1 GiB, all of them the zero
/// page.
Figure load_hit(const Load& load);
Figure load_miss(const Load& load);

}  // namespace cowherd::measure::on_linux
