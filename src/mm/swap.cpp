#include "mm/swap.hpp"

#include <cstring>

#include "base/mutant.hpp"
#include "base/racing_bytes.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"

namespace cowherd::mm {

namespace {

constexpr FrameNumber kNoPage{0};

/// Takes the page out of the swap cache; the swap lock is held. The cache's reference stays with the caller.
template <class G>
void forget_cached(System<G>& system, FrameNumber frame) {
  ColdDescriptor& cold = system.frames().cold(frame);
  const BlockNumber slot = cold.slot();
  cold.clear_slot();
  system.swap().set_cached(slot, kNoPage);
}

}  // namespace

template <class G>
Result<void> duplicate_swap(System<G>& system, BlockNumber slot) {
  const SwapGuard<G> guard(system);
  if (COWHERD_MUTANT(fork_swap_without_count) || system.swap().add_count(slot)) return {};
  system.frames().note_shortage();
  return Errno::kNoMemory;
}

template <class G>
void free_swap_entry(System<G>& system, BlockNumber slot) {
  if (COWHERD_MUTANT(zap_keeps_slot)) return;
  FrameNumber frame = kNoPage;
  {
    const Live dropping(system, "drop-swap-entry", slot);
    const SwapGuard<G> guard(system);
    BlockStore<G>& swap = system.swap();
    if (swap.count(slot) == 0) {
      system.report(Violation::kSwapCount);
      return;
    }
    // Who reads it after the count is zero finds a slot that may be another page's by then.
    if (swap.count(slot) == 1) frame = swap.cached(slot);
    if (frame != kNoPage) system.descriptor(frame).add_references(1);
    swap.drop_count(slot);
  }
  if (frame == kNoPage) return;
  const Live live(system, "free-swap-entry", frame);
  free_swap_cache(system, frame);
  put_page(system, frame);
}

template <class G>
FrameNumber get_from_swap_cache(System<G>& system, BlockNumber slot) {
  const Live live(system, "get-from-swap-cache", slot);
  const SwapGuard<G> guard(system);
  const FrameNumber frame = system.swap().cached(slot);
  if (frame != kNoPage) system.descriptor(frame).add_references(1);
  return frame;
}

template <class G>
Result<void> add_to_swap(System<G>& system, FrameNumber frame) {
  const Live live(system, "add-to-swap", frame);
  const SwapGuard<G> guard(system);
  auto slot = system.swap().allocate(frame, 0);
  if (!slot) return slot.error();
  system.frames().cold(frame).set_slot(*slot);
  system.descriptor(frame).add_references(1);
  // Its slot holds nothing of it.
  system.descriptor(frame).set_dirty(true);
  return {};
}

template <class G>
bool add_run_to_swap(System<G>& system, FrameNumber head, std::uint32_t pages) {
  const Live live(system, "add-run-to-swap", head, pages);
  const SwapGuard<G> guard(system);
  const auto first = system.swap().allocate_run(head, pages);
  if (!first) return false;
  for (std::uint32_t i = 0; i < pages; ++i) {
    const FrameNumber frame = head + PageCount{i};
    system.frames().cold(frame).set_slot(BlockNumber{first->value() + i});
    system.descriptor(frame).add_references(1);
    system.descriptor(frame).set_dirty(true);
  }
  return true;
}

template <class G>
bool try_free_swap(System<G>& system, FrameNumber frame) {
  {
    const Live live(system, "try-free-swap", frame);
    const SwapGuard<G> guard(system);
    const ColdDescriptor& cold = system.frames().cold(frame);
    if (!cold.in_swap_cache() || cold.writeback()) return false;
    if (system.swap().count(cold.slot()) != 0 && !COWHERD_MUTANT(swap_cache_left_early)) return false;
    forget_cached(system, frame);
    if (!COWHERD_MUTANT(swap_cache_left_clean)) system.descriptor(frame).set_dirty(true);
  }
  put_page(system, frame);
  return true;
}

template <class G>
void free_swap_cache(System<G>& system, FrameNumber frame) {
  if (!system.frames().cold(frame).in_swap_cache() || system.descriptor(frame).mapcount() != 0) return;
  point(system, Point::kTryPageLock);
  if (!try_lock_page_of(system, frame)) return;
  const Live live(system, "free-swap-cache", frame);
  if (system.descriptor(frame).mapcount() == 0) (void)try_free_swap(system, frame);
  unlock_page_of(system, frame);
}

/// Nobody finds the page by its slot once it is out of the swap cache, and who found it before has a reference:
///
///   reclaim                              fault on an entry that names the slot
///                                        find the page by the slot, take a reference
///   does anybody else hold the page? yes: leave it
///
/// Both happen under the swap lock. A fast pin that read the entry before it was cleared may still take a reference,
/// and finds the entry changed then: whoever drops the last reference frees the page.
template <class G>
bool remove_clean_from_swap_cache(System<G>& system, FrameNumber frame) {
  {
    const Live live(system, "remove-clean", frame);
    const SwapGuard<G> guard(system);
    const FrameDescriptor& page = system.descriptor(frame);
    const bool held = page.references() != 2 && !COWHERD_MUTANT(swap_out_ignores_references);
    const bool dirty = page.dirty() && !COWHERD_MUTANT(swap_out_ignores_dirty);
    // Its memory may have failed meanwhile.
    const bool left = !system.frames().cold(frame).in_swap_cache();
    if (held || dirty || left || page.mapcount() != 0) return false;
    forget_cached(system, frame);
  }
  put_page(system, frame);
  return true;
}

template <class G>
void leave_swap_cache_clean(System<G>& system, FrameNumber frame) {
  {
    const SwapGuard<G> guard(system);
    const bool lost = system.descriptor(frame).dirty() || COWHERD_MUTANT(poison_stays_in_swap_cache);
    if (!system.frames().cold(frame).in_swap_cache() || lost) return;
    forget_cached(system, frame);
  }
  put_page(system, frame);
}

template <class G>
void write_to_swap(System<G>& system, FrameNumber frame, BlockNumber slot) {
  point(system, Point::kSwapIo);
  copy_racing(system.swap().bytes(slot), system.frames().bytes(frame), Geometry<G>::kPageBytes);
}

template <class G>
void read_from_swap(System<G>& system, BlockNumber slot, FrameNumber frame) {
  point(system, Point::kSwapIo);
  std::memcpy(system.frames().bytes(frame), system.swap().bytes(slot), Geometry<G>::kPageBytes);
}

namespace {

/// Puts `fresh`, which nobody knows, into the swap cache for `slot`, locked. Another page: that one is there already,
/// and has one more reference. The zero page: no entry names the slot any more.
template <class G>
FrameNumber publish(System<G>& system, FrameNumber fresh, BlockNumber slot) {
  FrameDescriptor& page = system.descriptor(fresh);
  const Live live(system, "publish", fresh, slot);
  const SwapGuard<G> guard(system);
  BlockStore<G>& swap = system.swap();
  const FrameNumber found = swap.cached(slot);
  if (found != kNoPage) {
    system.descriptor(found).add_references(1);
    return found;
  }
  if (swap.count(slot) == 0) return kNoPage;
  (void)try_lock_page_of(system, fresh);
  system.frames().cold(fresh).set_slot(slot);
  // The caller's, and the swap cache's.
  page.add_references(2);
  swap.set_cached(slot, fresh);
  return fresh;
}

/// Waits for the lock of a page that was found in the swap cache. False: it is in there no more, and neither lock nor
/// reference is held. kWouldBlock.
template <class G>
Result<bool> lock_cached(System<G>& system, FrameNumber frame, BlockNumber slot) {
  if (G::kExplored && system.scheduler() == nullptr && system.descriptor(frame).locked()) {
    put_page(system, frame);
    return Errno::kWouldBlock;
  }
  lock_page_of(system, frame);
  const ColdDescriptor& cold = system.frames().cold(frame);
  if (cold.in_swap_cache() && cold.slot() == slot) return true;
  unlock_page_of(system, frame);
  put_page(system, frame);
  return false;
}

}  // namespace

template <class G>
Result<FrameNumber> read_swap_page(System<G>& system, BlockNumber slot, Zone zone) {
  FrameNumber frame = get_from_swap_cache(system, slot);
  const Live live(system, "read-swap-page", slot, frame);
  if (frame == kNoPage) {
    COWHERD_TRY_ASSIGN(fresh, system.allocate_page(FrameUse::kAnon, zone));
    frame = publish(system, fresh, slot);
    if (frame == fresh) {
      read_from_swap(system, slot, frame);
      return frame;
    }
    system.frames().free(fresh);
    if (frame == kNoPage) return frame;
  }
  COWHERD_TRY_ASSIGN(locked, lock_cached(system, frame, slot));
  return locked ? frame : kNoPage;
}

#define COWHERD_INSTANTIATE(G)                                                   \
  template Result<void> duplicate_swap<G>(System<G>&, BlockNumber);              \
  template void free_swap_entry<G>(System<G>&, BlockNumber);                     \
  template FrameNumber get_from_swap_cache<G>(System<G>&, BlockNumber);          \
  template Result<void> add_to_swap<G>(System<G>&, FrameNumber);                 \
  template bool add_run_to_swap<G>(System<G>&, FrameNumber, std::uint32_t);      \
  template bool try_free_swap<G>(System<G>&, FrameNumber);                       \
  template void free_swap_cache<G>(System<G>&, FrameNumber);                     \
  template bool remove_clean_from_swap_cache<G>(System<G>&, FrameNumber);        \
  template Result<FrameNumber> read_swap_page<G>(System<G>&, BlockNumber, Zone); \
  template void leave_swap_cache_clean<G>(System<G>&, FrameNumber);              \
  template void write_to_swap<G>(System<G>&, FrameNumber, BlockNumber);          \
  template void read_from_swap<G>(System<G>&, BlockNumber, FrameNumber);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
