#include <algorithm>

#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

template <class G>
void tell_handler(System<G>& system, Mm& mm, UffdEvent event) {
  if (COWHERD_MUTANT(uffd_event_lost)) return;
  *std::find(mm.unread, std::end(mm.unread), std::uint8_t{0}) = UnreadEvent::of(event, agent_number(system));
  system.note({.kind = EventKind::kUffdTold, .decision = Decision::kUffdFork});
}

template <class G>
bool tells_of(System<G>& system, Mm& mm, PageRange range, UffdFlags event) {
  VmaTree areas = system.areas(mm);
  for (Ref<Vma> vma = areas.find(range.begin); vma && system.at(vma).pages.begin < range.end; vma = areas.next(vma)) {
    if (tells_handler(system.at(vma).flags.uffd, event)) return true;
  }
  return false;
}

namespace {

/// Whether such advice goes no further than to this memory, or does not begin there. Compare Linux mm/madvise.c:
/// madvise_dontneed_free_valid_vma(), madvise_remove().
bool stops(const Vma& area, Advice advice) {
  if (area.flags.locked || area.flags.hugetlb) return true;
  if (advice == Advice::kFree) return static_cast<bool>(area.mapping);
  return advice == Advice::kRemove && !area.flags.shared;
}

}  // namespace

/// Who gives up memory, and who has it served:
///
///   P0: MADV_DONTNEED                      handler                        P1
///   tell, unlock
///                                                                         read the page: its contents
///                                          read: the page goes
///                                          fill it: EEXIST
///   lock, take the page
///                                                                         read the page: it waits
///                                          fill it
///
/// Allowed because the handler is told that the page goes, not that it has gone: what it fills before that is taken
/// too.
template <class G>
Result<Removal> tell_of_removal(System<G>& system, ProcessId process, Vaddr address, ByteCount length, Advice advice) {
  Mm& mm = mm_of(system, process);
  COWHERD_TRY_ASSIGN(range, page_range<G>(address, length));
  const Live live(system, "tell-of-removal", range);
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  VmaTree areas = system.areas(mm);
  bool any_before = false;
  for (Ref<Vma> vma = areas.find(range.begin); vma && system.at(vma).pages.begin < range.end; vma = areas.next(vma)) {
    const Vma& area = system.at(vma);
    if (stops(area, advice)) break;
    if (!tells_handler(area.flags.uffd, UffdFlags::kEventRemove) || COWHERD_MUTANT(uffd_remove_untold)) {
      any_before = true;
      continue;
    }
    const PageRange part = intersect(range, area.pages);
    // What lies before it goes first.
    if (any_before) return Removal{part.begin - range.begin, false};
    if (!can_tell(system, mm)) return Errno::kNoMemory;
    tell_handler(system, mm, UffdEvent::kRemove);
    return Removal{part.end - range.begin, true};
  }
  return Removal{range.count(), false};
}

/// Who reads and who fills a page at the same time:
///
///   a thread that forks                    handler                        another thread of the handler
///   write-protect, tell, unlock
///                                                                         fill a page: EAGAIN
///                                          read: a child has been forked
///                                                                         fill a page
///   go on
///
/// Allowed because what is unread changes under the mmap lock alone: a page is filled before the child has what was
/// there, or after the handler has heard of the child. Linux has a lock of its own for that, and lets the thread that
/// forked say that nothing changes any more; the lock here is wider, and read() is the earlier moment.
template <class G>
Result<UffdEvent> uffd_read(System<G>& system, ProcessId process) {
  const HeldMm<G> held(system, process);
  if (!held) return Errno::kNoProcess;
  const Live live(system, "uffd-read", held.ref());
  Mm& mm = held.mm();
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  if (!has_unread(mm)) return Errno::kAgain;
  const UffdEvent event = UnreadEvent::event(mm.unread[0]);
  if (!COWHERD_MUTANT(uffd_event_stays)) {
    std::copy(std::next(mm.unread), std::end(mm.unread), mm.unread);
    mm.unread[std::size(mm.unread) - 1] = 0;
  }
  system.note({.kind = EventKind::kUffdRead, .decision = Decision::kUffdFork});
  return event;
}

template <class G>
bool waits_to_be_read(System<G>& system, ProcessId process, std::uint8_t agent) {
  const Mm& mm = mm_of(system, process);
  return std::any_of(mm.unread, std::end(mm.unread),
                     [&](std::uint8_t unread) { return unread != 0 && UnreadEvent::agent(unread) == agent; });
}

template <class G>
bool has_unread_event(System<G>& system, ProcessId process) {
  return has_unread(mm_of(system, process));
}

template <class G>
void claim_events(System<G>& system, ProcessId process, std::uint8_t agent) {
  for (std::uint8_t& unread : mm_of(system, process).unread) {
    if (unread != 0 && UnreadEvent::agent(unread) == 0) unread = UnreadEvent::of(UnreadEvent::event(unread), agent);
  }
}

#define COWHERD_INSTANTIATE(G)                                                                  \
  template bool tells_of<G>(System<G>&, Mm&, PageRange, UffdFlags);                             \
  template void tell_handler<G>(System<G>&, Mm&, UffdEvent);                                    \
  template Result<UffdEvent> uffd_read<G>(System<G>&, ProcessId);                               \
  template Result<Removal> tell_of_removal<G>(System<G>&, ProcessId, Vaddr, ByteCount, Advice); \
  template bool waits_to_be_read<G>(System<G>&, ProcessId, std::uint8_t);                       \
  template bool has_unread_event<G>(System<G>&, ProcessId);                                     \
  template void claim_events<G>(System<G>&, ProcessId, std::uint8_t);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
