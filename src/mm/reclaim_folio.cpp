#include "mm/reclaim_folio.hpp"

#include "base/mutant.hpp"
#include "mm/huge.hpp"
#include "mm/hugetlb.hpp"
#include "mm/leaving.hpp"
#include "mm/shared_tables.hpp"

namespace cowherd::mm {

namespace {

/// Whether the entries from `slot` on map the pages of `run`, all of them anonymous; the page-table lock is held.
template <class G>
bool maps_run(System<G>& system, EntrySlot slot, const PageRun& run) {
  for (std::uint32_t i = 0; i < run.pages; ++i) {
    const Entry entry = slot.after(i).load();
    if (!entry.present() || entry.frame() != run.frame(i)) return false;
    if (system.descriptor(entry.frame()).use() != FrameUse::kAnon) return false;
  }
  return true;
}

template <class G>
void put_run(System<G>& system, const PageRun& run) {
  std::uint32_t at = 0;
  const Live live(system, "put-run", at);
  for (; at < run.pages; ++at) put_page(system, run.frame(at));
}

/// Lets go of the locks of the pages from `first` on, and of all references.
template <class G>
void let_go(System<G>& system, const PageRun& run, std::uint32_t locked) {
  for (std::uint32_t at = 0; at < locked; ++at) unlock_page_of(system, run.frame(at));
  put_run(system, run);
}

/// Takes a reference to each page, and its lock. False: the entries do not map them all. EBUSY: somebody has a lock, or
/// a page has failed. Nothing is held then.
template <class G>
Result<bool> hold_run(System<G>& system, Mm& mm, EntrySlot slot, const PageRun& run) {
  std::uint32_t at = 0;
  const Live live(system, "hold-run", at);
  {
    const PageTableGuard<G> guard(system, mm, slot);
    if (guard.blocked()) return would_block(system, Point::kPageTableLock);
    if (!maps_run(system, slot, run)) return false;
    for (; at < run.pages; ++at) {
      point(system, Point::kTakeReference);
      system.descriptor(run.frame(at)).add_references(1);
    }
  }
  bool failed = false;
  for (at = 0; at < run.pages && !failed; ++at) {
    point(system, Point::kTryPageLock);
    if (!try_lock_page_of(system, run.frame(at))) break;
    failed = system.descriptor(run.frame(at)).poisoned();
  }
  if (at == run.pages && !failed) return true;
  let_go(system, run, at);
  return Errno::kBusy;
}

/// What is to become of the run, all locks held; nothing: its pages do not go together. Who may hold one page of it is
/// asked about all of them.
template <class G>
std::optional<Fate> fate_of(System<G>& system, const PageRun& run) {
  FolioState folio = system.has_folios() ? system.folio_state(run.head) : FolioState{};
  if (folio.large) folio.references -= run.pages;
  std::uint32_t cached = 0;
  std::uint32_t free = 0;
  std::uint32_t written = 0;
  bool goes = true;
  for (std::uint32_t i = 0; i < run.pages; ++i) {
    const ColdDescriptor& cold = system.frames().cold(run.frame(i));
    FrameState page = system.state_of_page(run.frame(i));
    --page.references;
    page.folio = folio;
    page.in_swap_cache = cold.in_swap_cache();
    goes = goes && (may_reclaim(system.rules(), page) || (i != 0 && COWHERD_MUTANT(run_goes_by_its_first_page)));
    cached += page.in_swap_cache ? 1 : 0;
    free += cold.lazy_free() ? 1 : 0;
    written += system.descriptor(run.frame(i)).dirty() ? 1 : 0;
  }
  const bool alike = (cached == 0 || cached == run.pages) && (free == 0 || free == run.pages);
  if (!goes || !alike) return std::nullopt;
  return free != 0 && written == 0 && cached == 0 ? Fate::kDiscard : Fate::kSwap;
}

/// Takes pages under MADV_FREE from `mm`, which maps all of them at `slot`, in one go: all entries are cleared, flushed
/// once, and then it is asked whether any of them was written or is held. Who looks without the lock finds that
/// something is there; what each entry permitted is in it until the end:
///
///   reclaim                                a thread                         a child, which shares the second page
///                                          writes to the first page
///   hide both entries, flush
///   was one written? yes: put both back,
///   as each of them was
///                                          writes to the second page: a fault,
///                                          since its entry does not permit it
///                                                                           reads what it had
///
/// Allowed because each gets back its own write permission. Where all get the first one's (`lazy-restore=first`) the
/// second write needs no fault, and the child reads it: CVE-2026-31398. Compare Linux mm/rmap.c: try_to_unmap_one().
///
/// Returns whether `mm` maps none of them any more.
template <class G>
bool discard_together(System<G>& system, Mm& mm, EntrySlot slot, const PageRun& run) {
  std::uint32_t at = 0;
  const Live live(system, "discard-together", at);
  PageTableGuard<G> guard(system, mm, slot);
  if (guard.blocked() || !maps_run(system, slot, run)) return false;
  for (; at < run.pages; ++at) {
    point(system, mm, Point::kClearEntry);
    (void)hide_entry<G>(slot.after(at));
  }
  PendingFlush<G> flush(system, mm);
  if (!COWHERD_MUTANT(discard_without_flush)) flush.add(run.range());
  const Live pending(system, "flush", flush.range());
  flush.before_unlock();
  point(system, Point::kReadCounts);
  bool keeps = false;
  for (std::uint32_t i = 0; i < run.pages && !(i != 0 && COWHERD_MUTANT(batch_asks_first_only)); ++i) {
    FrameState page = system.state_of_page(run.frame(i));
    --page.references;
    keeps = keeps || slot.after(i).load().dirty() || system.descriptor(run.frame(i)).dirty() ||
            !may_discard(system.rules(), page);
  }
  const bool by_first = system.rules().lazy_restore == LazyRestore::kFirst || COWHERD_MUTANT(batch_restores_first);
  const bool first_writable = slot.load().arrived().writable();
  const Live decided(system, "decided", keeps, first_writable);
  for (at = 0; at < run.pages; ++at) {
    const EntrySlot place = slot.after(at);
    const Entry entry = place.load().arrived();
    if (keeps) {
      point(system, mm, Point::kSetEntry);
      place.store(by_first ? entry.with_writable(first_writable) : entry);
      continue;
    }
    FrameDescriptor& page = system.descriptor(run.frame(at));
    point(system, Point::kExclusive);
    if (page.exclusive()) page.set_exclusive(false);
    point(system, mm, Point::kSetEntry);
    // It is counted until now.
    place.store(entry);
    (void)system.tables(mm).set(place, Entry{});
    add_rss(system, place, -1);
    system.note({.kind = EventKind::kDiscarded,
                 .decision = Decision::kLazyFree,
                 .page = run.first + PageCount{at},
                 .frame = run.frame(at)});
    drop_mapcount(system, run.frame(at));
  }
  if (keeps) {
    system.note({.kind = EventKind::kReclaimKept, .decision = Decision::kLazyRestore, .frame = run.head});
  }
  guard.release();
  flush.after_unlock();
  if (!keeps) put_run(system, run);
  return !keeps;
}

/// Takes the pages from all who map them. Returns whether nobody does any more.
template <class G>
bool unmap_run(System<G>& system, Mm& mm, Ref<Vma> vma, EntrySlot slot, const PageRun& run, Fate fate) {
  std::uint32_t at = 0;
  bool unmapped = true;
  const Live live(system, "unmap-run", at, unmapped);
  if (fate == Fate::kDiscard && !discard_together(system, mm, slot, run)) return false;
  for (; at < run.pages; ++at) {
    if (system.descriptor(run.frame(at)).mapcount() == 0) continue;
    unmapped = unmap_everywhere(Leaving<G>{system, run.frame(at), fate}, mm, vma) && unmapped;
  }
  return unmapped;
}

/// The locks go, one by one; returns how many of the frames nobody but the caller has any more.
template <class G>
PageCount finish_run(System<G>& system, const PageRun& run, Fate fate, bool unmapped) {
  PageCount gone{0};
  std::uint32_t at = 0;
  const Live live(system, "finish-run", gone, at);
  for (; at < run.pages; ++at) {
    const FrameNumber frame = run.frame(at);
    bool locked = true;
    bool left = false;
    if (fate == Fate::kDiscard) {
      point(system, Point::kReadCounts);
      const FrameDescriptor& page = system.descriptor(frame);
      left = page.mapcount() == 0 && page.references() == 1;
      if (!left) end_lazy_free(system, frame);
    } else if (unmapped) {
      locked = write_back(system, frame);
      left = locked && remove_clean_from_swap_cache(system, frame);
    } else {
      (void)try_free_swap(system, frame);
    }
    if (left) ++gone;
    if (locked) unlock_page_of(system, frame);
  }
  return gone;
}

/// Whether reclaim may take the pages of the run that a huge entry maps, where the rules count for all of them that
/// somebody holds one; else each is asked when it goes.
template <class G>
bool may_all_go(System<G>& system, FrameNumber head) {
  if (system.rules().huge_pins != HugePins::kWhole) return true;
  point(system, Point::kReadCounts);
  bool goes = true;
  for (std::uint32_t i = 0; i < Frames<G>::kHugeFrames; ++i) {
    goes = goes && may_reclaim(system.rules(), system.state_with_swap(head + PageCount{i}));
  }
  return goes;
}

}  // namespace

template <class G>
std::optional<PageRun> run_of_folio(System<G>& system, EntrySlot slot, Vpn page, PageRange within) {
  if (!system.has_folios() || !goes_out_whole(system.rules(), false)) return std::nullopt;
  const Entry entry = slot.load();
  if (!entry.present()) return std::nullopt;
  const unsigned order = system.frames().folio_order(entry.frame());
  if (order == 0) return std::nullopt;
  const std::uint32_t pages = 1U << order;
  const std::uint32_t index = entry.frame().value() & (pages - 1);
  const std::size_t place = Tables<G>::index_of(page, 0);
  // mremap may have moved a part.
  if (place < index || place - index + pages > Geometry<G>::kEntries) return std::nullopt;
  const PageRun run{page - PageCount{index}, FrameNumber{entry.frame().value() - index}, pages};
  if (run.first < within.begin || within.end < run.range().end) return std::nullopt;
  for (std::uint32_t i = 0; i < pages; ++i) {
    if (system.frames().folio_order(run.frame(i)) != order) return std::nullopt;
  }
  return run;
}

template <class G>
Result<std::optional<PageCount>> reclaim_run(System<G>& system, Mm& mm, Ref<Vma> vma, EntrySlot slot, PageRun run) {
  const Live live(system, "reclaim-run", vma, run.first, run.head, run.pages);
  COWHERD_TRY_ASSIGN(held, hold_run(system, mm, slot, run));
  if (!held) return std::optional<PageCount>{};
  point(system, Point::kReadCounts);
  const std::optional<Fate> found = fate_of(system, run);
  const Fate fate = found.value_or(Fate::kSwap);
  const Live decided(system, "decided", fate);
  const bool caches = fate == Fate::kSwap && !system.frames().cold(run.head).in_swap_cache();
  // Without slots side by side they go one by one.
  if (!found || (caches && !add_run_to_swap(system, run.head, run.pages))) {
    let_go(system, run, run.pages);
    return std::optional<PageCount>{};
  }
  for (std::uint32_t i = 0; fate == Fate::kSwap && i < run.pages; ++i) end_lazy_free(system, run.frame(i));
  const bool unmapped = unmap_run(system, mm, vma, slot, run, fate);
  const Live gone(system, "unmapped", unmapped);
  system.note({.kind = unmapped ? EventKind::kFolioReclaimed : EventKind::kReclaimKept,
               .decision = Decision::kFolioSwap,
               .page = run.first,
               .frame = run.head});
  const PageCount left = finish_run(system, run, fate, unmapped);
  put_run(system, run);
  if (left != PageCount{run.pages}) return Errno::kBusy;
  return std::optional<PageCount>{left};
}

template <class G>
Result<std::optional<PageCount>> reclaim_huge(System<G>& system, Mm& mm, Vpn page, PageRange within) {
  const Live live(system, "reclaim-huge", page, within);
  COWHERD_TRY(own_tables(system, mm, page, OnHuge::kKeep));
  const auto huge = system.tables(mm).walk_to(page);
  const PageRange span = Tables<G>::covered(page, 1);
  const Ref<Vma> vma = system.areas(mm).at(page);
  if (!huge.huge || !vma) return std::optional<PageCount>{};
  if (is_of_hugetlb(system, huge.slot.load())) return Errno::kBusy;
  const FrameNumber head = huge.slot.load().frame();
  const bool inside = !(span.begin < within.begin) && !(within.end < span.end) && !system.at(vma).flags.locked;
  // Other address spaces that map it whole keep it mapped.
  const bool whole = inside && goes_out_whole(system.rules(), true) && !is_huge_zero_page(system, head) &&
                     system.frames().huge(head).mapcount() == 1;
  if (whole ? !may_all_go(system, head) : is_held_whole(system, head)) return Errno::kBusy;
  COWHERD_TRY(own_tables(system, mm, page, OnHuge::kSplit));
  if (!whole) return std::optional<PageCount>{};
  const EntrySlot slot = system.tables(mm).walk_to(span.begin).slot;
  return reclaim_run(system, mm, vma, slot, {span.begin, head, Frames<G>::kHugeFrames});
}

#define COWHERD_INSTANTIATE(G)                                                                             \
  template std::optional<PageRun> run_of_folio<G>(System<G>&, EntrySlot, Vpn, PageRange);                  \
  template Result<std::optional<PageCount>> reclaim_run<G>(System<G>&, Mm&, Ref<Vma>, EntrySlot, PageRun); \
  template Result<std::optional<PageCount>> reclaim_huge<G>(System<G>&, Mm&, Vpn, PageRange);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
