#include "mm/hugetlb.hpp"

#include "base/mutant.hpp"
#include "mm/by_rmap.hpp"
#include "mm/hugetlb_fault.hpp"
#include "mm/locks.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

template <class G>
bool cuts_hugetlb(System<G>& system, Mm& mm, PageRange range) {
  return cuts_hugetlb_where(system, mm, range, [](const VmaFlags&) { return true; });
}

template <class G>
bool any_hugetlb(System<G>& system, Mm& mm, PageRange range) {
  if (!system.has_pool()) return false;
  VmaTree areas = system.areas(mm);
  for (Ref<Vma> vma = areas.find(range.begin); vma && system.at(vma).pages.begin < range.end; vma = areas.next(vma)) {
    if (system.at(vma).flags.hugetlb) return true;
  }
  return false;
}

template <class G>
Result<void> reserve_hugetlb(System<G>& system, std::uint32_t count) {
  const PoolGuard<G> guard(system);
  if (system.pool().unreserved() < count && !COWHERD_MUTANT(reserve_unchecked)) {
    system.frames().note_shortage();
    return Errno::kNoMemory;
  }
  system.pool().reserved += count;
  return {};
}

template <class G>
void unreserve_hugetlb(System<G>& system, Mm& mm, PageRange range) {
  if (!system.has_pool()) return;
  VmaTree areas = system.areas(mm);
  std::uint32_t unused = 0;
  for (Ref<Vma> vma = areas.find(range.begin); vma && system.at(vma).pages.begin < range.end; vma = areas.next(vma)) {
    const Vma& area = system.at(vma);
    if (!area.flags.reserved) continue;
    const PageRange part = intersect(range, area.pages);
    unused += static_cast<std::uint32_t>(part.count().value() / Frames<G>::kHugeFrames);
    system.tables(mm).for_each_huge(part, [&](Vpn, EntrySlot slot) {
      if (!keeps_promise(system, slot.load())) --unused;
    });
  }
  if (!COWHERD_MUTANT(reserve_kept_by_munmap)) take_back_promises(system, unused);
}

template <class G>
void take_back_promises(System<G>& system, std::uint32_t count) {
  if (count == 0) return;
  const Live live(system, "take-back-promises", count);
  const PoolGuard<G> guard(system);
  system.pool().reserved -= count;
}

template <class G>
Result<FrameNumber> take_hugetlb_page(System<G>& system, Promised promised) {
  if constexpr (System<G>::kChecksLocks) {
    if (system.held_locks().atomic()) system.report(Violation::kSleepInAtomic);
  }
  // Who was promised a page gets one.
  if (promised == Promised::kNo && system.frames().injector().should_fail()) {
    system.frames().note_shortage();
    return Errno::kNoMemory;
  }
  const PoolGuard<G> guard(system);
  auto taken = take_from_pool(system.frames(), system.pool(), promised);
  if (!taken) system.frames().note_shortage();
  return taken;
}

template <class G>
void give_back_hugetlb_page(System<G>& system, FrameNumber head, Promised promised) {
  const Live live(system, "give-back", head, promised);
  const PoolGuard<G> guard(system);
  give_to_pool(system.frames(), system.pool(), head, promised);
}

template <class G>
void free_hugetlb_page(System<G>& system, FrameNumber head) {
  give_back_hugetlb_page(system, head, Promised::kNo);
}

template <class G>
void copy_hugetlb_page(System<G>& system, FrameNumber to, FrameNumber from) {
  std::uint32_t at = 0;
  const Live live(system, "copy-hugetlb", to, from, at);
  for (; at < Frames<G>::kHugeFrames / (COWHERD_MUTANT(half_a_hugetlb_page_copied) ? 2 : 1); ++at) {
    copy_page(system, to + PageCount{at}, from + PageCount{at});
  }
}

template <class G>
void put_hugetlb_entry(System<G>& system, FrameNumber head) {
  if (head != Frames<G>::kZeroPage) (void)drop_hugetlb_mapping(system, head, Promised::kNo);
}

/// Who asks whether he is alone with a page meets both or none:
///
///   exit of the child                      write fault of the owner, no page is free
///   one mapping fewer
///                                          is he alone? no: somebody has a reference
///   one reference fewer
///
/// and he would fail for a page that is his. Allowed because the two are one access.
template <class G>
bool drop_hugetlb_mapping(System<G>& system, FrameNumber head, Promised promised) {
  const Live live(system, "drop-hugetlb-mapping", head, promised);
  point(system, Point::kDropReference);
  const auto left = system.descriptor(head).drop_mapping();
  if (!left || (left->counts.references == 0 && (left->mapcount != 0 || left->counts.pins != 0))) {
    system.report(Violation::kBadPage);
  }
  if (!left || left->counts.references != 0) return false;
  note_freed(system, head);
  give_back_hugetlb_page(system, head, promised);
  return true;
}

namespace {

/// A place without a page gets one, with the reservation where there is one. Compare Linux mm/hugetlb.c:
/// hugetlb_no_page().
///
/// Two threads may touch a place at once:
///
///   fault                                  another fault in the same page
///   no page is there: take a promised one
///                                          no page is there: take a promised one
///   set the entry
///
/// and the second would take what was promised to some other place. Allowed because faults hold the fault lock from
/// the look at the entry on.
template <class G>
Result<Faulted> map_new_page(const HugetlbFault<G>& fault) {
  System<G>& system = fault.system;
  Mm& mm = fault.mm;
  const Promised promised = fault.promised() ? Promised::kYes : Promised::kNo;
  const Promised back = COWHERD_MUTANT(given_up_reserve_lost) ? Promised::kNo : promised;
  COWHERD_TRY_ASSIGN(head, take_hugetlb_page(system, promised));
  std::uint32_t at = 0;
  auto tables = system.tables(mm);
  typename Tables<G>::Missing missing(system.frames());
  const Live live(system, "map-new-hugetlb", head, promised, fault.entry, at, missing.frames(), missing.count());
  for (; at < Frames<G>::kHugeFrames; ++at) clear_page(system, head + PageCount{at}, false);
  if (auto ready = tables.reserve(fault.first, missing, 1); !ready) {
    give_back_hugetlb_page(system, head, back);
    return ready.error();
  }
  {
    const UpperTableGuard<G> guard(system, mm);
    if (!guard.blocked()) {
      const EntrySlot slot = install_place(fault, tables, missing);
      add_new_anon_page(system, head, fault.area(), fault.first);
      point(system, mm, Point::kSetEntry);
      tables.set(slot, fault.entry_of(head));
      system.note(
          {.kind = EventKind::kHugeMapped, .decision = Decision::kHugetlbReuse, .page = fault.first, .frame = head});
      return Faulted::kRetry;
    }
  }
  give_back_hugetlb_page(system, head, back);
  return would_block(system, Point::kPageTableLock);
}

/// The faulting process goes on with the page, which is its own now; the upper table lock is held.
template <class G>
void reuse_hugetlb_page(const HugetlbFault<G>& fault) {
  System<G>& system = fault.system;
  FrameDescriptor& page = system.descriptor(fault.head());
  if (page.use() == FrameUse::kAnon && !page.exclusive()) {
    point(system, Point::kExclusive);
    page.become_exclusive(fault.area().own_anon_vma().unit, fault.area().index_of(fault.first), true, false);
  }
  if (!fault.writes()) return;
  point(system, fault.mm, Point::kSetEntry);
  fault.slot.store(fault.entry_of(fault.head()).with_unpromised(fault.entry.unpromised()));
  system.note({.kind = EventKind::kHugeReused,
               .decision = Decision::kHugetlbReuse,
               .page = fault.first,
               .frame = fault.head()});
}

/// Puts `copy` in place of the page, of which the caller has a reference. Nobody has changed the entry meanwhile, since
/// the fault lock is held. False: a lock was left held for ever.
template <class G>
bool replace_hugetlb_page(const HugetlbFault<G>& fault, FrameNumber copy) {
  System<G>& system = fault.system;
  const UpperTableGuard<G> guard(system, fault.mm);
  if (guard.blocked()) return false;
  point(system, fault.mm, Point::kClearEntry);
  // Who looks without the lock finds neither a page nor a place without one.
  const Entry before = hide_entry<G>(fault.slot);
  if (!COWHERD_MUTANT(hugetlb_copy_without_flush)) flush_range(system, fault.mm, fault.span());
  add_new_anon_page(system, copy, fault.area(), fault.first);
  point(system, fault.mm, Point::kSetEntry);
  const bool soft_dirty = fault.writes() || before.soft_dirty();
  fault.slot.store(fault.entry_of(copy).with_soft_dirty(soft_dirty));
  system.note({.kind = EventKind::kHugeCopied,
               .decision = Decision::kHugetlbReuse,
               .page = fault.first,
               .frame = fault.head(),
               .new_frame = copy});
  drop_mapcount(system, fault.head());
  return true;
}

/// The faulting process gets a copy: of a file's page one that was promised to the place, if any was. Who was promised
/// a page that he shares, and finds none for the copy, keeps the one that he has, and the others lose it: kRetry.
/// Called with the upper table lock. Compare Linux mm/hugetlb.c: hugetlb_wp().
///
///   write fault of the owner               read fault of the child
///   no page is free
///   take the page from the child
///                                          the entry says that the page was taken: SIGBUS
///   alone with the page: go on with it
///
/// Allowed because the owner was promised a page when it mapped the memory, and the child was not.
template <class G>
Result<Faulted> copy_mapped_hugetlb_page(const HugetlbFault<G>& fault, UpperTableGuard<G>& guard) {
  System<G>& system = fault.system;
  const FrameNumber old = fault.head();
  const Live live(system, "copy-mapped-hugetlb", fault.entry);
  point(system, Point::kTakeReference);
  system.descriptor(old).add_references(1);
  guard.release();
  const bool of_file = system.descriptor(old).use() == FrameUse::kFile;
  const bool promised = fault.promised() && !COWHERD_MUTANT(hugetlb_file_copy_takes_unpromised);
  const bool takes_promised = promised || COWHERD_MUTANT(hugetlb_copy_takes_promised);
  auto taken = take_hugetlb_page(system, takes_promised ? Promised::kYes : Promised::kNo);
  if (!taken) {
    bool any = false;
    if (fault.area().flags.reserved && !of_file && !COWHERD_MUTANT(hugetlb_owner_fails)) {
      any = take_from_others(system, fault.mm, fault.vma, old);
      // Whoever has just left may have left him alone with it; who is leaving is waited for.
      FrameState now = system.state(old);
      --now.references;
      any = any || now.mapcount > 1 || on_hugetlb_write_fault(system.rules(), now) == WriteFault::kReuse;
    }
    if (!COWHERD_MUTANT(failed_hugetlb_copy_keeps_reference)) put_page(system, old);
    return any ? Result<Faulted>(Faulted::kRetry) : taken.error();
  }
  const FrameNumber copy = *taken;
  const Live copied(system, "copied", copy);
  copy_hugetlb_page(system, copy, old);
  const bool replaced = replace_hugetlb_page(fault, copy);
  if (!replaced) give_back_hugetlb_page(system, copy, promised ? Promised::kYes : Promised::kNo);
  put_page(system, old, replaced ? 2 : 1);
  return replaced ? Result<Faulted>(Faulted::kMadeOwn) : would_block(system, Point::kPageTableLock);
}

template <class G>
Result<Faulted> wait_for_reader(const HugetlbFault<G>& fault) {
  const FrameDescriptor& page = fault.system.descriptor(fault.head());
  const bool gone = wait_until<G, FrameDescriptor>(fault.system, Point::kReadCounts, page,
                                                   [](const FrameDescriptor& p) { return p.pins() == 0; });
  return gone ? Result<Faulted>(Faulted::kRetry) : Errno::kWouldBlock;
}

template <class G>
Result<Faulted> fault_protected_hugetlb(HugetlbFault<G>& fault, HugetlbFaultGuard<G>& faults) {
  System<G>& system = fault.system;
  UpperTableGuard<G> guard(system, fault.mm);
  if (guard.blocked()) return would_block(system, Point::kPageTableLock);
  fault.entry = fault.slot.load();
  if (!system.in_pool(fault.head()) || fault.entry.writable()) return Faulted::kRetry;
  const Live live(system, "fault-protected-hugetlb", fault.entry);
  point(system, Point::kReadCounts);
  const FrameState page = system.state(fault.head());
  // A reference to a file's page that must not be to it needs another one.
  if (!fault.writes() && page.file) return copy_mapped_hugetlb_page(fault, guard);
  switch (on_hugetlb_write_fault(system.rules(), page)) {
    case WriteFault::kReuse:
      reuse_hugetlb_page(fault);
      return Faulted::kMadeOwn;
    case WriteFault::kWaitForReader:
      guard.release();
      faults.release();
      return wait_for_reader(fault);
    default:
      return copy_mapped_hugetlb_page(fault, guard);
  }
}

}  // namespace

template <class G>
bool take_from_others(System<G>& system, Mm& mm, Ref<Vma> vma, FrameNumber head) {
  bool any = false;
  const Live live(system, "take-from-others", head, any);
  const AnonVmaGuard<G> guard(system, mm, vma);
  for_each_place(system, head, [&](const Vma& area, Vpn page) {
    Mm& other = system.at(area.mm);
    if (&other == &mm) return;
    const Live at_place(system, "place", page);
    {
      // Under this lock nobody frees the table above.
      const UpperTableGuard<G> upper(system, other);
      const EntrySlot slot = system.tables(other).walk_to(page, 1).slot;
      if (upper.blocked() || !slot) return;
      Entry entry = slot.load();
      if (!entry.huge() || entry.frame() != head) return;
      point(system, Point::kClearEntry);
      const Entry left = COWHERD_MUTANT(taken_page_comes_back) ? Entry{} : no_hugetlb_page<G>();
      while (entry.huge() && entry.frame() == head && !slot.replace(entry, left)) {
      }
      if (!entry.huge() || entry.frame() != head) return;
      if (left.none()) system.descriptor(system.frames().frame_of(slot.place())).drop_mapcount();
      if (!COWHERD_MUTANT(taken_without_flush)) flush_range(system, other, Tables<G>::covered(page, 1));
      any = true;
      system.note({.kind = EventKind::kHugetlbTaken, .decision = Decision::kHugetlbReuse, .page = page, .frame = head});
    }
    (void)drop_hugetlb_mapping(system, head, Promised::kNo);
  });
  return any;
}

template <class G>
Result<Faulted> fault_hugetlb(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind) {
  const Vpn first = Tables<G>::covered(page, 1).begin;
  HugetlbFaultGuard<G> guard(system);
  if (guard.blocked()) return would_block(system, Point::kHugetlbFaultLock);
  if (COWHERD_MUTANT(hugetlb_faults_at_once)) guard.release();
  const auto walk = system.tables(mm).walk_to(first, 1);
  if (walk.shared) return Faulted::kSharedTable;
  HugetlbFault<G> fault{system, mm, vma, first, kind, walk.slot, walk.slot ? walk.slot.load() : Entry{}};
  const Live live(system, "fault-hugetlb", first, kind, fault.entry);
  if (maps_no_hugetlb_page<G>(fault.entry) && fault.entry.unpromised() && !fault.area().flags.reserved) {
    // It was taken away for want of pages.
    system.frames().note_shortage();
    return Errno::kNoMemory;
  }
  const bool shared = fault.area().flags.shared;
  if (!system.in_pool(fault.head())) {
    if (shared) return map_shared_hugetlb(fault);
    COWHERD_TRY_ASSIGN(cached, hold_cached_hugetlb(fault));
    return cached == Frames<G>::kZeroPage ? map_new_page(fault) : map_hugetlb_file_page(fault, cached);
  }
  if (kind == FaultKind::kRead || fault.entry.writable()) {
    if constexpr (G::kExplored) {
      // The access failed on what its CPU remembers.
      if (system.scheduler() != nullptr) system.scheduler()->forget_own_translation(system.ref(mm).unit, page);
    }
    return Faulted::kRetry;
  }
  // What is shared is nobody's own.
  return shared ? map_shared_hugetlb(fault) : fault_protected_hugetlb(fault, guard);
}

#define COWHERD_INSTANTIATE(G)                                                          \
  template bool cuts_hugetlb<G>(System<G>&, Mm&, PageRange);                            \
  template bool any_hugetlb<G>(System<G>&, Mm&, PageRange);                             \
  template Result<void> reserve_hugetlb<G>(System<G>&, std::uint32_t);                  \
  template void unreserve_hugetlb<G>(System<G>&, Mm&, PageRange);                       \
  template void take_back_promises<G>(System<G>&, std::uint32_t);                       \
  template Result<FrameNumber> take_hugetlb_page<G>(System<G>&, Promised);              \
  template void give_back_hugetlb_page<G>(System<G>&, FrameNumber, Promised);           \
  template void free_hugetlb_page<G>(System<G>&, FrameNumber);                          \
  template void copy_hugetlb_page<G>(System<G>&, FrameNumber, FrameNumber);             \
  template void put_hugetlb_entry<G>(System<G>&, FrameNumber);                          \
  template bool drop_hugetlb_mapping<G>(System<G>&, FrameNumber, Promised);             \
  template Result<Faulted> fault_hugetlb<G>(System<G>&, Mm&, Ref<Vma>, Vpn, FaultKind); \
  template bool take_from_others<G>(System<G>&, Mm&, Ref<Vma>, FrameNumber);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
