#include "back/anon_rmap.hpp"
#include "mm/areas.hpp"
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
  system.tables(mm).for_each(range, [&](Vpn, Entry* slot) {
    const FrameState frame = system.state(slot->frame());
    pinned = !frame.zero_page && maybe_pinned(system.rules(), frame);
    return !pinned;
  });
  return pinned;
}

/// Both map the page, neither may write it. Compare Linux mm/memory.c: copy_present_ptes().
template <class G>
Result<Step> share_page(Copying<G>& copying, Vpn page, Entry* from, Entry* to) {
  System<G>& system = copying.system;
  const FrameNumber frame = from->frame();
  if (frame != Frames<G>::kZeroPage) {
    FrameDescriptor& descriptor = system.descriptor(frame);
    if (descriptor.references() == FrameDescriptor::kMaxReferences ||
        descriptor.mapcount() == FrameDescriptor::kMaxMapcount) {
      system.frames().note_shortage();
      return Errno::kNoMemory;
    }
    descriptor.add_references(1);
    descriptor.add_mapcount();
    descriptor.set_exclusive(false);
    ++copying.child.anon_rss;
    system.note({.kind = EventKind::kForkShared, .decision = Decision::kForkPinned, .page = page, .frame = frame});
  }
  system.tables(copying.parent).set(from, from->with_writable(false));
  system.tables(copying.child).set(to, from->with_writable(false).with_young(false));
  return Step::kDone;
}

/// The page for an early copy, from where the rules get it: one in hand, one that cannot wait, or one that may.
template <class G>
Result<FrameNumber> take_page(Copying<G>& copying) {
  System<G>& system = copying.system;
  switch (system.rules().copy_alloc) {
    case CopyAlloc::kPrealloc:
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
Result<Step> copy_page_early(Copying<G>& copying, Vpn page, Entry* from, Entry* to) {
  System<G>& system = copying.system;
  const Rules& rules = system.rules();
  if (rules.copy_alloc == CopyAlloc::kPrealloc && !copying.has_prealloc()) {
    return Step::kNeedsPage;
  }
  auto tables = system.tables(copying.parent);
  const Entry entry = *from;
  if (rules.fork_source == ForkSource::kProtectThenRestore) {
    tables.set(from, entry.with_writable(false));
  }
  auto taken = take_page(copying);
  if (!taken) {
    if (rules.copy_failure == CopyFailure::kReturnLocked) {
      return Step::kReturnLocked;
    }
    tables.set(from, entry);
    return taken.error();
  }
  const FrameNumber source = entry.frame();
  const FrameNumber copy = *taken;
  copy_page(system, copy, source);
  FrameDescriptor& made = system.descriptor(copy);
  if (rules.copy_accounting == CopyAccounting::kNewPage) {
    add_new_anon_page(system, copy, copying.child_vma, page);
  } else {
    made.add_references(1);
    system.descriptor(source).add_references(1);
    system.descriptor(source).add_mapcount();
  }
  if (rules.copy_rmap == CopyRmap::kChild) {
    made.set_owner(copying.child_vma.anon_vma.unit, copying.child_vma.index_of(page));
  } else {
    made.set_owner(0, Vpn{0});
  }
  system.tables(copying.child)
      .set(to, make_entry(copy, copying.child_vma, rules.copy_entry == CopyEntry::kDirtyWritable));
  ++copying.child.anon_rss;
  if (rules.fork_source == ForkSource::kProtectThenRestore) {
    tables.set(from, entry);
  }
  system.note({.kind = EventKind::kForkCopied,
               .decision = Decision::kForkPinned,
               .page = page,
               .frame = source,
               .new_frame = copy,
               .unneeded = system.descriptor(source).pins() == 0});
  return Step::kDone;
}

template <class G>
Result<Step> copy_entry(Copying<G>& copying, Vpn page, Entry* from, Entry* to) {
  System<G>& system = copying.system;
  const ForkPage verdict =
      on_fork(system.rules(), system.state(from->frame()), {.writable = from->writable(), .dirty = from->dirty()},
              copying.parent.has_pinned, copying.entry_holds_pin);
  return verdict == ForkPage::kCopy ? copy_page_early(copying, page, from, to) : share_page(copying, page, from, to);
}

/// Copies the entries of one lowest table from `at` on, both page-table locks held; `at` says how far it came.
template <class G>
Result<Step> copy_table(Copying<G>& copying, Vpn& at, Vpn end) {
  System<G>& system = copying.system;
  PageTableGuard<G> child_guard(system, copying.child.page_table_lock);
  PageTableGuard<G> parent_guard(system, copying.parent.page_table_lock);
  const Vpn first = at;
  Entry* const to = system.tables(copying.child).find(first);
  Result<Step> result = Step::kDone;
  system.tables(copying.parent).for_each({at, end}, [&](Vpn page, Entry* from) {
    at = page;
    result = copy_entry(copying, page, from, to + (page - first).value());
    if (result && *result == Step::kDone && copying.has_prealloc()) {
      // The entry that asked for the page no longer needs it. The next one gets its own, by its own policy.
      system.frames().free(std::exchange(copying.prealloc, Frames<G>::kZeroPage));
    }
    return result && *result == Step::kDone;
  });
  if (result && *result == Step::kDone) {
    at = end;
  } else if (result && *result == Step::kReturnLocked) {
    parent_guard.leak();
  }
  return result;
}

/// Copies what is mapped in one VMA, table by table; where an early copy needs a page, the locks are dropped, the page
/// is allocated and the entry is looked at afresh. Compare Linux mm/memory.c: copy_pte_range().
template <class G>
Result<void> copy_page_range(Copying<G>& copying) {
  System<G>& system = copying.system;
  const PageRange range = copying.parent_vma.pages;
  auto parent_tables = system.tables(copying.parent);
  for (Vpn at = parent_tables.next_used(range.begin, range.end); at < range.end;) {
    const Vpn end = intersect(range, {at, Tables<G>::table_end(at)}).end;
    bool any = false;
    parent_tables.for_each({at, end}, [&](Vpn, Entry*) {
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
        copying.prealloc = page;
      }
    }
    at = parent_tables.next_used(end, range.end);
  }
  return {};
}

template <class G>
Result<void> copy_vma(System<G>& system, Mm& parent, Ref<Mm> child_ref, Ref<Vma> vma)
    COWHERD_REQUIRES(parent.mmap_lock) {
  Mm& child = system.at(child_ref);
  auto made = system.frames().template make<Vma>();
  if (!made) {
    return made.error();
  }
  Vma& copy = system.at(*made);
  copy = system.at(vma);
  copy.mm = child_ref;
  copy.anon_vma = {};
  copy.chain = {};
  copy.left = {};
  copy.right = {};
  if (!system.at(vma).flags.wipe_on_fork) {
    // Directed reuse knows the first owner of a page by its anon_vma.
    const auto take_over = system.rules().reuse == Reuse::kDirected ? TakeOver::kForbidden : TakeOver::kAllowed;
    if (auto forked = anon_vma_fork(system.frames(), *made, vma, take_over); !forked) {
      system.frames().destroy(*made);
      return forked;
    }
  }
  system.areas(child).insert(*made);
  if (copy.flags.wipe_on_fork) {
    return {};
  }
  const bool holds_pin =
      system.rules().fork_pinned == ForkPinned::kCopyEntry && any_page_pinned(system, parent, system.at(vma).pages);
  Copying<G> copying{system, parent, child, system.at(vma), copy, holds_pin};
  auto copied = copy_page_range(copying);
  if (copying.has_prealloc()) {
    system.frames().free(copying.prealloc);
  }
  return copied;
}

/// Compare Linux mm/mmap.c: dup_mmap().
template <class G>
Result<void> copy_vmas(System<G>& system, Mm& parent, Ref<Mm> child) {
  const MmapGuard<G> parent_guard(system, parent.mmap_lock);
  if (parent_guard.blocked() || parent.page_table_lock.held) {
    return Errno::kWouldBlock;
  }
  Mm& child_mm = system.at(child);
  const MmapGuard<G> child_guard(system, child_mm.mmap_lock);
  VmaTree areas = system.areas(parent);
  for (Ref<Vma> vma = areas.first(); vma; vma = areas.next(vma)) {
    if (!system.at(vma).flags.dont_fork) {
      COWHERD_TRY(copy_vma(system, parent, child, vma));
    }
  }
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
  return on_fork_start(rules, parent.has_pinned, pinned);
}

}  // namespace

template <class G>
Result<ProcessId> fork(System<G>& system, ProcessId parent) {
  const Ref<Process> caller = process_ref<G>(parent);
  Mm& parent_mm = mm_of(system, parent);
  switch (may_start(system, parent_mm)) {
    case ForkStart::kRefuse:
      system.note({.kind = EventKind::kForkRefused, .decision = Decision::kForkPinned});
      return Errno::kBusy;
    case ForkStart::kWait:
      system.note({.kind = EventKind::kForkWaits, .decision = Decision::kForkPinned});
      return Errno::kWouldBlock;
    case ForkStart::kGo:
      break;
  }
  // The child's mm and process come first: once pages are shared only their copying can still fail, and dropping the
  // child undoes that. Pages of the parent may stay write-protected then, which nothing can tell.
  COWHERD_TRY_ASSIGN(child, create_mm(system));
  auto process = create_process(system, child, caller);
  if (!process) {
    put_mm(system, child);
    return process.error();
  }
  if (auto copied = copy_vmas(system, parent_mm, child); !copied) {
    const ProcessId stillborn{process->unit};
    disown(system, stillborn);
    if (auto gone = exit(system, stillborn); !gone) {
      return gone.error();
    }
    return copied.error();
  }
  return ProcessId{process->unit};
}

#define COWHERD_INSTANTIATE(G) template Result<ProcessId> fork<G>(System<G>&, ProcessId);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
