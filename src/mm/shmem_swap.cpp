#include "mm/shmem_swap.hpp"

#include <optional>

#include "base/mutant.hpp"
#include "mm/files.hpp"
#include "mm/page.hpp"
#include "mm/swap.hpp"

namespace cowherd::mm {

namespace {

/// Whether mlock keeps the page in memory for somebody who maps it.
template <class G>
bool is_locked_by_some(System<G>& system, Ref<File> file, std::uint32_t index) {
  bool locked = false;
  const Live live(system, "is-locked-by-some", index);
  const MappingGuard<G, true> guard(system, file);
  for_each_mapping(system.frames(), system.at(file), index,
                   [&](Ref<Vma> vma, Vpn) { locked = locked || system.at(vma).flags.locked; });
  return locked && !COWHERD_MUTANT(shmem_swap_out_ignores_lock);
}

/// The page leaves its file's cache for the swap cache, whose reference is the one that the cache had. The caller has
/// its lock and a reference, and nobody maps it. Nothing: somebody holds it. ENOMEM: swap is full.
///
/// Who is given the page after everybody was unmapped asks the file:
///
///   reclaim                              read(), a fault, a device's pin
///   unmap everybody
///                                        find the page in the file, take a reference
///   does anybody hold the page? yes: it stays
///
/// Allowed because both happen under the mapping lock: who comes later finds the slot.
template <class G>
Result<std::optional<BlockNumber>> move_to_swap(System<G>& system, Ref<File> file, FrameNumber frame) {
  const Live live(system, "move-to-swap", frame);
  const MappingGuard<G, false> guard(system, file);
  FrameDescriptor& page = system.descriptor(frame);
  const auto index = static_cast<std::uint32_t>(page.index().value());
  point(system, Point::kReadCounts);
  const std::uint32_t mappings = COWHERD_MUTANT(shmem_swap_out_leaves_mapped) ? page.mapcount() : 0;
  if (page.references() != 2 + mappings || page.mapcount() != mappings) return std::optional<BlockNumber>{};
  const SwapGuard<G> swap_guard(system);
  auto slot = system.swap().allocate(frame, 1);
  if (!slot) return slot.error();
  system.frames().cold(frame).set_slot(*slot);
  set_in_swap(system.frames(), system.at(file), index, *slot);
  page.change_kind(FrameUse::kAnon, 0, Vpn{0});
  return std::optional(*slot);
}

/// Of a page whose lock and one reference the caller has. Returns whether the page has nobody but the caller any more.
template <class G>
Result<bool> send_away(System<G>& system, Ref<File> file, std::uint32_t index, FrameNumber frame) {
  const auto keep = [&] {
    system.note({.kind = EventKind::kReclaimKept, .decision = Decision::kReclaimPinned, .frame = frame});
    return false;
  };
  point(system, Point::kReadCounts);
  if (!may_reclaim(system.rules(), system.state(frame)) || is_locked_by_some(system, file, index)) return keep();
  if (!COWHERD_MUTANT(shmem_swap_out_leaves_mapped)) unmap_file_range(system, file, index, index + 1, false);
  COWHERD_TRY_ASSIGN(slot, move_to_swap(system, file, frame));
  if (!slot) return keep();
  const BlockNumber to = *slot;
  const Live live(system, "send-away-shared", to);
  // Nobody writes to it: who finds it in the swap cache waits for its lock.
  if (!COWHERD_MUTANT(shmem_swap_out_unwritten)) write_to_swap(system, frame, to);
  system.note(
      {.kind = EventKind::kFileToSwap, .decision = Decision::kReclaimPinned, .page = Vpn{index}, .frame = frame});
  if (remove_clean_from_swap_cache(system, frame)) return true;
  // The file may have lost it meanwhile.
  (void)try_free_swap(system, frame);
  return keep();
}

}  // namespace

template <class G>
Ref<File> shmem_of(System<G>& system, const Vma& vma) {
  const Ref<File> file = file_of(system, vma);
  return file && !vma.flags.hugetlb && !system.at(file).on_disk() ? file : Ref<File>{};
}

template <class G>
bool is_shmem(System<G>& system, FrameNumber frame) {
  const FrameDescriptor& page = system.descriptor(frame);
  return page.use() == FrameUse::kFile && page.owner() != 0 && system.rss_class(frame) == RssClass::kShmem &&
         !system.in_pool(frame);
}

/// The hole that somebody makes in the file comes before the page is back, or after:
///
///   swap-in                              punch
///   find the slot, read the page
///                                        the slot stands for the page: take it out, give the slot back
///   the slot stands for it no more: look again
///
/// Allowed because what stands for the page changes under the mapping lock, and the slot that was read is asked for
/// again.
template <class G>
Result<FrameNumber> swap_in_shared(System<G>& system, Ref<File> file, std::uint32_t index, BlockNumber slot) {
  const Live live(system, "swap-in-shared", file, index, slot);
  COWHERD_TRY_ASSIGN(frame, read_swap_page(system, slot, Zone::kNormal));
  if (frame == Frames<G>::kZeroPage) return frame;
  const Live arrived(system, "arrived", frame);
  bool back = false;
  {
    const MappingGuard<G, false> guard(system, file);
    File& into = system.at(file);
    const FilePlace place = find_place(system.frames(), into, index);
    back = place.slot == slot || COWHERD_MUTANT(shmem_swap_in_recheck_dropped);
    if (back) {
      const SwapGuard<G> swap_guard(system);
      system.descriptor(frame).change_kind(FrameUse::kFile, file.unit, Vpn{index});
      set_cached(system.frames(), into, index, frame);
      // The swap cache's reference is the cache's from now on.
      system.frames().cold(frame).clear_slot();
      if (!COWHERD_MUTANT(shmem_swap_in_keeps_slot)) system.swap().drop_count(slot);
      system.swap().set_cached(slot, Frames<G>::kZeroPage);
    }
  }
  if (back) {
    system.note({.kind = EventKind::kFileFromSwap, .page = Vpn{index}, .frame = frame});
    return frame;
  }
  (void)try_free_swap(system, frame);
  unlock_page_of(system, frame);
  put_page(system, frame);
  return Frames<G>::kZeroPage;
}

template <class G>
Result<void> swap_out_shared(System<G>& system, Ref<File> file, std::uint32_t index) {
  COWHERD_TRY_ASSIGN(place, hold_place(system, file, index));
  const FrameNumber frame = place.frame;
  if (frame == Frames<G>::kZeroPage) return Errno::kFault;
  const Live live(system, "swap-out-shared", file, index, frame);
  point(system, Point::kTryPageLock);
  if (!try_lock_page_of(system, frame)) {
    put_page(system, frame);
    return Errno::kBusy;
  }
  // Who waited may find the page cut off the file.
  const bool left = system.descriptor(frame).owner() != file.unit;
  const auto gone = left ? Result<bool>(false) : send_away(system, file, index, frame);
  const Errno outcome = !gone ? gone.error() : *gone ? Errno{0} : Errno::kBusy;
  const Live done(system, "outcome", outcome);
  unlock_page_of(system, frame);
  put_page(system, frame);
  return outcome == Errno{0} ? Result<void>() : outcome;
}

template <class G>
bool drop_from_swap(System<G>& system, Ref<File> file, std::uint32_t index, BlockNumber slot) {
  const Live live(system, "drop-from-swap", file, index, slot);
  {
    const MappingGuard<G, false> guard(system, file);
    if (find_place(system.frames(), system.at(file), index).slot != slot) return false;
    remove_cached(system.frames(), system.at(file), index);
  }
  if (!COWHERD_MUTANT(truncate_keeps_slot)) free_swap_entry(system, slot);
  return true;
}

#define COWHERD_INSTANTIATE(G)                                                                       \
  template Ref<File> shmem_of<G>(System<G>&, const Vma&);                                            \
  template bool is_shmem<G>(System<G>&, FrameNumber);                                                \
  template Result<FrameNumber> swap_in_shared<G>(System<G>&, Ref<File>, std::uint32_t, BlockNumber); \
  template Result<void> swap_out_shared<G>(System<G>&, Ref<File>, std::uint32_t);                    \
  template bool drop_from_swap<G>(System<G>&, Ref<File>, std::uint32_t, BlockNumber);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
