#include "mm/collapse.hpp"

#include "base/mutant.hpp"
#include "mm/folio.hpp"
#include "mm/huge.hpp"
#include "mm/hugetlb.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

namespace {

/// Whether a huge page may take the place of what `table` maps: nobody holds a page besides the entries that map it,
/// and there is one at least. EAGAIN; EBUSY, EINVAL: what is missing, or may not be written, userfaultfd's handler
/// decides. Compare Linux mm/khugepaged.c: hpage_collapse_scan_pmd(), madvise_collapse_errno().
template <class G>
Errno may_collapse(System<G>& system, FrameNumber table, UffdFlags uffd) {
  point(system, Point::kReadCounts);
  bool any = false;
  for (std::size_t i = 0; i < Geometry<G>::kEntries; ++i) {
    const Entry entry = Tables<G>::slot_at(system.frames(), table, i).load();
    const bool nothing = entry.none() || (entry.present() && entry.frame() == Frames<G>::kZeroPage);
    if (!COWHERD_MUTANT(collapse_ignores_uffd)) {
      if (nothing && uffd != UffdFlags::kNone) return Errno::kBusy;
      if (entry.uffd_wp()) return Errno::kInvalid;
    }
    if (entry.none()) continue;
    if (!entry.present() || !entry.user()) return Errno::kAgain;
    if (entry.frame() == Frames<G>::kZeroPage) continue;
    const FrameDescriptor& page = system.descriptor(entry.frame());
    // The swap cache's reference is nobody's: with its last mapping the page leaves it.
    const bool cached = system.has_swap() && system.frames().cold(entry.frame()).in_swap_cache();
    const bool held =
        page.references() != page.mapcount() + (cached ? 1 : 0) && !COWHERD_MUTANT(collapse_ignores_references);
    if (page.use() != FrameUse::kAnon || page.locked() || held) return Errno::kAgain;
    any = true;
  }
  return any ? Errno{0} : Errno::kAgain;
}

/// Copies what `table` maps to the frames from `head` on.
template <class G>
void copy_pieces(System<G>& system, FrameNumber table, FrameNumber head) {
  std::uint32_t at = 0;
  const Live live(system, "copy-pieces", at);
  for (; at < Geometry<G>::kEntries; ++at) {
    const Entry entry = Tables<G>::slot_at(system.frames(), table, at).load();
    const FrameNumber piece = head + PageCount{at};
    if (entry.none()) {
      clear_page(system, piece, false);
    } else {
      copy_page(system, piece, entry.frame());
    }
  }
}

/// Takes the table out first, so that nobody of the address space goes on with its pages, and asks then who holds them:
///
///   collapse                               fast pin
///                                          read the entry of the table, and the page's
///   take the table out, flush
///   does anybody hold a page? no
///                                          take a reference
///                                          read the page's entry again: the same
///                                          read the table's entry again: it has changed
///                                          let go
///   copy the pages, set the huge entry
///
/// Allowed because a pin that was there before the table went is seen by the question, and one that comes after finds
/// the table gone, if it looks (`gup-recheck=entry-and-table`). Compare Linux mm/khugepaged.c: collapse_huge_page().
template <class G>
Result<void> replace_table(System<G>& system, Mm& mm, Ref<Vma> vma, EntrySlot place, PageRange span, FrameNumber head) {
  const Entry table = place.load();
  const UffdFlags uffd = system.at(vma).flags.uffd;
  const Live live(system, "replace-table", table);
  Errno refusal{0};
  {
    // Who takes a page from all who map it finds it mapped here, or does not come.
    const AnonVmaGuard<G> guard(system, mm, vma);
    if (COWHERD_MUTANT(collapse_counts_first)) {
      refusal = may_collapse(system, table.frame(), uffd);
      if (refusal != Errno{0}) return refusal;
    }
    point(system, mm, Point::kClearEntry);
    (void)place.exchange(Entry{});
    if (!COWHERD_MUTANT(collapse_without_flush)) flush_range(system, mm, span);
    if (!COWHERD_MUTANT(collapse_counts_first)) refusal = may_collapse(system, table.frame(), uffd);
    const bool may = refusal == Errno{0};
    const Live asked(system, "may-not", refusal);
    if (may) {
      copy_pieces(system, table.frame(), head);
      start_huge(system, head, system.at(vma), span.begin);
    } else {
      // A fast pin that walked to the table before and came for its page now has not found it, to say so there.
      system.descriptor(table.frame()).set_pins_below(true);
    }
    point(system, mm, Point::kSetEntry);
    place.store(may ? make_entry(head, system.at(vma), true).with_huge(true) : table);
  }
  if (refusal != Errno{0}) return refusal;
  if (!COWHERD_MUTANT(collapse_frees_under_walker)) wait_for_walkers(system, mm, span);
  free_table(system, table.frame(), 0);
  return {};
}

/// Brings back what is in swap. EINVAL: its memory has failed; ENOMEM, kWouldBlock. Compare Linux mm/khugepaged.c:
/// __collapse_huge_page_swapin().
template <class G>
Result<void> bring_back(System<G>& system, Mm& mm, Ref<Vma> vma, PageRange span) COWHERD_REQUIRES(mm.mmap_lock) {
  Vpn at = span.begin;
  const Live live(system, "bring-back", at);
  while (at < span.end) {
    if (!system.tables(mm).get(at).swap()) {
      ++at;
      continue;
    }
    const auto faulted = handle_fault(system, mm, vma, at, FaultKind::kRead);
    if (!faulted) return faulted.error() == Errno::kHwPoison ? Errno::kInvalid : faulted.error();
  }
  return {};
}

/// With the mmap lock held for writing.
template <class G>
Result<void> collapse_locked(System<G>& system, Mm& mm, PageRange span) COWHERD_REQUIRES(mm.mmap_lock) {
  const Ref<Vma> vma = system.areas(mm).at(span.begin);
  if (!system.has_huge() || !vma || system.at(vma).pages.end < span.end) return Errno::kInvalid;
  const VmaFlags flags = system.at(vma).flags;
  const bool both = has(flags.protection, Protection::kRead) && has(flags.protection, Protection::kWrite);
  if (!both || flags.secret || flags.hugetlb || system.at(vma).mapping || !system.at(vma).own_anon_vma())
    return Errno::kInvalid;
  const Live live(system, "collapse-locked", vma, span);
  COWHERD_TRY(own_tables(system, mm, span.begin, OnHuge::kKeep));
  const EntrySlot place = system.tables(mm).walk_to(span.begin, 1).slot;
  if (!place || place.load().none()) return Errno::kInvalid;
  if (place.load().huge()) return {};
  if (system.has_swap() && !COWHERD_MUTANT(collapse_leaves_swap)) COWHERD_TRY(bring_back(system, mm, vma, span));
  COWHERD_TRY_ASSIGN(head, system.frames().allocate(FrameUse::kAnon, Frames<G>::kHugeOrder));
  const Live allocated(system, "allocated", head);
  auto replaced = replace_table(system, mm, vma, place, span, head);
  system.note({.kind = replaced ? EventKind::kHugeCollapsed : EventKind::kCollapseRefused,
               .decision = Decision::kHugeReuse,
               .page = span.begin,
               .frame = head});
  if (!replaced) system.frames().free(head, Frames<G>::kHugeOrder);
  return replaced;
}

}  // namespace

template <class G>
Result<void> collapse_range(System<G>& system, Mm& mm, PageRange range) {
  const MmapWriteGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return would_block(system, Point::kMmapLock);
  Vpn at = Tables<G>::covered(range.begin, 1).begin;
  if (at < range.begin) at = Tables<G>::table_end(at);
  const Live live(system, "collapse-range", at);
  Result<void> done = Errno::kInvalid;
  for (; Tables<G>::table_end(at) <= range.end; at = Tables<G>::table_end(at)) {
    done = collapse_locked(system, mm, Tables<G>::covered(at, 1));
    if (!done) break;
  }
  return done;
}

template <class G>
Result<void> collapse(System<G>& system, ProcessId process, Vaddr address) {
  const Vpn page = Geometry<G>::page_of(address);
  if (page.value() >= Geometry<G>::kUserPages) return Errno::kFault;
  const HeldMm<G> held(system, process);
  if (!held) return Errno::kNoProcess;
  const Live live(system, "collapse", held.ref());
  return collapse_range(system, held.mm(), Tables<G>::covered(page, 1));
}

namespace {

/// As split() of what a small entry maps.
template <class G>
Result<void> split_small(System<G>& system, Entry entry, Vpn page) {
  if (!entry.present() || system.frames().folio_order(entry.frame()) == 0) return Errno::kFault;
  point(system, Point::kReadCounts);
  if (!split_folio(system, entry.frame())) return Errno::kBusy;
  system.note({.kind = EventKind::kFolioSplit, .decision = Decision::kHugePins, .page = page, .frame = entry.frame()});
  return {};
}

}  // namespace

template <class G>
Result<void> split(System<G>& system, ProcessId process, Vaddr address) {
  const Vpn page = Geometry<G>::page_of(address);
  if (page.value() >= Geometry<G>::kUserPages) return Errno::kFault;
  const HeldMm<G> held(system, process);
  if (!held) return Errno::kNoProcess;
  const Live live(system, "split", held.ref());
  const MmapWriteGuard<G> guard(system, held.mm());
  if (guard.blocked() || stuck(held.mm())) return would_block(system, Point::kMmapLock);
  const auto walk = system.tables(held.mm()).walk_to(page);
  if (!walk.huge) return split_small(system, walk.load(), page);
  if (is_of_hugetlb(system, walk.slot.load())) return Errno::kFault;
  COWHERD_TRY(own_tables(system, held.mm(), page));
  return {};
}

#define COWHERD_INSTANTIATE(G)                                         \
  template Result<void> collapse_range<G>(System<G>&, Mm&, PageRange); \
  template Result<void> collapse<G>(System<G>&, ProcessId, Vaddr);     \
  template Result<void> split<G>(System<G>&, ProcessId, Vaddr);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
