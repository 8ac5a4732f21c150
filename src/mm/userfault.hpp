#pragma once

#include <iterator>

#include "base/mutant.hpp"
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
/// there; kTablesShared; ENOMEM, kWouldBlock. Precondition: the memory is
/// private.
template <class G>
Result<void> fill_anonymous(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, std::span<const std::byte> bytes)
    COWHERD_REQUIRES(mm.mmap_lock);

/// Whether what is not there in the VMA can be write-protected by a marker. Compare Linux
/// include/linux/userfaultfd_k.h: userfaultfd_wp_use_markers().
template <class G>
bool uses_markers(System<G>& system, const Vma& vma) {
  if (!has(vma.flags.uffd, UffdFlags::kWriteProtect)) return false;
  if (vma.mapping) return true;
  const bool asked = has(vma.flags.uffd, UffdFlags::kWpUnpopulated) || has(vma.flags.uffd, UffdFlags::kWpAsync);
  return asked && system.rules().uffd_wp_absent == UffdWpAbsent::kMarker;
}

/// The entry that comes where `there`, which is empty, was: write-protected, if that says so and somebody decides about
/// it. Compare Linux mm/memory.c: vmf_orig_pte_uffd_wp().
inline Entry in_place_of(Entry there, const Vma& vma, Entry entry) {
  const bool marked = there.is_marker() && has(vma.flags.uffd, UffdFlags::kWriteProtect);
  return marked && !COWHERD_MUTANT(uffd_marker_ignored) ? entry.with_writable(false).with_uffd_wp(true) : entry;
}

/// Whether what is unmapped in the VMA stays write-protected: pages of files go and come. Compare Linux mm/memory.c:
/// zap_install_uffd_wp_if_needed().
inline bool keeps_marks(const Vma& vma) {
  return vma.mapping && has(vma.flags.uffd, UffdFlags::kWriteProtect) && !COWHERD_MUTANT(uffd_marker_lost);
}

/// Takes write permission from every page in `range`, or lets it be given again: the mark of userfaultfd in the
/// entries, or a marker in place of one. The tables are the address space's own, and those that need a marker are there
/// (make_room_for_markers()).
template <class G>
void mark_range(System<G>& system, Mm& mm, PageRange range, bool protect) COWHERD_REQUIRES(mm.mmap_lock);

/// Of a mapping of a file, whose pages the child finds when it looks for them, it gets what userfaultfd has marked: a
/// marker each. ENOMEM. Compare Linux mm/memory.c: copy_pte_marker().
template <class G>
Result<void> copy_marks(System<G>& system, Mm& parent, Mm& child, PageRange range) COWHERD_REQUIRES(parent.mmap_lock);

/// What an operation of the handler returns whose page lies in tables that have to become the own ones first.
inline constexpr Errno kTablesShared{2003};

// Events: the handler is told of a fork, or that memory has moved, by whoever has done it, who waits until the handler
// has read that. He holds no lock then, so that nobody waits for him but who would wait for the handler too.

/// In Mm::unread: the lower bits of the UffdEvent, and the agent that waits, as System knows it; 0: none.
struct UnreadEvent {
  static constexpr unsigned kAgentShift = 4;

  static std::uint8_t of(UffdEvent event, std::uint8_t agent) {
    return static_cast<std::uint8_t>((static_cast<unsigned>(event) & 0xFu) | unsigned{agent} << kAgentShift);
  }
  static UffdEvent event(std::uint8_t unread) { return static_cast<UffdEvent>(0x10u | (unread & 0xFu)); }
  static std::uint8_t agent(std::uint8_t unread) { return static_cast<std::uint8_t>(unread >> kAgentShift); }
};

/// Whether who does what `event` names to memory registered so has to tell the handler, and wait.
inline bool tells_handler(UffdFlags flags, UffdFlags event) {
  return has(flags, event) && has(flags, UffdFlags::kReadsEvents);
}
/// Whether so many more events can be told; there is memory for a few alone.
template <class G>
bool can_tell(System<G>& system, const Mm& mm, std::size_t events = 1) {
  const bool room = events <= std::size(mm.unread) && mm.unread[std::size(mm.unread) - events] == 0;
  if (!room) system.frames().note_shortage();
  return room;
}
/// Whether the handler is to be told of what `event` names being done to `range`.
template <class G>
bool tells_of(System<G>& system, Mm& mm, PageRange range, UffdFlags event) COWHERD_REQUIRES(mm.mmap_lock);
/// ENOMEM: it would have to be told that `range` is unmapped, and cannot.
template <class G>
Result<void> may_unmap(System<G>& system, Mm& mm, PageRange range) COWHERD_REQUIRES(mm.mmap_lock) {
  if (mm.unread[std::size(mm.unread) - 1] == 0 || !tells_of(system, mm, range, UffdFlags::kEventUnmap)) return {};
  (void)can_tell(system, mm);
  return Errno::kNoMemory;
}
/// Tells the handler; the running agent has to wait from the end of its operation on. Precondition: can_tell().
/// Compare Linux fs/userfaultfd.c: userfaultfd_event_wait_completion().
template <class G>
void tell_handler(System<G>& system, Mm& mm, UffdEvent event) COWHERD_REQUIRES(mm.mmap_lock);
/// Whether the handler has something to read first: its operations change nothing until then. Compare Linux
/// userfaultfd_ctx::mmap_changing.
inline bool has_unread(const Mm& mm) { return mm.unread[0] != 0; }

/// Whether all that userfaultfd's handler says of `flags` a child's memory keeps.
inline bool stays_registered(UffdFlags flags) { return flags == UffdFlags::kNone || has(flags, UffdFlags::kEventFork); }

}  // namespace cowherd::mm
