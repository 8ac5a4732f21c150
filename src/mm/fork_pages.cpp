#include "mm/fork_pages.hpp"

#include <atomic>
#include <cstdint>
#include <utility>

#include "base/full_fence.hpp"
#include "base/memory_orders.h"
#include "base/mutant.hpp"
#include "mm/device_exclusive.hpp"
#include "mm/folio.hpp"
#include "mm/huge.hpp"
#include "mm/hugetlb.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"
#include "mm/swap.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// Which marks of userfaultfd's write protection an entry brings along from parent to child.
struct UffdCarried {
  bool present;
  bool elsewhere;
  bool early_copy;
};

UffdCarried carried_marks(const Rules& rules, const Vma& parents, const Vma& childs) {
  const bool of_child = has(childs.flags.uffd, UffdFlags::kWriteProtect) && !COWHERD_MUTANT(fork_loses_uffd_wp);
  if (rules.uffd_fork == UffdFork::kByParent) {
    return {.present = has(parents.flags.uffd, UffdFlags::kWriteProtect), .elsewhere = true, .early_copy = false};
  }
  return {
      .present = of_child, .elsewhere = of_child, .early_copy = of_child && !COWHERD_MUTANT(early_copy_loses_uffd_wp)};
}

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
  /// The rules write-protect an entry before they ask about its page.
  bool protects_first;
  /// The child's entries are marked for userfaultfd where the parent's are: present ones; those of pages that are
  /// elsewhere; early copies.
  UffdCarried marks;
  /// The pages at hand are part of a large one that is pinned as a whole.
  bool copies_all = false;
  /// Some page got a copy of its own.
  bool copied = false;
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

// What a page rarely needs stands in functions of its own: what goes to the stack between two pages' counts is waited
// for by the second.

template <class G>
[[gnu::noinline]] void note_shared(System<G>& system, Vpn page, FrameNumber frame) {
  system.note({.kind = EventKind::kForkShared, .decision = Decision::kForkPinned, .page = page, .frame = frame});
}

/// Both map the page, neither may write it. Compare Linux mm/memory.c: copy_present_ptes().
template <class G>
Result<Step> share_page(Copying<G>& copying, TableTally<G>& child_table, Vpn page, EntrySlot from, Entry entry,
                        EntrySlot to) {
  System<G>& system = copying.system;
  const FrameNumber frame = entry.frame();
  if (frame != Frames<G>::kZeroPage || COWHERD_MUTANT(zero_page_shared_as_ordinary)) {
    COWHERD_TRY(map_once_more(system, frame));
    child_table.add_rss(COWHERD_MUTANT(fork_without_rss) ? 0 : 1, system.rss_class(frame));
    if (system.observed()) note_shared(system, page, frame);
  }
  if (entry.writable() && !COWHERD_MUTANT(fork_keeps_parent_writable)) {
    point(system, copying.parent, Point::kProtectEntry);
    entry = protect_entry<G>(from, entry);
    // Natively whoever is waited for is anybody below this table.
    const PageRange flushed = G::kExplored ? PageRange{page, page + PageCount{1}} : Tables<G>::covered(page, 1);
    if (!COWHERD_MUTANT(fork_without_flush)) copying.flush.add(flushed);
  }
  if (!copying.marks.present) entry = entry.with_uffd_wp(false);
  child_table.set(to, entry.with_writable(COWHERD_MUTANT(fork_keeps_child_writable)).with_young(false));
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
      return system.frames().allocate(FrameUse::kAnon, 0, zone_for(copying.child_vma));
    case CopyAlloc::kUnderLock:
      break;
  }
  return allocate_page_for(system, copying.child_vma);
}

/// The child gets its own copy now, `childs` being its entry, and the parent's entry keeps its write permission.
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
[[gnu::noinline]] Result<Step> copy_page_early(Copying<G>& copying, Vpn page, Entry entry, Entry& childs) {
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
  copy_page(system, copy, source, Reader::kLater);
  FrameDescriptor& made = system.descriptor(copy);
  if (rules.copy_accounting == CopyAccounting::kNewPage) {
    add_new_anon_page(system, copy, copying.child_vma, page);
  } else {
    made.add_references(1);
    point(system, Point::kTakeReference);
    system.descriptor(source).add_references(1);
    system.descriptor(source).add_mapcount();
  }
  if (rules.copy_rmap == CopyRmap::kNone) {
    made.set_owner(0, Vpn{0});
  } else if (rules.copy_accounting != CopyAccounting::kNewPage) {
    made.set_owner(copying.child_vma.own_anon_vma().unit, copying.child_vma.index_of(page));
  }
  childs = make_entry(copy, copying.child_vma, rules.copy_entry == CopyEntry::kDirtyWritable);
  if (entry.uffd_wp() && copying.marks.early_copy) childs = childs.with_writable(false).with_uffd_wp(true);
  system.note({.kind = EventKind::kForkCopied,
               .decision = Decision::kForkPinned,
               .page = page,
               .frame = source,
               .new_frame = copy,
               .unneeded = system.descriptor(source).pins() == 0});
  return Step::kDone;
}

/// What the rules say of a page that may be pinned.
template <class G>
[[gnu::noinline]] ForkPage verdict_on(const Copying<G>& copying, Entry entry) {
  System<G>& system = copying.system;
  const bool has_pinned = std::atomic_ref(copying.parent.has_pinned).load(order::kHasPinnedLoad) != 0;
  if (copying.copies_all && entry.frame() != Frames<G>::kZeroPage) return ForkPage::kCopy;
  return on_fork(system.rules(), system.state(entry.frame()), {.writable = entry.writable(), .dirty = entry.dirty()},
                 has_pinned, copying.entry_holds_pin);
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
Result<Step> copy_entry(Copying<G>& copying, TableTally<G>& child_table, Vpn page, EntrySlot from, Entry entry,
                        EntrySlot to) {
  System<G>& system = copying.system;
  const Live live(system, "copy-entry", entry);
  const bool protects_first = copying.protects_first && entry.writable();
  if (protects_first) {
    // What was read with the lock is from before what a processor sets now.
    point(system, copying.parent, Point::kReadEntry);
    point(system, copying.parent, Point::kProtectEntry);
    (void)protect_entry<G>(from, entry);
    // Before the question about pins.
    full_fence();
    copying.flush.add({page, page + PageCount{1}});
  }
  point(system, Point::kReadCounts);
  const bool unpinned = system.descriptor(entry.frame()).pins() == 0;
  if ((unpinned && copying.shares_unpinned && !copying.copies_all) || verdict_on(copying, entry) == ForkPage::kShare) {
    return share_page(copying, child_table, page, from, protects_first ? from.load() : entry, to);
  }
  copying.copied = true;
  Entry childs;
  auto copied = copy_page_early(copying, page, entry, childs);
  if (!childs.none()) {
    child_table.set(to, childs);
    child_table.add_rss(COWHERD_MUTANT(early_copy_without_rss) ? 0 : 1);
  }
  if (protects_first && !(copied && *copied == Step::kReturnLocked)) {
    // As it was: what a processor has set in it meanwhile is lost.
    point(system, copying.parent, Point::kSetEntry);
    from.store(entry);
  }
  return copied;
}

/// The child's entry names the same slot, and neither says that the page is its own any more.
/// Compare Linux mm/memory.c: copy_nonpresent_pte().
template <class G>
[[gnu::noinline]] Result<Step> copy_swap_entry(Copying<G>& copying, TableTally<G>& child_table, EntrySlot from,
                                               Entry entry, EntrySlot to) {
  System<G>& system = copying.system;
  COWHERD_TRY(duplicate_swap(system, entry.slot()));
  const Entry shared = entry.with_swap_exclusive(false);
  if (shared != entry && !COWHERD_MUTANT(fork_keeps_swap_mark)) {
    point(system, copying.parent, Point::kSetEntry);
    from.store(shared);
  }
  child_table.set(to, copying.marks.elsewhere ? shared : shared.with_uffd_wp(false));
  return Step::kDone;
}

/// What is mapped here is on its way to another frame: it arrives in both, and is neither's own then. Whoever moves it
/// comes to the child's table too, which no other address space may have then (keep_tables_unshared()).
template <class G>
[[gnu::noinline]] Step copy_migration_entry(Copying<G>& copying, TableTally<G>& child_table, Vpn page, EntrySlot from,
                                            Entry entry, EntrySlot to) {
  const Entry shared = entry.with_migration_shared();
  if (shared != entry && !COWHERD_MUTANT(fork_keeps_migration_mark)) {
    point(copying.system, copying.parent, Point::kSetEntry);
    from.store(shared);
  }
  if (!COWHERD_MUTANT(rmap_lets_fork_share)) note_pins_below(copying.system, copying.child, page);
  child_table.set(to, copying.marks.elsewhere ? shared : shared.with_uffd_wp(false));
  return Step::kDone;
}

/// The entry that asked for the page in hand no longer needs it.
template <class G>
[[gnu::noinline]] void done_without_page(Copying<G>& copying) {
  if (copying.system.rules().prealloc_use != PreallocUse::kFreeUnused || COWHERD_MUTANT(prealloc_kept)) return;
  // The next one gets its own, by its own policy.
  const FrameNumber unused = std::exchange(copying.prealloc, Frames<G>::kZeroPage);
  if (!COWHERD_MUTANT(prealloc_leaked)) copying.system.frames().free(unused);
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
  const FrameNumber parent_table = parent_tables.table_of(from_first);
  Tables<G>::for_each_in(system.frames(), parent_table, {at, end}, [&](Vpn page, EntrySlot from, Entry entry) {
    if constexpr (G::kExplored) at = page;
    const EntrySlot to = child_tables.slot_in(child_table, page);
    if (entry.on_device()) [[unlikely]] {
      // The child's is what the parent's will be.
      entry = take_back(system, copying.parent, from, entry);
      if (COWHERD_MUTANT(fork_leaves_page_to_device)) from.store(entry.for_device());
    }
    if (entry.present()) [[likely]] {
      result = copy_entry(copying, tally, page, from, entry, to);
    } else if (entry.swap()) {
      result = copy_swap_entry(copying, tally, from, entry, to);
    } else if (entry.poison() || entry.is_marker()) {
      // The child's page is as lost, and what comes there as protected.
      const bool inherited = entry.poison() ? !COWHERD_MUTANT(fork_forgets_poison) : copying.marks.elsewhere;
      if (inherited) tally.set(to, entry);
    } else {
      result = copy_migration_entry(copying, tally, page, from, entry, to);
    }
    const bool done = result && *result == Step::kDone;
    if (done && copying.has_prealloc()) [[unlikely]]
      done_without_page(copying);
    if (!done) at = page;
    return done;
  });
  if (result && *result == Step::kDone) {
    at = end;
  } else if (result && *result == Step::kReturnLocked) {
    parent_guard.leak();
  }
  return result;
}

/// The huge entries from `first` on, as far as they lie side by side in one table before `end`; the tables above are
/// the parent's own. The child gets each too, and neither may write; or the rules look at its pages one by one, and
/// small entries take its place. Returns where it has stopped. Compare Linux mm/huge_memory.c: copy_huge_pmd().
template <class G>
Result<Vpn> fork_huge(Copying<G>& copying, Vpn first, Vpn end) {
  System<G>& system = copying.system;
  auto tables = system.tables(copying.child);
  EntrySlot from = system.tables(copying.parent).walk_to(first).slot;
  EntrySlot to;
  Vpn at = first;
  const Live live(system, "fork-huge", at);
  end = std::min(end, Tables<G>::covered(first, 2).end);
  for (; at < end; at = Tables<G>::table_end(at), from = from.after(1), to = to.after(1)) {
    const Entry entry = from.load();
    if (!entry.present() || !entry.huge()) break;
    const Live one(system, "entry", entry);
    const ForkHuge verdict = on_fork_huge(system, copying.parent, entry);
    copying.copies_all = verdict == ForkHuge::kSplitAndCopyAll;
    if (verdict != ForkHuge::kShare && verdict != ForkHuge::kShareHeld) {
      COWHERD_TRY(split_huge(system, copying.parent, from, at));
      break;
    }
    COWHERD_TRY(map_huge_once_more(system, entry.frame()));
    if (at == first) {
      auto place = tables.obtain(at, 1);
      if (!place) {
        put_huge(system, entry.frame());
        return place.error();
      }
      to = *place;
    }
    if (verdict == ForkHuge::kShareHeld) forget_owner_of_huge(system, entry.frame());
    if (entry.writable() && !COWHERD_MUTANT(huge_fork_keeps_writable)) {
      point(system, copying.parent, Point::kProtectEntry);
      (void)protect_entry<G>(from, entry);
      if (!COWHERD_MUTANT(huge_fork_without_flush)) copying.flush.add({at, Tables<G>::table_end(at)});
    }
    tables.set(to, entry.with_writable(false).with_young(false));
    system.note(
        {.kind = EventKind::kHugeShared, .decision = Decision::kForkPinned, .page = at, .frame = entry.frame()});
  }
  return at;
}

/// Copies what is mapped in `range` of one VMA, table by table; where an early copy needs a page, the locks are
/// dropped, the page is allocated and the entry is looked at afresh. Compare Linux mm/memory.c: copy_pte_range().
template <class G>
Result<void> copy_page_range(Copying<G>& copying, PageRange range) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
  // The analysis does not see that the parent's mmap lock is held.
  System<G>& system = copying.system;
  auto parent_tables = system.tables(copying.parent);
  Vpn at = parent_tables.next_used(range.begin, range.end, true);
  const Live live(system, "copy-page-range", at, copying.prealloc, copying.copies_all);
  while (at < range.end) {
    const Vpn end = intersect(range, {at, Tables<G>::table_end(at)}).end;
    if (const auto walk = parent_tables.walk_to(at); walk.shared) {
      COWHERD_TRY(own_tables(system, copying.parent, at, OnHuge::kKeep));
      if (walk.huge && is_of_hugetlb(system, walk.slot.load())) {
        const HugetlbFork<G> fork{copying.parent,          copying.child,
                                  copying.child_vma,       copying.parent_vma.flags.reserved,
                                  copying.entry_holds_pin, copying.flush};
        COWHERD_TRY_ASSIGN(copied, fork_hugetlb(system, fork, at));
        copying.copied = copying.copied || copied;
        at = parent_tables.next_used(end, range.end, true);
        continue;
      }
      if (walk.huge) {
        COWHERD_TRY_ASSIGN(shared_to, fork_huge(copying, at, range.end));
        if (shared_to != at) {
          at = parent_tables.next_used(shared_to, range.end, true);
          continue;
        }
      }
    }
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
        COWHERD_TRY_ASSIGN(page, allocate_page_for(system, copying.child_vma));
        // Chosen for this address, by its memory policy.
        system.descriptor(page).set_owner(0, at);
        copying.prealloc = page;
      }
    }
    copying.copies_all = false;
    at = parent_tables.next_used(end, range.end, true);
  }
  return {};
}

}  // namespace

template <class G>
bool any_page_pinned(System<G>& system, Mm& mm, PageRange range) {
  bool pinned = false;
  system.tables(mm).for_each(range, [&](Vpn, EntrySlot slot) {
    const Entry entry = slot.load();
    if (!entry.present() && !entry.on_device()) return true;
    const FrameState frame = system.state(entry.frame());
    pinned = frame.anon && maybe_pinned(system.rules(), frame);
    return !pinned;
  });
  system.tables(mm).for_each_huge(range, [&](Vpn, EntrySlot slot) {
    for (std::uint32_t i = 0; i < Frames<G>::kHugeFrames; ++i) {
      const FrameState frame = system.state_of_page(system.folio(slot.load().piece(i).frame()));
      pinned = pinned || (frame.anon && maybe_pinned(system.rules(), frame));
    }
  });
  return pinned;
}

template <class G>
Result<bool> copy_pages(System<G>& system, Mm& parent, Ref<Mm> child_ref, Ref<Vma> vma, Ref<Vma> made, PageRange range,
                        PendingFlush<G>& flush) {
  if (system.at(made).flags.wipe_on_fork && !COWHERD_MUTANT(wipeonfork_ignored)) {
    return false;
  }
  // What a file maps is found again by a fault. Compare Linux mm/memory.c: vma_needs_copy().
  const Vma& parents = system.at(vma);
  if (parents.mapping && !parents.own_anon_vma() && !COWHERD_MUTANT(shared_pages_copied_at_fork)) {
    if (keeps_marks(system.at(made))) COWHERD_TRY(copy_marks(system, parent, system.at(child_ref), range));
    return false;
  }
  bool holds_pin = false;
  if (system.rules().fork_pinned == ForkPinned::kCopyEntry) {
    point(system, Point::kReadCounts);
    holds_pin = any_page_pinned(system, parent, system.at(vma).pages);
  }
  const Live decided(system, "holds-pin", holds_pin);
  Copying<G> copying{system,
                     parent,
                     system.at(child_ref),
                     system.at(vma),
                     system.at(made),
                     holds_pin,
                     flush,
                     shares_unpinned(system.rules()) && !folios_are_asked(system),
                     system.rules().fork_source == ForkSource::kProtectThenRestore,
                     carried_marks(system.rules(), system.at(vma), system.at(made))};
  auto copied = copy_page_range(copying, range);
  if (copying.has_prealloc()) {
    system.frames().free(copying.prealloc);
  }
  if (!copied) return copied.error();
  return copying.copied;
}

#define COWHERD_INSTANTIATE(G)                                  \
  template bool any_page_pinned<G>(System<G>&, Mm&, PageRange); \
  template Result<bool> copy_pages<G>(System<G>&, Mm&, Ref<Mm>, Ref<Vma>, Ref<Vma>, PageRange, PendingFlush<G>&);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
