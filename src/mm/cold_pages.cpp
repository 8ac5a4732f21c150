#include "mm/cold_pages.hpp"

#include "base/mutant.hpp"
#include "mm/flush.hpp"
#include "mm/folio.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/reclaim.hpp"
#include "mm/reclaim_folio.hpp"
#include "mm/shmem_swap.hpp"
#include "mm/swap.hpp"

namespace cowherd::mm {

namespace {

/// Calls `visit(page, place, entry)` for what is mapped in `range` or in swap, a table and its lock at a time.
template <class G, class Visit>
void for_each_locked(System<G>& system, Mm& mm, PageRange range, Visit&& visit) {
  auto tables = system.tables(mm);
  Vpn at = tables.next_used(range.begin, range.end);
  const Live live(system, "for-each-locked", at);
  while (at < range.end) {
    const PageRange chunk = intersect(range, {at, Tables<G>::table_end(at)});
    const EntrySlot first = tables.find(at);
    const PageTableGuard<G> guard(system, mm, first);
    if (guard.blocked()) return;
    tables.for_each(chunk, [&](Vpn page, EntrySlot place) {
      at = page;
      visit(page, place, place.load());
      return true;
    });
    at = tables.next_used(chunk.end, range.end);
  }
}

/// Whether reclaim may throw the page away from now on: the page-table lock is held, nobody else maps the page, and it
/// is not merged, which reclaim leaves alone. It leaves the swap cache, and what was written to it counts no more.
template <class G>
bool may_go(System<G>& system, FrameNumber frame) {
  FrameDescriptor& page = system.descriptor(frame);
  point(system, Point::kReadCounts);
  if (page.mapcount() != 1 || page.use() != FrameUse::kAnon) return false;
  point(system, Point::kTryPageLock);
  if (!try_lock_page_of(system, frame)) return false;
  const Live live(system, "may-go", frame);
  const ColdDescriptor& cold = system.frames().cold(frame);
  const bool leaves =
      page.mapcount() == 1 && page.use() == FrameUse::kAnon && (!cold.in_swap_cache() || try_free_swap(system, frame));
  if (leaves) page.set_dirty(false);
  unlock_page_of(system, frame);
  return leaves;
}

}  // namespace

/// A processor that remembers an entry as dirty stores through it without setting the bit again:
///
///   MADV_FREE                            thread of the process
///   take the dirty bit from the entry
///                                        store through what it remembers
///   flush
///                                        store: walk, set the dirty bit
///
/// The first store may be lost with the page, and the second may not. Allowed because the call has not returned at the
/// first: whoever stores meanwhile cannot say that he did so after it.
template <class G>
void free_lazily(System<G>& system, Mm& mm, PageRange range) {
  PendingFlush<G> flush(system, mm);
  const Live live(system, "free-lazily", flush.range());
  for_each_locked(system, mm, range, [&](Vpn page, EntrySlot place, Entry entry) {
    if (entry.poison() && !COWHERD_MUTANT(free_keeps_poison)) {
      // There is nothing to wait for: the next page is another one. Linux since 5.19.
      point(system, mm, Point::kClearEntry);
      (void)system.tables(mm).set(place, Entry{});
      return;
    }
    if (!system.has_swap()) return;
    if (entry.swap()) {
      point(system, mm, Point::kClearEntry);
      (void)system.tables(mm).set(place, Entry{});
      free_swap_entry(system, entry.slot());
      return;
    }
    if (!entry.present() || entry.frame() == Frames<G>::kZeroPage || !system.state_of_page(entry.frame()).anon ||
        !may_go(system, entry.frame()))
      return;
    point(system, mm, Point::kClearEntry);
    entry = clear_entry<G>(place);
    flush.add({page, page + PageCount{1}});
    place.store(entry.with_dirty(false).with_young(false));
    system.frames().cold(entry.frame()).set_lazy_free(true);
    system.frames().cold(entry.frame()).set_active(false);
  });
  flush.before_unlock();
  flush.after_unlock();
}

template <class G>
void make_cold(System<G>& system, Mm& mm, PageRange range) {
  if (!system.has_swap()) return;
  for_each_locked(system, mm, range, [&](Vpn, EntrySlot place, Entry entry) {
    if (!entry.present() || entry.frame() == Frames<G>::kZeroPage || !goes_to_swap(system, entry.frame())) return;
    // Who has it in his CPU sets it again some time later: it is a hint.
    while (!place.replace(entry, entry.with_young(false))) {
    }
    ColdDescriptor& cold = system.frames().cold(entry.frame());
    cold.set_active(false);
    cold.set_referenced(false);
  });
}

namespace {

/// What may go with a page that nobody else maps: all of `range`, or the page alone, where others map its neighbours.
template <class G>
PageRange own_range(System<G>& system, FrameNumber frame, Vpn page, PageRange range) {
  bool own = true;
  for_each_in_folio(system.frames(), frame,
                    [&](FrameNumber piece) { own = own && system.descriptor(piece).mapcount() == 1; });
  return own ? range : PageRange{page, page + PageCount{1}};
}

}  // namespace

template <class G>
void page_out(System<G>& system, Mm& mm, PageRange range, bool alone) {
  if (!system.has_swap()) return;
  Vpn page = range.begin;
  const Live live(system, "page-out", page);
  for (; page < range.end; ++page) {
    const Ref<Vma> vma = system.areas(mm).at(page);
    if (vma && alone && system.tables(mm).walk_to(page).huge) {
      // Where there is no memory to take it apart it stays.
      const auto gone = reclaim_huge(system, mm, page, range);
      if (!gone || *gone) {
        page = Tables<G>::table_end(page) - PageCount{1};
        continue;
      }
    }
    const Entry entry = system.tables(mm).get(page);
    const bool own = entry.present() && entry.frame() != Frames<G>::kZeroPage && goes_to_swap(system, entry.frame()) &&
                     system.descriptor(entry.frame()).mapcount() == 1;
    if (vma && own) (void)reclaim_page(system, mm, vma, page, own_range(system, entry.frame(), page, range));
  }
}

#define COWHERD_INSTANTIATE(G)                              \
  template void free_lazily<G>(System<G>&, Mm&, PageRange); \
  template void make_cold<G>(System<G>&, Mm&, PageRange);   \
  template void page_out<G>(System<G>&, Mm&, PageRange, bool);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
