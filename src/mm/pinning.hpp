#pragma once

#include <algorithm>
#include <span>

#include "mm/huge.hpp"
#include "mm/operations.hpp"
#include "mm/sync.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

/// pin() in an address space that the caller keeps from going away.
template <class G>
Result<Pinned> pin_in(System<G>& system, Mm& mm, Vaddr address, PageCount pages, PinFlags flags, std::uint32_t times);

/// What one call that takes references has come to at the page at hand.
struct GupSoFar {
  /// A write fault of its own has succeeded. Compare Linux FOLL_COW.
  bool faulted_for_write = false;
  /// The look-up is repeated as if for reading.
  bool reads_instead = false;
  /// What a huge entry is to become, where grab_page() returns EAGAIN.
  OnHuge on_huge = OnHuge::kOwn;
  /// Where grab_page() returns EAGAIN: the page has to leave movable memory; how often it was asked to.
  bool leaves_movable = false;
  std::uint8_t moves = 0;
};

/// Whether the page in `frame`, where the references of one call with `flags` would be taken, has to leave movable
/// memory first. Compare Linux include/linux/mm.h: folio_is_longterm_pinnable().
template <class G>
bool must_leave_movable(System<G>& system, FrameNumber frame, PinFlags flags) {
  return system.frames().is_movable(frame) && gup_leaves_movable(system.rules(), flags);
}

/// Finds the page, faulting it in as often as it takes, and takes the references. EFAULT, ENOMEM, kWouldBlock; EAGAIN
/// where own_for_gup() or leave_movable() has to come first, without the lock that is held now; kAsksToRead,
/// kAsksToWrite.
/// Compare Linux mm/gup.c: __get_user_pages().
template <class G>
Result<FrameNumber> grab_page(System<G>& system, Mm& mm, Vpn page, PinFlags flags, std::uint32_t times,
                              GupSoFar& so_far) COWHERD_REQUIRES(mm.mmap_lock);

/// As lock_and_own_tables(), for a call that takes references.
template <class G>
Result<void> own_for_gup(System<G>& system, Mm& mm, Vpn page, GupSoFar& so_far);

/// Moves the page out of movable memory, as far as it lets itself be moved: the next look at its entry decides. ENOMEM:
/// no normal frame is left, or the page has stayed several times, being held by others; kWouldBlock. Compare Linux
/// mm/gup.c: migrate_longterm_unpinnable_folios(), which takes the references first and gives them back.
template <class G>
Result<void> leave_movable(System<G>& system, Mm& mm, Vpn page, GupSoFar& so_far);

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

template <class G>
PinFrames<G>& pin_frames(System<G>& system, FrameNumber frame) {
  return *reinterpret_cast<PinFrames<G>*>(system.frames().bytes(frame));
}

/// The places of the next frames in the record, one at least. ENOMEM.
template <class G>
Result<std::span<FrameNumber>> append(System<G>& system, PinRecord<G>& record);

/// Calls `visit(frame)` for every page of the record, in order. It may suspend.
template <class G, class Visit>
void for_each_frame(System<G>& system, const PinRecord<G>& record, Visit&& visit) {
  std::uint32_t done = 0;
  FrameNumber next = record.first;
  const Live live(system, "for-each-frame", done, next);
  const FrameNumber* at = record.frames;
  std::uint32_t end = std::min(record.pages, PinRecord<G>::kOwnFrames);
  while (true) {
    for (; done < end; ++done, ++at) {
      if constexpr (!G::kExplored) {
        // Their descriptors may be far away.
        constexpr std::uint32_t kAhead = 16;
        if (end - done > kAhead) system.frames().prefetch(at[kAhead]);
      }
      visit(*at);
    }
    if (done == record.pages) return;
    const PinFrames<G>& more = pin_frames(system, next);
    at = more.frames;
    next = more.next;
    end = std::min(record.pages, done + PinFrames<G>::kCapacity);
  }
}

/// Gives back where the record keeps frames besides itself; it is of no use after that.
template <class G>
void free_pin_frames(System<G>& system, const PinRecord<G>& record) {
  FrameNumber next = record.first;
  while (next != Frames<G>::kZeroPage) {
    const FrameNumber gone = next;
    next = pin_frames(system, gone).next;
    system.frames().put(gone);
  }
}

/// Pins pages from `first` on without a lock, as far as it comes, and puts them into `record`; what is left has to be
/// pinned with locks. Compare Linux mm/gup.c: gup_fast().
template <class G>
void pin_fast(System<G>& system, Mm& mm, PinRecord<G>& record, Vpn first, PageCount pages);

/// Drops what take_references() took. `frame`: the one that has the counts (System::folio()).
template <class G>
void drop_references(System<G>& system, FrameNumber frame, PinFlags flags, std::uint32_t times);

}  // namespace cowherd::mm
