#include "back/anon_rmap.hpp"
#include "base/full_fence.hpp"
#include "base/memory_orders.h"
#include "base/mutant.hpp"
#include "mm/areas.hpp"
#include "mm/flush.hpp"
#include "mm/fork_tables.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

namespace {

/// One VMA on its way from parent to child.
template <class G>
struct Copying {
  System<G>& system;
  Mm& parent;
  Mm& child;
  const Vma& parent_vma;
  const Vma& child_vma;
  /// Some page of the VMA counts as pinned.
  bool entry_holds_pin;
  /// Of the parent's entries.
  PendingFlush<G>& flush;
  /// What the rules say of every page without pins, asked once: on_fork() shares it.
  bool shares_unpinned;
  /// A page for an early copy at the entry that asked for it; frame 0: none in hand.
  FrameNumber prealloc{0};

  [[nodiscard]] bool has_prealloc() const { return prealloc != Frames<G>::kZeroPage; }
};

enum class Step : std::uint8_t {
  kDone,
  /// Come back at the same entry with a page in hand.
  kNeedsPage,
  /// Return at once, and leave the locks as they are.
  kReturnLocked,
};

template <class G>
bool any_page_pinned(System<G>& system, Mm& mm, PageRange range) {
  bool pinned = false;
  system.tables(mm).for_each(range, [&](Vpn, EntrySlot slot) {
    const FrameState frame = system.state(slot.load().frame());
    pinned = !frame.zero_page && maybe_pinned(system.rules(), frame);
    return !pinned;
  });
  return pinned;
}

/// Both map the page, neither may write it. Compare Linux mm/memory.c: copy_present_ptes().
template <class G>
Result<Step> share_page(Copying<G>& copying, TableTally<G>& child_table, Vpn page, EntrySlot from, EntrySlot to) {
  System<G>& system = copying.system;
  const Entry entry = from.load();
  const FrameNumber frame = entry.frame();
  if (frame != Frames<G>::kZeroPage || COWHERD_MUTANT(zero_page_shared_as_ordinary)) {
    COWHERD_TRY(map_once_more(system, frame));
    child_table.add_rss(COWHERD_MUTANT(fork_without_rss) ? 0 : 1);
    system.note({.kind = EventKind::kForkShared, .decision = Decision::kForkPinned, .page = page, .frame = frame});
  }
  if (entry.writable() && !COWHERD_MUTANT(fork_keeps_parent_writable)) {
    point(system, copying.parent, Point::kProtectEntry);
    (void)protect_entry<G>(from);
    if (!COWHERD_MUTANT(fork_without_flush)) copying.flush.add({page, page + PageCount{1}});
  }
  const Entry shared = from.load().with_writable(COWHERD_MUTANT(fork_keeps_child_writable));
  child_table.set(to, shared.with_young(false));
  return Step::kDone;
}

/// The page for an early copy, from where the rules get it: one in hand, one that cannot wait, or one that may.
template <class G>
Result<FrameNumber> take_page(Copying<G>& copying) {
  System<G>& system = copying.system;
  switch (system.rules().copy_alloc) {
    case CopyAlloc::kPrealloc:
      if (COWHERD_MUTANT(prealloc_used_twice)) return copying.prealloc;
      return std::exchange(copying.prealloc, Frames<G>::kZeroPage);
    case CopyAlloc::kAtomic:
      return system.frames().allocate(FrameUse::kAnon);
    case CopyAlloc::kUnderLock:
      break;
  }
  return system.allocate_page();
}

/// The child gets its own copy now, and the parent's entry keeps its write permission.
///
/// The copy is a snapshot at this instant; threads of the parent and devices go on writing the source:
///
///   fork                                  device
///   copy first half of the page
///                                         write both halves
///   copy second half
///
/// The child then has the old first half and the new second one. Allowed because nobody can say when, during fork, the
/// device's write happened. Compare Linux mm/memory.c: copy_present_page().
template <class G>
Result<Step> copy_page_early(Copying<G>& copying, TableTally<G>& child_table, Vpn page, Entry entry, EntrySlot to) {
  System<G>& system = copying.system;
  const Rules& rules = system.rules();
  if (rules.copy_alloc == CopyAlloc::kPrealloc && !copying.has_prealloc()) {
    return Step::kNeedsPage;
  }
  auto taken = take_page(copying);
  if (!taken) {
    if (rules.copy_failure == CopyFailure::kReturnLocked) {
      return Step::kReturnLocked;
    }
    return taken.error();
  }
  const FrameNumber source = entry.frame();
  const FrameNumber copy = *taken;
  if (rules.copy_alloc == CopyAlloc::kPrealloc && system.descriptor(copy).index() != page) {
    system.report(Violation::kWrongPolicy);
  }
  const Live live(system, "copy-page-early", copy);
  copy_page(system, copy, source);
  FrameDescriptor& made = system.descriptor(copy);
  if (rules.copy_accounting == CopyAccounting::kNewPage) {
    add_new_anon_page(system, copy, copying.child_vma, page);
  } else {
    made.add_references(1);
    point(system, Point::kTakeReference);
    system.descriptor(source).add_references(1);
    system.descriptor(source).add_mapcount();
  }
  if (rules.copy_rmap == CopyRmap::kChild) {
    made.set_owner(copying.child_vma.own_anon_vma().unit, copying.child_vma.index_of(page));
  } else {
    made.set_owner(0, Vpn{0});
  }
  child_table.set(to, make_entry(copy, copying.child_vma, rules.copy_entry == CopyEntry::kDirtyWritable));
  child_table.add_rss(COWHERD_MUTANT(early_copy_without_rss) ? 0 : 1);
  system.note({.kind = EventKind::kForkCopied,
               .decision = Decision::kForkPinned,
               .page = page,
               .frame = source,
               .new_frame = copy,
               .unneeded = system.descriptor(source).pins() == 0});
  return Step::kDone;
}

/// Asks the page, with both page-table locks held, and shares or copies it.
///
/// Between the question and the write protection a fast pin can come, which takes no lock:
///
///   fork                                   fast pin of the parent's
///   is the page pinned? no
///                                          read the entry: writable
///                                          take a reference, as a pin
///                                          read the entry again: the same
///   write-protect it in both
///
/// and the parent's next write would part it from its pin. Allowed because fork holds the sequence count: the pin sees
/// that it has changed, lets go and starts again behind the mmap lock.
template <class G>
Result<Step> copy_entry(Copying<G>& copying, TableTally<G>& child_table, Vpn page, EntrySlot from, EntrySlot to) {
  System<G>& system = copying.system;
  const Entry entry = from.load();
  const Live live(system, "copy-entry", entry);
  const bool protects_first = system.rules().fork_source == ForkSource::kProtectThenRestore && entry.writable();
  if (protects_first) {
    point(system, copying.parent, Point::kProtectEntry);
    (void)protect_entry<G>(from);
    // Before the question about pins.
    full_fence();
    copying.flush.add({page, page + PageCount{1}});
  }
  point(system, Point::kReadCounts);
  ForkPage verdict = ForkPage::kShare;
  if (!copying.shares_unpinned || system.descriptor(entry.frame()).pins() != 0) {
    const bool has_pinned = std::atomic_ref(copying.parent.has_pinned).load(order::kHasPinnedLoad) != 0;
    verdict = on_fork(system.rules(), system.state(entry.frame()),
                      {.writable = entry.writable(), .dirty = entry.dirty()}, has_pinned, copying.entry_holds_pin);
  }
  if (verdict == ForkPage::kShare) {
    return share_page(copying, child_table, page, from, to);
  }
  auto copied = copy_page_early(copying, child_table, page, entry, to);
  if (protects_first && !(copied && *copied == Step::kReturnLocked)) {
    // As it was: what a processor has set in it meanwhile is lost.
    point(system, copying.parent, Point::kSetEntry);
    from.store(entry);
  }
  return copied;
}

/// Copies the entries of one lowest table from `at` on, both page-table locks held; `at` says how far it came.
template <class G>
Result<Step> copy_table(Copying<G>& copying, Vpn& at, Vpn end) {
  System<G>& system = copying.system;
  auto parent_tables = system.tables(copying.parent);
  auto child_tables = system.tables(copying.child);
  const EntrySlot from_first = parent_tables.find(at);
  const EntrySlot to_first = child_tables.find(at);
  if (!to_first) {
    // The parent has a table here without an entry, and so the child has none.
    at = end;
    return Step::kDone;
  }
  const FrameNumber child_table = child_tables.table_of(to_first);
  const PageTableGuard<G> child_guard(system, copying.child, to_first);
  PageTableGuard<G> parent_guard(system, copying.parent, from_first);
  if (child_guard.blocked() || parent_guard.blocked()) {
    return would_block(system, Point::kPageTableLock);
  }
  TableTally<G> tally(system, copying.child, child_table);
  Result<Step> result = Step::kDone;
  parent_tables.for_each({at, end}, [&](Vpn page, EntrySlot from) {
    at = page;
    result = copy_entry(copying, tally, page, from, child_tables.slot_in(child_table, page));
    const bool done = result && *result == Step::kDone;
    if (done && copying.has_prealloc() && system.rules().prealloc_use == PreallocUse::kFreeUnused &&
        !COWHERD_MUTANT(prealloc_kept)) {
      // The entry that asked for the page no longer needs it. The next one gets its own, by its own policy.
      const FrameNumber unused = std::exchange(copying.prealloc, Frames<G>::kZeroPage);
      if (!COWHERD_MUTANT(prealloc_leaked)) system.frames().free(unused);
    }
    return done;
  });
  if (result && *result == Step::kDone) {
    at = end;
  } else if (result && *result == Step::kReturnLocked) {
    parent_guard.leak();
  }
  return result;
}

/// Copies what is mapped in `range` of one VMA, table by table; where an early copy needs a page, the locks are
/// dropped, the page is allocated and the entry is looked at afresh. Compare Linux mm/memory.c: copy_pte_range().
template <class G>
Result<void> copy_page_range(Copying<G>& copying, PageRange range) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
  // The analysis does not see that the parent's mmap lock is held.
  System<G>& system = copying.system;
  auto parent_tables = system.tables(copying.parent);
  Vpn at = parent_tables.next_used(range.begin, range.end);
  const Live live(system, "copy-page-range", at, copying.prealloc);
  while (at < range.end) {
    const Vpn end = intersect(range, {at, Tables<G>::table_end(at)}).end;
    if (parent_tables.walk_to(at).shared) COWHERD_TRY(own_tables(system, copying.parent, at));
    bool any = false;
    parent_tables.for_each({at, end}, [&](Vpn, EntrySlot) {
      any = true;
      return false;
    });
    if (any) {
      COWHERD_TRY(system.tables(copying.child).obtain(at));
    }
    while (at < end) {
      auto step = copy_table(copying, at, end);
      if (!step) {
        return step.error();
      }
      if (*step == Step::kReturnLocked) {
        return Errno::kNoMemory;
      }
      if (*step == Step::kNeedsPage) {
        COWHERD_TRY_ASSIGN(page, system.allocate_page());
        // Chosen for this address, by its memory policy.
        system.descriptor(page).set_owner(0, at);
        copying.prealloc = page;
      }
    }
    at = parent_tables.next_used(end, range.end);
  }
  return {};
}

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
  Vma& copy = system.at(made);
  copy = system.at(vma);
  copy.mm = child_ref;
  copy.anon_vma = {};
  copy.chain = {};
  copy.left = {};
  copy.right = {};
  if (!system.at(vma).flags.wipe_on_fork || COWHERD_MUTANT(wipeonfork_ignored)) {
    // Directed reuse knows the first owner of a page by its anon_vma.
    const auto take_over = system.rules().reuse == Reuse::kDirected ? TakeOver::kForbidden : TakeOver::kAllowed;
    const Live live(system, "duplicate-vma", made);
    const AnonVmaGuard<G> guard(system, parent, vma);
    if (auto forked = anon_vma_fork(system.frames(), made, vma, take_over, last); !forked) {
      if (!COWHERD_MUTANT(failed_fork_leaks_vma)) system.frames().destroy(made);
      return forked.error();
    }
  }
  return made;
}

/// Copies what is mapped in `range` of one VMA.
template <class G>
Result<void> copy_pages(System<G>& system, Mm& parent, Ref<Mm> child_ref, Ref<Vma> vma, Ref<Vma> made, PageRange range,
                        PendingFlush<G>& flush) COWHERD_REQUIRES(parent.mmap_lock) {
  if (system.at(made).flags.wipe_on_fork && !COWHERD_MUTANT(wipeonfork_ignored)) {
    return {};
  }
  bool holds_pin = false;
  if (system.rules().fork_pinned == ForkPinned::kCopyEntry) {
    point(system, Point::kReadCounts);
    holds_pin = any_page_pinned(system, parent, system.at(vma).pages);
  }
  const Live decided(system, "holds-pin", holds_pin);
  Copying<G> copying{system,    parent, system.at(child_ref),           system.at(vma), system.at(made),
                     holds_pin, flush,  shares_unpinned(system.rules())};
  auto copied = copy_page_range(copying, range);
  if (copying.has_prealloc()) {
    system.frames().free(copying.prealloc);
  }
  return copied;
}

/// Copies what is mapped in the one lowest table that covers `range`, which fork does not share.
template <class G>
Result<void> copy_unshared(System<G>& system, Mm& parent, Ref<Mm> child_ref, PageRange range, PendingFlush<G>& flush)
    COWHERD_REQUIRES(parent.mmap_lock) {
  VmaTree areas = system.areas(parent);
  Ref<Vma> vma = areas.find(range.begin);
  const Live live(system, "copy-unshared", vma);
  for (; vma && system.at(vma).pages.begin < range.end; vma = areas.next(vma)) {
    const PageRange part = intersect(system.at(vma).pages, range);
    const Ref<Vma> made = system.areas(system.at(child_ref)).at(part.begin);
    if (made) COWHERD_TRY(copy_pages(system, parent, child_ref, vma, made, part, flush));
  }
  forget_pins_below(system, parent, range.begin);
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
Result<void> copy_vmas(System<G>& system, Mm& parent, Ref<Mm> child, ForkMode mode) {
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
    const Live walked(system, "areas", vma, edge, last);
    const bool shares = mode != ForkMode::kClassic && may_share_tables(system.rules());
    for (; vma && copied; vma = areas.next()) {
      if (system.at(vma).flags.dont_fork && !COWHERD_MUTANT(dontfork_ignored)) continue;
      auto made = duplicate_vma(system, parent, child, vma, last);
      if (!made) {
        copied = made.error();
        continue;
      }
      childs.append(*made);
      if (!shares) {
        const Live duplicated(system, "duplicated", *made);
        copied = copy_pages(system, parent, child, vma, *made, system.at(vma).pages, flush);
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
  }
  flush.after_unlock();
  return copied;
}

}  // namespace

template <class G>
Result<ProcessId> fork(System<G>& system, ProcessId parent, ForkMode mode) {
  const Ref<Process> caller = process_ref<G>(parent);
  Mm& parent_mm = mm_of(system, parent);
  // The child's mm and process come first: once pages are shared only their copying can still fail, and dropping the
  // child undoes that. Pages of the parent may stay write-protected then, which nothing can tell.
  COWHERD_TRY_ASSIGN(child, create_mm(system));
  // Where others give the mappers of a page copies, reverse maps lead them to the child before fork is done.
  const bool alone_with_child = system.rules().reuse != Reuse::kDirected;
  if (alone_with_child) system.at(child).sole_agent = agent_number(system);
  auto process = create_process(system, child, caller);
  if (!process) {
    if (!COWHERD_MUTANT(failed_fork_leaks_mm)) put_mm(system, child);
    return process.error();
  }
  const Live live(system, "fork", child, *process);
  if (auto copied = copy_vmas(system, parent_mm, child, mode); !copied) {
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

#define COWHERD_INSTANTIATE(G) template Result<ProcessId> fork<G>(System<G>&, ProcessId, ForkMode);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
