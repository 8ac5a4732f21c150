#pragma once

#include "measure/figure.hpp"
#include "measure/load.hpp"

namespace cowherd::measure::engine {

// What the memory system needs, through its public interface. Units as in linux_side.hpp; every call makes a machine of
// its own, and counts at its end that every frame has come back.

Figure fork_latency(const Load& load);
/// As fork_latency(), but of all pages: us.
Figure fork_whole(const Load& load);
/// As fork_whole(), of 1 GiB whatever the load's size.
Figure fork_one_gib(const Load& load);
Figure fork_per_pin(const Load& load);
/// fork(), to each huge page: ns.
Figure fork_per_run(const Load& load);
/// As fork_per_pin(), of one page of a huge page: us/pin.
Figure fork_per_piece_pin(const Load& load);
Figure fork_per_vma(const Load& load);
Figure fork_cycles(const Load& load);
Figure fork_and_write(const Load& load);
/// The same with a classic fork, whatever the load's mode.
Figure classic_fork_and_write(const Load& load);
/// The child's AddressSpace is destroyed, untouched: us.
Figure drop_child(const Load& load);
/// Frames that a fork takes, by what is free before and after: KiB.
Figure fork_metadata(const Load& load);
/// The first write below each lowest table after a fork, the page's copy included: us, the median of all tables.
Figure first_write(const Load& load);
/// As first_write(), but all but one of a hundred are as fast.
Figure first_write_p99(const Load& load);

/// By one store to each page, the look-up before and after the fault included; and as Linux's MADV_POPULATE_WRITE.
Figure zero_fill_store(const Load& load);
Figure zero_fill_batch(const Load& load);
Figure cow_copy_store(const Load& load);
Figure cow_copy_batch(const Load& load);
Figure reuse_store(const Load& load);
Figure reuse_batch(const Load& load);

Figure unmap(const Load& load);
Figure protect(const Load& load);
Figure split_and_merge(const Load& load);

/// One pin of all; or one to each of some random pages where `shuffled`.
Figure pin(const Load& load);
Figure unpin(const Load& load);
/// ns/page: pins of 512 pages, each given back at once.
Figure pin_and_unpin(const Load& load);
/// ns: what looking at the sequence count of forks adds to a pin of one page, by pins under rules without it. May be
/// below zero, where it is lost in the noise.
Figure race_check(const Load& load);
/// How many times as long a thread's reads take beside another's forks of the same address space as they do under rules
/// by which forks write no sequence count: what lies near the count pays if that is false sharing.
Figure reads_beside_forks(const Load& load);
/// ns/page: eight bytes from each page.
Figure small_reads(const Load& load);
/// ns: a load by an Accessor that remembers the page; and of one that does not, of random pages, tables alone.
Figure accessor_hit(const Load& load);
Figure accessor_miss(const Load& load);
/// GiB/s.
Figure bulk_read(const Load& load);
Figure bulk_write(const Load& load);

/// us by the wall clock: how long a call of another thread takes that meets a fork of the load, a write fault or a pin
/// of a page of its own: all but one of a thousand are as fast; the longest.
Figure fault_stall_p999(const Load& load);
Figure fault_stall_most(const Load& load);
Figure pin_stall_p999(const Load& load);
Figure pin_stall_most(const Load& load);

/// Bytes to a frame besides its 4096: descriptor and free bitmap, of a machine of 4 GiB.
Figure metadata_per_frame(const Load& load);
/// Bytes to a page that is mapped and written, besides its 4096: what a frame has, and every frame that mapping the
/// load takes for tables, VMAs, the reverse map and all else.
Figure metadata_per_page(const Load& load);

}  // namespace cowherd::measure::engine
