#include "mm/reclaim.hpp"

#include "back/anon_rmap.hpp"
#include "base/mutant.hpp"
#include "mm/by_rmap.hpp"
#include "mm/folio.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/shared_tables.hpp"
#include "mm/shmem_swap.hpp"
#include "mm/swap.hpp"

namespace cowherd::mm {

namespace {

/// What becomes of the entries that map a page.
enum class Fate : std::uint8_t {
  /// They name its slot.
  kSwap,
  /// They are none.
  kDiscard,
};

/// One page on its way out: its lock is held, and one reference, which keeps it.
template <class G>
struct Leaving {
  System<G>& system;
  FrameNumber frame;
  Fate fate;

  [[nodiscard]] FrameDescriptor& descriptor() const { return system.descriptor(frame); }
  /// Without the reference that reclaim has.
  [[nodiscard]] FrameState state() const {
    FrameState known = system.state_with_swap(frame);
    --known.references;
    return known;
  }
  [[nodiscard]] bool is_pinned() const {
    point(system, Point::kReadCounts);
    return maybe_pinned(system.rules(), state()) && !COWHERD_MUTANT(swap_out_without_try_share);
  }
};

/// A page that somebody writes goes on being written through what CPUs remember until they are flushed, and what they
/// have set in the entry by then comes with it. Between the question about pins and the entry's end a fast pin may
/// come:
///
///   reclaim                                fast pin
///   may the page be pinned? no
///                                          read the entry
///   clear the entry, flush
///                                          take a reference
///   is the page pinned? yes: put the entry back
///                                          read the entry again: it is what it was
///
/// Allowed because one of the two sees the other: a pin that comes after the second question finds the entry changed,
/// or the mark gone. Compare Linux mm/rmap.c: try_to_unmap_one().
///
/// Returns whether the entry no longer maps the page.
template <class G>
bool unmap_entry(const Leaving<G>& leaving, Mm& mm, Vpn page, EntrySlot place, bool forks) {
  System<G>& system = leaving.system;
  FrameDescriptor& descriptor = leaving.descriptor();
  const Rules& rules = system.rules();
  PageTableGuard<G> guard(system, mm, place);
  Entry entry = guard.blocked() ? Entry{} : place.load();
  if (!entry.present() || entry.frame() != leaving.frame) return !guard.blocked();
  if (forks && !keep_tables_unshared(system, mm, page)) return false;
  const bool exclusive = descriptor.exclusive();
  const bool asks = leaving.fate == Fate::kSwap && exclusive && rules.reclaim_unmap == ReclaimUnmap::kTryShare;
  const Live live(system, "unmap-entry", entry, exclusive);
  if (asks && rules.exclusive_clear == ExclusiveClear::kTestThenClear && leaving.is_pinned()) return false;
  point(system, mm, Point::kClearEntry);
  entry = hide_entry<G>(place);
  PendingFlush<G> flush(system, mm);
  const bool forgets =
      leaving.fate == Fate::kSwap ? COWHERD_MUTANT(swap_out_without_flush) : COWHERD_MUTANT(discard_without_flush);
  if (!forgets) flush.add({page, page + PageCount{1}});
  const Live pending(system, "flush", flush.range());
  flush.before_unlock();
  bool keeps = asks && rules.exclusive_clear == ExclusiveClear::kClearThenTest && leaving.is_pinned();
  if (leaving.fate == Fate::kDiscard) {
    point(system, Point::kReadCounts);
    const bool written = (entry.dirty() || descriptor.dirty()) && !COWHERD_MUTANT(discard_ignores_dirty);
    keeps = written || !may_discard(rules, leaving.state());
  }
  Entry left;
  const Live decided(system, "decided", keeps, left);
  if (keeps) {
    point(system, mm, Point::kSetEntry);
    if (!COWHERD_MUTANT(swap_out_loses_entry)) place.store(entry);
    guard.release();
    flush.after_unlock();
    return false;
  }
  if (entry.dirty() && !COWHERD_MUTANT(swap_out_loses_dirty)) descriptor.set_dirty(true);
  if (leaving.fate == Fate::kSwap) {
    const BlockNumber slot = system.frames().cold(leaving.frame).slot();
    const SwapGuard<G> swap_guard(system);
    if (!system.swap().add_count(slot)) {
      place.store(entry);
      return false;
    }
    left = Entry::swapped(slot, exclusive && rules.swap_exclusive == SwapExclusive::kKept)
               .with_soft_dirty(entry.soft_dirty())
               .with_uffd_wp(entry.uffd_wp() && !COWHERD_MUTANT(swap_out_loses_uffd_wp));
  }
  point(system, Point::kExclusive);
  if (exclusive) descriptor.set_exclusive(false);
  point(system, mm, Point::kSetEntry);
  if (left.none()) {
    // It is counted until now.
    place.store(entry);
    (void)system.tables(mm).set(place, left);
  } else {
    place.store(left);
  }
  add_rss(system, place, COWHERD_MUTANT(swap_out_without_rss) ? 0 : -1);
  system.note({.kind = left.none() ? EventKind::kDiscarded : EventKind::kSwappedOut,
               .decision = left.none() ? Decision::kLazyFree : Decision::kReclaimUnmap,
               .page = page,
               .frame = leaving.frame});
  drop_mapcount(system, leaving.frame);
  guard.release();
  flush.after_unlock();
  put_page(system, leaving.frame);
  return true;
}

/// Looks up whether `page` of `mm`, which a reverse map leads to, maps the page, and takes it away there. What hangs in
/// a table that several address spaces have stays: they would all have to hear of it. `forks`: the mmap lock of `mm` is
/// not held. Precondition: the lock of the page's anon_vma is held, so that nobody frees what he unmaps there.
template <class G>
void unmap_at(const Leaving<G>& leaving, Mm& mm, Vpn page, bool forks) {
  const auto walk = walk_by_rmap(leaving.system, mm, page);
  if (walk.slot && !walk.shared) (void)unmap_entry(leaving, mm, page, walk.slot, forks);
}

/// Takes the page from all who map it; `vma` is one of them. Returns whether nobody does any more.
template <class G>
bool unmap_everywhere(const Leaving<G>& leaving, Mm& mm, Ref<Vma> vma) {
  System<G>& system = leaving.system;
  const AnonVmaGuard<G> guard(system, mm, vma);
  const FrameDescriptor& descriptor = leaving.descriptor();
  const Ref<AnonVma> anon_vma{descriptor.owner()};
  if (descriptor.mapcount() == 0 || !anon_vma) return descriptor.mapcount() == 0;
  Ref<AnonVmaChain> chain = system.at(anon_vma).first;
  const Live live(system, "unmap-everywhere", chain);
  for (; chain; chain = system.at(chain).next_of_anon_vma) {
    const Vma& area = system.at(system.at(chain).vma);
    const Vpn index = descriptor.index();
    if (index < area.index || index - area.index >= PageCount{area.pages.count()}) continue;
    unmap_at(leaving, system.at(area.mm), area.pages.begin + (index - area.index), &system.at(area.mm) != &mm);
  }
  return descriptor.mapcount() == 0;
}

/// Brings the page's slot up to what the page holds. It is locked when this is called, and not meanwhile: faults may
/// find it in the swap cache, map it and write it, and then it is dirty again. Returns whether it is locked again.
/// Compare Linux mm/page_io.c: swap_writepage().
template <class G>
bool write_back(System<G>& system, FrameNumber frame) {
  FrameDescriptor& descriptor = system.descriptor(frame);
  if (!descriptor.dirty()) return true;
  ColdDescriptor& cold = system.frames().cold(frame);
  descriptor.set_dirty(false);
  cold.set_writeback(true);
  unlock_page_of(system, frame);
  write_to_swap(system, frame, cold.slot());
  cold.set_writeback(false);
  point(system, Point::kTryPageLock);
  return try_lock_page_of(system, frame);
}

/// A page under MADV_FREE that was written or is held is an ordinary one again.
template <class G>
void end_lazy_free(System<G>& system, FrameNumber frame) {
  ColdDescriptor& cold = system.frames().cold(frame);
  if (!cold.lazy_free()) return;
  cold.set_lazy_free(false);
  // There may be nothing else that says so.
  system.descriptor(frame).set_dirty(true);
}

/// Whether what a VMA of a file shows at `page` is the file's: a private copy is not.
template <class G>
bool shows_file(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page) {
  const Live live(system, "shows-file", vma, page);
  point(system, mm, Point::kReadEntry);
  const Entry entry = system.tables(mm).get(page);
  return entry.none() || (entry.present() && system.descriptor(entry.frame()).use() == FrameUse::kFile);
}

/// With one reference, and the page lock, which `locked` says is held still. Returns whether the page has nobody but
/// the caller any more. ENOMEM: swap is full.
template <class G>
Result<bool> send_away(System<G>& system, Mm& mm, Ref<Vma> vma, FrameNumber frame, bool& locked) {
  FrameDescriptor& descriptor = system.descriptor(frame);
  ColdDescriptor& cold = system.frames().cold(frame);
  Leaving<G> leaving{system, frame, Fate::kSwap};
  const auto keep = [&] {
    system.note({.kind = EventKind::kReclaimKept, .decision = Decision::kReclaimPinned, .frame = frame});
    return false;
  };
  point(system, Point::kReadCounts);
  if (!may_reclaim(system.rules(), leaving.state()) || !leave_folio(system, frame, 1)) return keep();
  if (cold.lazy_free() && !descriptor.dirty() && !cold.in_swap_cache()) leaving.fate = Fate::kDiscard;
  const Live live(system, "send-away", leaving.fate);
  if (leaving.fate == Fate::kSwap) {
    end_lazy_free(system, frame);
    if (!cold.in_swap_cache()) COWHERD_TRY(add_to_swap(system, frame));
  }
  const bool unmapped = unmap_everywhere(leaving, mm, vma);
  const Live gone(system, "unmapped", unmapped);
  if (leaving.fate == Fate::kDiscard) {
    point(system, Point::kReadCounts);
    if (unmapped && descriptor.references() == 1) return true;
    end_lazy_free(system, frame);
    return keep();
  }
  if (!unmapped) {
    (void)try_free_swap(system, frame);
    return keep();
  }
  locked = write_back(system, frame);
  return locked && remove_clean_from_swap_cache(system, frame) ? true : keep();
}

}  // namespace

template <class G>
Result<void> reclaim_page(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page) {
  if (const Ref<File> file = shmem_of(system, system.at(vma))) [[unlikely]] {
    if (system.at(vma).flags.locked) return Errno::kBusy;
    if (shows_file(system, mm, vma, page)) {
      return swap_out_shared(system, file, static_cast<std::uint32_t>(system.at(vma).index_of(page).value()));
    }
  }
  const auto walk = system.tables(mm).walk_to(page);
  if (!walk.slot) return Errno::kFault;
  if (walk.huge && is_of_hugetlb(system, walk.slot.load())) return Errno::kBusy;
  if (walk.shared) return Errno::kAgain;
  FrameNumber frame = Frames<G>::kZeroPage;
  {
    const PageTableGuard<G> guard(system, mm, walk.slot);
    if (guard.blocked()) return would_block(system, Point::kPageTableLock);
    const Entry entry = walk.slot.load();
    if (!entry.present() || entry.frame() == Frames<G>::kZeroPage) return Errno::kFault;
    // What files hold goes to their disks.
    if (!system.state_of_page(entry.frame()).anon) return Errno::kBusy;
    frame = entry.frame();
    // No reverse map leads to all who have a merged page.
    const bool kept = system.at(vma).flags.locked || system.descriptor(frame).use() == FrameUse::kKsm;
    if (kept) return Errno::kBusy;
    point(system, Point::kTakeReference);
    system.descriptor(frame).add_references(1);
  }
  const Live live(system, "reclaim-page", vma, frame);
  point(system, Point::kTryPageLock);
  if (!try_lock_page_of(system, frame)) {
    put_page(system, frame);
    return Errno::kBusy;
  }
  bool locked = true;
  const Live held(system, "locked", locked);
  // It may have failed meanwhile.
  const bool failed = system.descriptor(frame).poisoned();
  const auto gone = failed ? Result<bool>(false) : send_away(system, mm, vma, frame, locked);
  const Errno outcome = !gone ? gone.error() : *gone ? Errno{0} : Errno::kBusy;
  const Live done(system, "outcome", outcome);
  if (locked) unlock_page_of(system, frame);
  put_page(system, frame);
  return outcome == Errno{0} ? Result<void>() : outcome;
}

template <class G>
bool reclaim_cached(System<G>& system, BlockNumber slot) {
  const FrameNumber frame = get_from_swap_cache(system, slot);
  if (frame == Frames<G>::kZeroPage) return false;
  const Live live(system, "reclaim-cached", frame);
  bool gone = false;
  point(system, Point::kTryPageLock);
  if (try_lock_page_of(system, frame)) {
    bool locked = true;
    const ColdDescriptor& cold = system.frames().cold(frame);
    const bool unmapped = system.descriptor(frame).mapcount() == 0;
    // A mapped page may have its slot for as long as others have one too.
    const bool looked_at = unmapped || system.swap().free_count() == PageCount{0};
    if (looked_at && cold.in_swap_cache() && cold.slot() == slot && !cold.writeback()) {
      const bool left = try_free_swap(system, frame);
      gone = left && unmapped && system.descriptor(frame).references() == 1;
      const bool failed = system.descriptor(frame).poisoned();
      if (!left && unmapped && !failed) {
        locked = write_back(system, frame);
        gone = locked && remove_clean_from_swap_cache(system, frame);
      }
    }
    if (locked) unlock_page_of(system, frame);
  }
  put_page(system, frame);
  return gone;
}

#define COWHERD_INSTANTIATE(G)                                           \
  template Result<void> reclaim_page<G>(System<G>&, Mm&, Ref<Vma>, Vpn); \
  template bool reclaim_cached<G>(System<G>&, BlockNumber);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
