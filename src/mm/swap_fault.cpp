#include "mm/swap_fault.hpp"

#include "back/anon_rmap.hpp"
#include "base/mutant.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/swap.hpp"
#include "mm/userfault.hpp"

namespace cowherd::mm {

namespace {

/// A page that has come from swap and is about to be mapped: the caller holds a reference, which becomes the entry's.
template <class G>
struct Arrival {
  System<G>& system;
  Mm& mm;
  Ref<Vma> vma;
  Vpn page;
  bool write;
  EntrySlot place;
  Entry entry;
  FrameNumber frame;
};

/// Whether rules send the fault past the swap cache.
template <class G>
bool goes_past_cache(System<G>& system, BlockNumber slot) {
  if (system.rules().swap_in != SwapIn::kPastCache) return false;
  const SwapGuard<G> guard(system);
  return system.swap().count(slot) == 1 && system.swap().cached(slot) == Frames<G>::kZeroPage;
}

/// A page of the fault's own, with what the slot holds. ENOMEM.
template <class G>
Result<FrameNumber> read_past_cache(System<G>& system, BlockNumber slot) {
  COWHERD_TRY_ASSIGN(frame, system.allocate_page());
  const Live live(system, "read-past-cache", frame);
  read_from_swap(system, slot, frame);
  system.descriptor(frame).add_references(1);
  return frame;
}

/// Maps the page; the page-table lock is held, and the page lock where the page is in the swap cache. Returns whether
/// it may be written.
template <class G>
bool map_arrived(const Arrival<G>& arrival) {
  System<G>& system = arrival.system;
  const Vma& vma = system.at(arrival.vma);
  FrameDescriptor& descriptor = system.descriptor(arrival.frame);
  point(system, Point::kReadCounts);
  FrameState state = system.state_with_swap(arrival.frame);
  --state.references;
  if (!state.in_swap_cache) state.swap_entries = 1;
  const bool exclusive = swapped_in_exclusive(system.rules(), state, arrival.entry.swap_exclusive(), arrival.write);
  if (!COWHERD_MUTANT(swap_in_keeps_count)) {
    const SwapGuard<G> guard(system);
    system.swap().drop_count(arrival.entry.slot());
  }
  // What is in its slot will not be what is in the page.
  if (exclusive && arrival.write && state.in_swap_cache) (void)try_free_swap(system, arrival.frame);
  if (!state.in_swap_cache) descriptor.set_dirty(true);
  point(system, Point::kExclusive);
  if (exclusive) {
    descriptor.become_exclusive(vma.own_anon_vma().unit, vma.index_of(arrival.page), true, false);
  } else if (descriptor.owner() == 0) {
    // Who else has the slot is on the lists of the family's oldest.
    descriptor.set_owner(anon_vma_root(system.frames(), arrival.vma).unit, vma.index_of(arrival.page));
  }
  if (mapcounts_matter(system.rules())) point(system, Point::kMapcount);
  descriptor.add_mapcount();
  point(system, arrival.mm, Point::kSetEntry);
  // A write to what userfaultfd protects is the next fault's business.
  const bool marked = arrival.entry.uffd_wp() && !COWHERD_MUTANT(swap_in_loses_uffd_wp);
  const bool written = exclusive && arrival.write && !marked;
  arrival.place.store(make_entry(arrival.frame, vma, written)
                          .with_soft_dirty(written || arrival.entry.soft_dirty())
                          .with_uffd_wp(marked));
  add_rss(system, arrival.place, COWHERD_MUTANT(swap_in_without_rss) ? 0 : 1);
  system.note({.kind = EventKind::kSwappedIn,
               .decision = arrival.write ? Decision::kSwapReuse : Decision::kSwapExclusive,
               .page = arrival.page,
               .frame = arrival.frame});
  return written;
}

}  // namespace

/// The page is looked up by its slot, and mapped if the entry still says so:
///
///   fault                                another thread's fault on the page
///   find the page by its slot
///                                        map it, drop the slot's count, store to it
///                                        reclaim: the page goes to a slot again, the same one
///   the entry is what it was: map the page
///
/// Allowed because the page that was found is the one in the swap cache, with the page lock held, or it is looked for
/// again: what was stored is in it. A fault that goes past the swap cache has a page of its own, as it was before.
template <class G>
Result<Faulted> fault_swapped(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, FaultKind kind, EntrySlot place,
                              Entry entry) {
  const Live live(system, "fault-swapped", page, kind, entry);
  const bool past_cache = goes_past_cache(system, entry.slot());
  auto found = past_cache ? read_past_cache(system, entry.slot()) : read_swap_page(system, entry.slot());
  if (!found) return found.error();
  const FrameNumber frame = *found;
  if (frame == Frames<G>::kZeroPage) return Faulted::kRetry;
  const Live arrived(system, "arrived", frame, past_cache);
  if (!past_cache && system.descriptor(frame).poisoned()) [[unlikely]] {
    unlock_page_of(system, frame);
    put_page(system, frame);
    return Errno::kHwPoison;
  }
  bool mapped = false;
  bool written = false;
  bool asks = false;
  bool blocked = false;
  {
    const PageTableGuard<G> guard(system, mm, place);
    blocked = guard.blocked();
    if (!blocked && (place.load() == entry || COWHERD_MUTANT(swap_in_recheck_dropped))) {
      mapped = true;
      written = map_arrived(Arrival<G>{system, mm, vma, page, kind == FaultKind::kWrite, place, entry, frame});
      asks = is_userfault(system, system.at(vma), page, place.load(), kind);
    }
  }
  if (!mapped && !past_cache && system.descriptor(frame).mapcount() == 0) (void)try_free_swap(system, frame);
  if (!past_cache) unlock_page_of(system, frame);
  if (!mapped) put_page(system, frame);
  if (blocked) return would_block(system, Point::kPageTableLock);
  // Whoever faults once only would go by.
  if (asks) return kAsksToWrite;
  return written ? Faulted::kMadeOwn : Faulted::kRetry;
}

#define COWHERD_INSTANTIATE(G) \
  template Result<Faulted> fault_swapped<G>(System<G>&, Mm&, Ref<Vma>, Vpn, FaultKind, EntrySlot, Entry);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
