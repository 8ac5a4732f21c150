#pragma once

#include "mm/fault.hpp"
#include "mm/sync.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// Userfaultfd: faults in registered memory that a handler decides, which is any other agent. Compare Linux
// fs/userfaultfd.c and mm/userfaultfd.c.

/// What an operation that faults returns in place of an error where the handler has to be waited for, without a lock,
/// before an access for reading, or for writing, can go on: wait_for_handler() does that. It never leaves the
/// operations.
inline constexpr Errno kAsksToRead{2001};
inline constexpr Errno kAsksToWrite{2002};
inline bool asks_handler(Errno error) { return error == kAsksToRead || error == kAsksToWrite; }
inline Errno asks_for(FaultKind kind) { return kind == FaultKind::kWrite ? kAsksToWrite : kAsksToRead; }

/// Whether a fault at `page` of `vma`, where `entry` is, is one for the handler. Compare Linux fs/userfaultfd.c:
/// userfaultfd_must_wait().
template <class G>
bool is_userfault(System<G>& system, const Vma& vma, Vpn page, Entry entry, FaultKind kind);

/// Waits, after a fault that has come to `asked`, until it is none for the handler any more: it was resolved, or the
/// memory was unmapped, unregistered or replaced. kWouldBlock. The caller holds no lock, and tries again then.
/// Compare Linux fs/userfaultfd.c: handle_userfault().
template <class G>
Result<void> wait_for_handler(System<G>& system, Mm& mm, Vpn page, Errno asked);

/// As wait_for_handler() where `done` has come to that, else `done`.
template <class G>
Result<void> after_handler(System<G>& system, Mm& mm, Vpn page, const Result<void>& done) {
  return !done && asks_handler(done.error()) ? wait_for_handler(system, mm, page, done.error()) : done;
}

/// Puts a page where none is, the handler having decided so. `bytes`: a page of them, or none for zeros. EEXIST: one is
/// there; EAGAIN: the tables have to become the own ones first; ENOMEM, kWouldBlock. Precondition: nothing of a file is
/// mapped here.
template <class G>
Result<void> fill_anonymous(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, std::span<const std::byte> bytes)
    COWHERD_REQUIRES(mm.mmap_lock);

/// Takes write permission from every page in `range`, or lets it be given again: the mark of userfaultfd in the
/// entries. The tables are the address space's own.
template <class G>
void mark_range(System<G>& system, Mm& mm, PageRange range, bool protect) COWHERD_REQUIRES(mm.mmap_lock);

/// Whether all that userfaultfd's handler says of `flags` a child's memory keeps.
inline bool stays_registered(UffdFlags flags) { return flags == UffdFlags::kNone || has(flags, UffdFlags::kEventFork); }

}  // namespace cowherd::mm
