#include "mm/write_protect_fault.hpp"

#include "back/anon_rmap.hpp"
#include "base/mutant.hpp"
#include "mm/flush.hpp"
#include "mm/folio.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/swap.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// One fault: what it is about, and the entry as it was under the lock.
template <class G>
struct Fault {
  System<G>& system;
  Mm& mm;
  Ref<Vma> vma;
  Vpn page;
  FaultKind kind;
  EntrySlot slot;
  Entry entry;

  [[nodiscard]] FrameNumber frame() const { return entry.frame(); }
  [[nodiscard]] FrameDescriptor& descriptor() const { return system.descriptor(frame()); }
  /// Precondition: the page-table lock is held.
  [[nodiscard]] bool changed() const { return slot.load() != entry; }
};

/// The faulting process goes on with the page as it is, which is its own now. The page lock goes with the mark: whoever
/// takes it then finds a page that is settled. Compare Linux mm/memory.c: wp_page_reuse().
template <class G>
void reuse_page(const Fault<G>& fault, bool& page_locked) {
  System<G>& system = fault.system;
  const Vma& vma = system.at(fault.vma);
  FrameDescriptor& descriptor = fault.descriptor();
  if (!descriptor.exclusive()) {
    point(system, Point::kExclusive);
    if (descriptor.use() == FrameUse::kKsm) descriptor.change_use(FrameUse::kAnon);
    if (page_locked) note_unlocked(system, LockRank::kPageLock);
    descriptor.become_exclusive(vma.own_anon_vma().unit, vma.index_of(fault.page), !COWHERD_MUTANT(reuse_without_mark),
                                page_locked);
    page_locked = false;
  }
  if (fault.kind == FaultKind::kWrite) {
    point(system, fault.mm, Point::kSetEntry);
    // Accessed and dirty: no bit that a processor sets meanwhile is lost.
    // A mark that nobody is asked about goes with the write.
    const bool keeps = fault.entry.uffd_wp() && COWHERD_MUTANT(uffd_async_keeps_mark);
    fault.slot.store(make_entry(fault.frame(), vma, true).with_uffd_wp(keeps));
    system.note({.kind = EventKind::kReused, .decision = Decision::kReuse, .page = fault.page, .frame = fault.frame()});
  }
}

/// The faulting process gets a copy of the page. Called with the page-table lock held, which it lets go while it
/// allocates and copies; a reference keeps the page meanwhile. Compare Linux mm/memory.c: wp_page_copy().
template <class G>
Result<Faulted> copy_mapped_page(const Fault<G>& fault, PageTableGuard<G>& locked) {
  System<G>& system = fault.system;
  const FrameNumber old = fault.frame();
  const bool was_counted = old != Frames<G>::kZeroPage || COWHERD_MUTANT(zero_page_copied_as_ordinary);
  const RssClass was_of = old == Frames<G>::kZeroPage ? RssClass::kAnon : system.rss_class(old);
  const Live live(system, "copy-mapped-page", fault.entry);
  prefetch_start(system, old);
  if (was_counted) {
    point(system, Point::kTakeReference);
    fault.descriptor().add_references(1);
  }
  if (!COWHERD_MUTANT(copy_allocates_under_lock)) locked.release();
  auto allocated = allocate_page_for(system, system.at(fault.vma));
  if (!allocated) {
    if (was_counted && !COWHERD_MUTANT(failed_copy_keeps_reference)) put_page(system, old);
    return allocated.error();
  }
  const FrameNumber copy = *allocated;
  const Live copied(system, "copied", copy);
  copy_page(system, copy, old);

  PendingFlush<G> flush(system, fault.mm);
  const Live pending(system, "flush", flush.range());
  std::uint32_t references = was_counted ? 1 : 0;
  const Live held(system, "references", references);
  {
    PageTableGuard<G> guard(system, fault.mm, fault.slot);
    if (guard.blocked() || (fault.changed() && !COWHERD_MUTANT(copy_recheck_dropped))) {
      const bool blocked = guard.blocked();
      guard.release();
      if (!COWHERD_MUTANT(given_up_copy_leaked)) system.frames().free(copy);
      if (was_counted) put_page(system, old);
      return blocked ? Result<Faulted>(would_block(system, Point::kPageTableLock)) : Faulted::kRetry;
    }
    const bool unneeded = was_counted && fault.descriptor().mapcount() == 1 && fault.descriptor().references() == 2;
    if (was_counted && COWHERD_MUTANT(copy_drops_old_page_early)) put_page(system, old, 2);
    point(system, fault.mm, Point::kClearEntry);
    (void)clear_entry<G>(fault.slot);
    if (!COWHERD_MUTANT(copy_without_flush)) flush.add({fault.page, fault.page + PageCount{1}});
    flush.before_unlock();
    const Vma& vma = system.at(fault.vma);
    add_new_anon_page(system, copy, vma, fault.page);
    const bool write = fault.kind == FaultKind::kWrite;
    if (!write && !COWHERD_MUTANT(unshared_page_not_dirty)) {
      // The copy is nowhere else, and nothing has written it through this entry.
      system.descriptor(copy).set_dirty(true);
    }
    point(system, fault.mm, Point::kSetEntry);
    const bool soft_dirty = write || (fault.entry.soft_dirty() && !COWHERD_MUTANT(unshare_loses_soft_dirty));
    const bool marked = !write && fault.entry.uffd_wp() && !COWHERD_MUTANT(unshare_loses_uffd_wp);
    fault.slot.store(make_entry(copy, vma, write).with_soft_dirty(soft_dirty).with_uffd_wp(marked));
    system.note({.kind = write ? EventKind::kCopiedOnWrite : EventKind::kUnshared,
                 .decision = write ? Decision::kReuse : Decision::kGupRead,
                 .page = fault.page,
                 .frame = old,
                 .new_frame = copy,
                 .unneeded = unneeded});
    // The old mapping goes last: a mapcount of one lets another process write the page, and it must not while this
    // process can still read it.
    if (was_counted) {
      drop_mapcount(system, old);
      if (!COWHERD_MUTANT(copy_keeps_reference)) ++references;
      if (was_of != RssClass::kAnon) {
        add_rss(system, fault.slot, -1, was_of);
        add_rss(system, fault.slot, 1);
      }
    } else {
      add_rss(system, fault.slot, COWHERD_MUTANT(first_write_without_rss) ? 0 : 1);
    }
  }
  flush.after_unlock();
  if (was_counted && was_of == RssClass::kAnon && system.has_swap()) free_swap_cache(system, old);
  if (references != 0 && !COWHERD_MUTANT(copy_drops_old_page_early)) put_page(system, old, references);
  return Faulted::kMadeOwn;
}

/// Some mapping of a frame other than the faulting one.
struct OtherMapping {
  Ref<Vma> vma;
  Vpn page;
};

template <class G>
OtherMapping find_other_mapping(const Fault<G>& fault) {
  System<G>& system = fault.system;
  OtherMapping found;
  rmap_walk(system.frames(), fault.frame(), [&](Ref<Vma> other, Vpn other_page) {
    if ((other == fault.vma && other_page == fault.page) || found.vma) {
      return;
    }
    const Entry entry = system.tables(system.at(system.at(other).mm)).get(other_page);
    if (entry.present() && entry.frame() == fault.frame()) {
      found = {other, other_page};
    }
  });
  return found;
}

/// Gives one other mapper of the page a copy of its own. Called with the anon_vma lock held, which keeps the mapper's
/// VMA, and nothing else.
template <class G>
Result<void> copy_to_other(const Fault<G>& fault, OtherMapping other) {
  System<G>& system = fault.system;
  Vma& vma = system.at(other.vma);
  Mm& mm = system.at(vma.mm);
  COWHERD_TRY_ASSIGN(copy, allocate_page_for(system, vma));
  const Live live(system, "copy-to-other", other.vma, other.page, copy);
  copy_page(system, copy, fault.frame());
  const EntrySlot slot = system.tables(mm).find(other.page);
  if (!slot) {
    system.frames().free(copy);
    return {};
  }
  PageTableGuard<G> guard(system, mm, slot);
  const Entry entry = guard.blocked() ? Entry{} : slot.load();
  const bool changed = !entry.present() || entry.frame() != fault.frame();
  if (guard.blocked() || (changed && !COWHERD_MUTANT(directed_copy_recheck_dropped))) {
    const bool blocked = guard.blocked();
    guard.release();
    system.frames().free(copy);
    return blocked ? Result<void>(would_block(system, Point::kPageTableLock)) : Result<void>();
  }
  point(system, Point::kClearEntry);
  (void)clear_entry<G>(slot);
  flush_range(system, mm, {other.page, other.page + PageCount{1}});
  add_new_anon_page(system, copy, vma, other.page);
  system.descriptor(copy).set_dirty(true);
  point(system, Point::kSetEntry);
  slot.store(make_entry(copy, vma, false).with_soft_dirty(entry.soft_dirty()).with_uffd_wp(entry.uffd_wp()));
  drop_mapcount(system, fault.frame());
  system.note({.kind = EventKind::kCopiedToOther,
               .decision = Decision::kReuse,
               .page = other.page,
               .frame = fault.frame(),
               .new_frame = copy});
  guard.release();
  put_page(system, fault.frame());
  return {};
}

/// Everybody else who maps the page gets a copy; the faulting process is left as its only user, and faults again. A
/// reference keeps the page meanwhile.
template <class G>
Result<void> copy_to_others(const Fault<G>& fault, PageTableGuard<G>& locked) {
  System<G>& system = fault.system;
  point(system, Point::kTakeReference);
  fault.descriptor().add_references(1);
  locked.release();
  Result<void> result;
  {
    const AnonVmaGuard<G> guard(system, fault.mm, fault.vma);
    while (result) {
      const OtherMapping other = find_other_mapping(fault);
      if (!other.vma) break;
      result = copy_to_other(fault, other);
    }
  }
  put_page(system, fault.frame());
  return result;
}

template <class G>
WriteFault decide(const Fault<G>& fault, bool locked_by_other) {
  System<G>& system = fault.system;
  const FrameDescriptor& descriptor = fault.descriptor();
  FrameState state = system.has_swap() ? system.state_with_swap(fault.frame()) : system.state(fault.frame());
  if (state.folio.large && system.rules().folio_reuse == FolioReuse::kOwner) [[unlikely]]
    state.folio.mapped_alone = table_maps_all(system, fault.slot, state.folio.mapcount);
  return on_write_fault(system.rules(), state, locked_by_other,
                        descriptor.owner() == system.at(fault.vma).own_anon_vma().unit, descriptor.pins() != 0);
}

/// Decides with the page-table lock held. Counts may only be judged under the page lock, which `page_locked` then says
/// is held; an exclusive mark, or too many references, settle it without.
template <class G>
WriteFault judge(const Fault<G>& fault, bool& page_locked) {
  System<G>& system = fault.system;
  const Rules& rules = system.rules();
  const bool anon = fault.descriptor().use() == FrameUse::kAnon;
  if (!anon || rules.reuse == Reuse::kNever) {
    return decide(fault, false);
  }
  if (rules.reuse != Reuse::kMapcount && rules.reuse != Reuse::kDirected) {
    point(system, Point::kReadCounts);
    const WriteFault verdict = decide(fault, false);
    const bool by_mark = rules.reuse == Reuse::kExclusive && fault.descriptor().exclusive();
    if (verdict != WriteFault::kReuse || by_mark) {
      return verdict;
    }
  }
  point(system, Point::kTryPageLock);
  page_locked = try_lock_page_of(system, fault.frame());
  if (page_locked) {
    point(system, Point::kReadCounts);
  }
  return decide(fault, !page_locked);
}

/// Waits for the page lock without the page-table lock, which is not to be slept under, and holds both in the end. A
/// reference keeps the page. False: the entry has changed meanwhile, and neither is held. kWouldBlock.
template <class G>
Result<bool> sleep_for_page_lock(const Fault<G>& fault, PageTableGuard<G>& guard) {
  System<G>& system = fault.system;
  if (G::kExplored && system.scheduler() == nullptr) {
    return Errno::kWouldBlock;
  }
  point(system, Point::kTakeReference);
  fault.descriptor().add_references(1);
  guard.release();
  lock_page_of(system, fault.frame());
  if (!guard.lock_again() || (fault.changed() && !COWHERD_MUTANT(page_lock_recheck_dropped))) {
    guard.release();
    unlock_page_of(system, fault.frame());
    put_page(system, fault.frame());
    return false;
  }
  put_page(system, fault.frame());
  return true;
}

template <class G>
Result<Faulted> wait_for_reader(const Fault<G>& fault) {
  const bool gone = wait_until<G, FrameDescriptor>(fault.system, Point::kReadCounts, fault.descriptor(),
                                                   [](const FrameDescriptor& page) { return page.pins() == 0; });
  return gone ? Result<Faulted>(Faulted::kRetry) : Errno::kWouldBlock;
}

}  // namespace

template <class G>
Result<Faulted> fault_marked(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind, EntrySlot slot) {
  const PageTableGuard<G> guard(system, mm, slot);
  if (guard.blocked()) return would_block(system, Point::kPageTableLock);
  Entry entry = slot.load();
  if (!entry.present() || !entry.uffd_wp()) return Faulted::kRetry;
  if (is_userfault(system, system.at(vma), page, entry, kind)) return asks_for(kind);
  const Live live(system, "fault-marked", entry);
  point(system, mm, Point::kSetEntry);
  while (!COWHERD_MUTANT(uffd_async_keeps_mark) && !slot.replace(entry, entry.with_uffd_wp(false))) {
  }
  return Faulted::kRetry;
}

template <class G>
Result<Faulted> fault_write_protected(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind,
                                      EntrySlot slot) {
  Fault<G> fault{system, mm, vma, page, kind, slot, {}};
  PageTableGuard<G> guard(system, mm, fault.slot);
  if (guard.blocked()) {
    return would_block(system, Point::kPageTableLock);
  }
  fault.entry = fault.slot.load();
  if (!fault.entry.present() || fault.entry.writable()) {
    return Faulted::kRetry;
  }
  if (fault.entry.uffd_wp() && is_userfault(system, system.at(vma), page, fault.entry, kind)) [[unlikely]] {
    return asks_for(kind);
  }
  bool page_locked = false;
  const Live live(system, "fault-write-protected", fault.entry, page_locked);
  WriteFault verdict = judge(fault, page_locked);
  if (verdict == WriteFault::kWaitForPageLock) {
    COWHERD_TRY_ASSIGN(unchanged, sleep_for_page_lock(fault, guard));
    if (!unchanged) {
      return Faulted::kRetry;
    }
    page_locked = true;
    verdict = decide(fault, false);
  }
  if (verdict == WriteFault::kReuse) {
    // What is in its slot will not be what is in the page.
    if (page_locked && system.has_swap()) (void)try_free_swap(system, fault.frame());
    reuse_page(fault, page_locked);
  }
  if (page_locked) {
    unlock_page_of(system, fault.frame());
    page_locked = false;
  }
  switch (verdict) {
    case WriteFault::kCopy:
      return copy_mapped_page(fault, guard);
    case WriteFault::kCopyToOthers:
      COWHERD_TRY(copy_to_others(fault, guard));
      return Faulted::kRetry;
    case WriteFault::kWaitForReader:
      guard.release();
      return wait_for_reader(fault);
    case WriteFault::kReuse:
    case WriteFault::kWaitForPageLock:
      break;
  }
  return verdict == WriteFault::kReuse ? Faulted::kMadeOwn : Faulted::kRetry;
}

#define COWHERD_INSTANTIATE(G)                                                                    \
  template Result<Faulted> fault_marked<G>(System<G>&, Mm&, Ref<Vma>, Vpn, FaultKind, EntrySlot); \
  template Result<Faulted> fault_write_protected<G>(System<G>&, Mm&, Ref<Vma>, Vpn, FaultKind, EntrySlot);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
