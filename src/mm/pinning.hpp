#pragma once

#include "mm/operations.hpp"
#include "mm/sync.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

/// pin() in an address space that the caller keeps from going away.
template <class G>
Result<Pinned> pin_in(System<G>& system, Mm& mm, Vaddr address, PageCount pages, PinFlags flags, std::uint32_t times);

/// Finds the page, faulting it in as often as it takes, and takes the references. EFAULT, ENOMEM, kWouldBlock; EAGAIN
/// where lock_and_own_tables() has to come first, without the lock that is held now.
/// Compare Linux mm/gup.c: __get_user_pages().
template <class G>
Result<FrameNumber> grab_page(System<G>& system, Mm& mm, Vpn page, PinFlags flags, std::uint32_t times)
    COWHERD_REQUIRES(mm.mmap_lock);

/// References through addresses stop here; the upper half of the counter is for mappings, which nobody asks for by
/// name.
inline constexpr std::uint32_t kMaxGupReferences = FrameDescriptor::kMaxReferences / 2;

/// Whether references to `frame` are counted.
template <class G>
bool counted(System<G>& system, FrameNumber frame) {
  return frame != Frames<G>::kZeroPage || system.rules().zero_page == ZeroPage::kCounted;
}

/// Takes the references of one pin to a page that somebody keeps, in one access. ENOMEM: too many.
/// Compare Linux mm/gup.c: try_grab_folio().
template <class G>
Result<void> take_references(System<G>& system, FrameNumber frame, PinFlags flags, std::uint32_t times);

/// Room in the record for one more frame. ENOMEM.
template <class G>
Result<FrameNumber*> append(System<G>& system, PinRecord& record);

/// Calls `visit(frame)` for every page of the record, in order. It may suspend.
template <class G, class Visit>
void for_each_frame(System<G>& system, const PinRecord& record, Visit&& visit) {
  std::uint32_t done = 0;
  Ref<PinFrames> chunk = record.first;
  const Live live(system, "for-each-frame", done, chunk);
  for (; done < record.pages; ++done) {
    if (done != 0 && done % PinFrames::kCapacity == 0) chunk = system.at(chunk).next;
    visit(system.at(chunk).frames[done % PinFrames::kCapacity]);
  }
}

/// The record names no frame any more.
template <class G>
void forget_frames(System<G>& system, PinRecord& record) {
  while (const Ref<PinFrames> chunk = record.first) {
    record.first = system.at(chunk).next;
    system.frames().destroy(chunk);
  }
  record.last = {};
  record.pages = 0;
  record.room = 0;
}

/// Pins pages from `first` on without a lock, as far as it comes, and puts them into `record`; what is left has to be
/// pinned with locks. Compare Linux mm/gup.c: gup_fast().
template <class G>
void pin_fast(System<G>& system, Mm& mm, PinRecord& record, Vpn first, PageCount pages);

/// Drops what take_references() took.
template <class G>
void drop_references(System<G>& system, FrameNumber frame, PinFlags flags, std::uint32_t times);

}  // namespace cowherd::mm
