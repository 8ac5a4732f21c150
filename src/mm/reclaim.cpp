#include "mm/reclaim.hpp"

#include "mm/folio.hpp"
#include "mm/hugetlb.hpp"
#include "mm/leaving.hpp"
#include "mm/reclaim_folio.hpp"
#include "mm/shmem_swap.hpp"

namespace cowherd::mm {

namespace {

/// Whether what a VMA of a file shows at `page` is the file's: a private copy is not.
template <class G>
bool shows_file(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page) {
  const Live live(system, "shows-file", vma, page);
  point(system, mm, Point::kReadEntry);
  const Entry entry = system.tables(mm).get(page);
  return entry.is_empty() || (entry.present() && system.descriptor(entry.frame()).use() == FrameUse::kFile);
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
Result<PageCount> reclaim_page(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, PageRange within) {
  if (const Ref<File> file = shmem_of(system, system.at(vma))) [[unlikely]] {
    if (system.at(vma).flags.locked) return Errno::kBusy;
    if (shows_file(system, mm, vma, page)) {
      COWHERD_TRY(swap_out_shared(system, file, static_cast<std::uint32_t>(system.at(vma).index_of(page).value())));
      return PageCount{1};
    }
  }
  const auto walk = system.tables(mm).walk_to(page);
  if (!walk.slot) return Errno::kFault;
  if (walk.huge && is_of_hugetlb(system, walk.slot.load())) return Errno::kBusy;
  if (walk.shared) return Errno::kAgain;
  if (const auto run = run_of_folio(system, walk.slot, page, within); run && !system.at(vma).flags.locked) {
    const Live live(system, "reclaim-folio", vma, page, within);
    COWHERD_TRY_ASSIGN(gone, reclaim_run(system, mm, vma, system.tables(mm).walk_to(run->first).slot, *run));
    if (gone) return *gone;
  }
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
  return outcome == Errno{0} ? Result<PageCount>(PageCount{1}) : outcome;
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

#define COWHERD_INSTANTIATE(G)                                                           \
  template Result<PageCount> reclaim_page<G>(System<G>&, Mm&, Ref<Vma>, Vpn, PageRange); \
  template bool reclaim_cached<G>(System<G>&, BlockNumber);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
