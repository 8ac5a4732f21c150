#include "back/anon_rmap.hpp"
#include "base/memory_orders.h"
#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/flush.hpp"
#include "mm/fork_pages.hpp"
#include "mm/fork_tables.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// Fork's half of the agreement with fast pins: the count is odd while it asks pages about pins and write-protects
/// them. Compare Linux mm/memory.c: copy_page_range() and write_protect_seq.
template <class G>
class SequenceOdd {
 public:
  SequenceOdd(System<G>& system, Mm& mm) : system_(system), mm_(mm) { step(); }
  ~SequenceOdd() { step(); }
  SequenceOdd(const SequenceOdd&) = delete;
  SequenceOdd& operator=(const SequenceOdd&) = delete;

 private:
  void step() {
    if (system_.rules().fork_sequence == ForkSequence::kNone || COWHERD_MUTANT(fork_without_sequence)) return;
    point(system_, mm_, Point::kSequence);
    std::atomic_ref(mm_.fork_sequence).fetch_add(1, order::kSequenceChange);
  }

  System<G>& system_;
  Mm& mm_;
};

/// The child's VMA, on the lists of the parent's anon_vmas; `last` as for anon_vma_fork(). ENOMEM.
template <class G>
Result<Ref<Vma>> duplicate_vma(System<G>& system, Mm& parent, Ref<Mm> child_ref, Ref<Vma> vma, ForkedAnonVma& last) {
  COWHERD_TRY_ASSIGN(made, system.frames().template make<Vma>());
  Ref<FileMapping> mapping;
  if (system.at(vma).mapping) {
    auto place = system.frames().template make<FileMapping>();
    if (!place) {
      system.frames().destroy(made);
      return place.error();
    }
    mapping = *place;
  }
  Vma& copy = system.at(made);
  copy = system.at(vma);
  copy.mm = child_ref;
  copy.flags.locked = COWHERD_MUTANT(fork_keeps_lock) && copy.flags.locked;
  // Compare Linux fs/userfaultfd.c: dup_userfaultfd().
  if (!stays_registered(copy.flags.uffd) && !COWHERD_MUTANT(fork_keeps_registration))
    copy.flags.uffd = UffdFlags::kNone;
  copy.flags.reserved = COWHERD_MUTANT(child_inherits_reserves) && copy.flags.reserved;
  copy.anon_vma = {};
  copy.chain = {};
  copy.mapping = {};
  copy.left = {};
  copy.right = {};
  if (!system.at(vma).flags.wipe_on_fork || COWHERD_MUTANT(wipeonfork_ignored)) {
    // Directed reuse knows the first owner of a page by its anon_vma.
    const auto take_over = system.rules().reuse == Reuse::kDirected ? TakeOver::kForbidden : TakeOver::kAllowed;
    const Live live(system, "duplicate-vma", made, mapping);
    const AnonVmaGuard<G> guard(system, parent, vma);
    if (auto forked = anon_vma_fork(system.frames(), made, vma, take_over, last); !forked) {
      if (mapping) system.frames().destroy(mapping);
      if (!COWHERD_MUTANT(failed_fork_leaks_vma)) system.frames().destroy(made);
      return forked.error();
    }
  }
  if (mapping) {
    // Behind the parent's, so that who goes along the list while entries are copied meets what was copied:
    //
    //   fork                               reverse map
    //   copy the parent's entry
    //                                      clear the parent's entry
    //                                      clear the child's entry
    //
    // Allowed because the child comes after the parent, and an entry that was cleared before is not copied.
    const Live live(system, "link-mapping", made, mapping);
    const VmaMappingGuard<G> guard(system, vma);
    const Ref<FileMapping> parents = system.at(vma).mapping;
    link_mapping(system.frames(), mapping, made, system.at(parents).file, parents);
  }
  return made;
}

/// Copies what is mapped in the one lowest table that covers `range`, which fork does not share.
template <class G>
Result<void> copy_unshared(System<G>& system, Mm& parent, Ref<Mm> child_ref, PageRange range, PendingFlush<G>& flush)
    COWHERD_REQUIRES(parent.mmap_lock) {
  VmaTree areas = system.areas(parent);
  Ref<Vma> vma = areas.find(range.begin);
  bool pinned = false;
  const Live live(system, "copy-unshared", vma, pinned);
  for (; vma && system.at(vma).pages.begin < range.end; vma = areas.next(vma)) {
    const PageRange part = intersect(system.at(vma).pages, range);
    const Ref<Vma> made = system.areas(system.at(child_ref)).at(part.begin);
    if (made) {
      COWHERD_TRY_ASSIGN(copied, copy_pages(system, parent, child_ref, vma, made, part, flush));
      pinned = pinned || copied;
    }
  }
  if (!pinned) forget_pins_below(system, parent, range.begin);
  return {};
}

template <class G>
ForkStart may_start(System<G>& system, Mm& parent) {
  const Rules& rules = system.rules();
  if (rules.fork_pinned != ForkPinned::kRefuse && rules.fork_pinned != ForkPinned::kWait) {
    return ForkStart::kGo;
  }
  bool pinned = false;
  VmaTree areas = system.areas(parent);
  for (Ref<Vma> vma = areas.first(); vma && !pinned; vma = areas.next(vma)) {
    const VmaFlags flags = system.at(vma).flags;
    pinned = !flags.dont_fork && !flags.wipe_on_fork && any_page_pinned(system, parent, system.at(vma).pages);
  }
  return on_fork_start(rules, std::atomic_ref(parent.has_pinned).load(order::kHasPinnedLoad) != 0, pinned);
}

/// Waits, with the mmap lock, until the rules let fork begin; EBUSY where they forbid it. kWouldBlock.
template <class G>
Result<void> start_fork(System<G>& system, Mm& parent) {
  switch (may_start(system, parent)) {
    case ForkStart::kRefuse:
      system.note({.kind = EventKind::kForkRefused, .decision = Decision::kForkPinned});
      return Errno::kBusy;
    case ForkStart::kWait: {
      system.note({.kind = EventKind::kForkWaits, .decision = Decision::kForkPinned});
      struct Question {
        System<G>& system;
        Mm& parent;
      };
      const bool free = wait_until<G, Question>(system, Point::kReadCounts, {system, parent}, [](const Question& q) {
        return may_start(q.system, q.parent) == ForkStart::kGo;
      });
      return free ? Result<void>() : Errno::kWouldBlock;
    }
    case ForkStart::kGo:
      break;
  }
  return {};
}

/// Compare Linux mm/mmap.c: dup_mmap().
template <class G>
Result<void> copy_vmas(System<G>& system, Mm& parent, Ref<Mm> child, ForkMode mode, bool told) {
  PendingFlush<G> flush(system, parent);
  const Live live(system, "copy-vmas", flush.range());
  Result<void> copied;
  {
    MmapWriteGuard<G> parent_guard(system, parent);
    if (parent_guard.blocked() || stuck(parent)) {
      return would_block(system, Point::kMmapLock);
    }
    const SequenceOdd<G> odd(system, parent);
    COWHERD_TRY(start_fork(system, parent));
    if (COWHERD_MUTANT(fork_unlocks_early)) parent_guard.release();
    const MmapWriteGuard<G> child_guard(system, system.at(child));
    VmaWalk areas(system.areas(parent), !G::kExplored);
    Ref<Vma> vma = areas.next();
    VmaTreeBuilder::Edge edge;
    VmaTreeBuilder childs(system.frames().objects(), edge);
    ForkedAnonVma last;
    bool tells = false;
    const Live walked(system, "areas", vma, edge, last, tells);
    const bool shares = mode != ForkMode::kClassic && may_share_tables(system.rules());
    for (; vma && copied; vma = areas.next()) {
      if (system.at(vma).flags.dont_fork && !COWHERD_MUTANT(dontfork_ignored)) continue;
      tells = tells || (told && tells_handler(system.at(vma).flags.uffd, UffdFlags::kEventFork));
      if (tells && !can_tell(system, parent)) [[unlikely]] {
        copied = Errno::kNoMemory;
        continue;
      }
      auto made = duplicate_vma(system, parent, child, vma, last);
      if (!made) {
        copied = made.error();
        continue;
      }
      childs.append(*made);
      if (!shares) {
        const Live duplicated(system, "duplicated", *made);
        auto pages = copy_pages(system, parent, child, vma, *made, system.at(vma).pages, flush);
        if (!pages) copied = pages.error();
      }
    }
    childs.finish(system.at(child).vmas);
    if (shares && copied) {
      const unsigned highest = mode == ForkMode::kSharedLeaves ? 0 : Tables<G>::kLowerLevels;
      // The analysis does not see that the caller's lock is held in here too.
      copied = share_tables(system, parent, system.at(child), highest, flush,
                            [&](PageRange range) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
                              return copy_unshared(system, parent, child, range, flush);
                            });
    }
    // What a thread of the parent stores through an entry that its CPU remembers lands in the page that both share now,
    // and is part of what the child gets; it must not go on once fork has returned, so nobody faults before this:
    //
    //   fork                                 two threads of the parent
    //   write-protect the entry
    //                                        T1 faults, copies the page, stores to the copy
    //                                        T2 stores to the old page: lost
    //   flush
    //
    // Allowed because a fault needs the mmap lock.
    if (!COWHERD_MUTANT(fork_flushes_after_unlock)) flush.before_unlock();
    if (tells && copied) tell_handler(system, parent, UffdEvent::kFork);
  }
  flush.after_unlock();
  return copied;
}

}  // namespace

template <class G>
Result<ProcessId> fork(System<G>& system, ProcessId parent, ForkMode mode, bool told) {
  const Ref<Process> caller = process_ref<G>(parent);
  Mm& parent_mm = mm_of(system, parent);
  // The child's mm and process come first: once pages are shared only their copying can still fail, and dropping the
  // child undoes that. Pages of the parent may stay write-protected then, which nothing can tell.
  COWHERD_TRY_ASSIGN(child, create_mm(system));
  // Where others give the mappers of a page copies, or take it from them, reverse maps lead them to the child before
  // fork is done, and so do those of files.
  const bool alone_with_child = G::kExplored && system.rules().reuse != Reuse::kDirected &&
                                !system.others_come_by_rmap() && system.frames().template alive<File>() == 0;
  if (alone_with_child) system.at(child).sole_agent = agent_number(system);
  auto process = create_process(system, child, caller);
  if (!process) {
    if (!COWHERD_MUTANT(failed_fork_leaks_mm)) put_mm(system, child);
    return process.error();
  }
  const Live live(system, "fork", child, *process);
  if (auto copied = copy_vmas(system, parent_mm, child, mode, told); !copied) {
    if (COWHERD_MUTANT(failed_fork_leaves_child)) return copied.error();
    const ProcessId stillborn{process->unit};
    disown(system, stillborn);
    const Errno why = copied.error();
    const Live failed(system, "stillborn", why);
    if (auto gone = exit(system, stillborn); !gone) {
      return gone.error();
    }
    return copied.error();
  }
  if (alone_with_child) system.at(child).sole_agent = 0;
  return ProcessId{process->unit};
}

#define COWHERD_INSTANTIATE(G) template Result<ProcessId> fork<G>(System<G>&, ProcessId, ForkMode, bool);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
