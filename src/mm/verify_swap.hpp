#pragma once

#include <algorithm>
#include <cstdint>

#include "mm/system.hpp"
#include "mm/violation.hpp"

namespace cowherd::mm {

/// The part of verify() that is about swap: as there, each entry that names a slot and each page in the swap cache
/// takes its share, what is left then is wrong, and a second walk gives everything back. Nothing in a machine without
/// swap.
template <class G>
class SwapVerifier {
 public:
  SwapVerifier(System<G>& system, Violations& found) : system_(system), found_(found) {
    if (!system_.has_swap()) return;
    BlockStore<G>& swap = system_.swap();
    used_ = swap.used_blocks().value();
    std::uint64_t in_use = 0;
    for (BlockNumber slot{0}; slot.value() < used_; ++slot) in_use += swap.in_use(slot) ? 1 : 0;
    if (in_use != (swap.block_count() - swap.free_count()).value()) found_.add(Violation::kFrameLost);
    if (swap.lock().held()) found_.add(Violation::kLockHeld);
  }

  void take_entry(Entry entry) {
    if (!names_slot(entry)) {
      found_.add(Violation::kSwapCount);
      return;
    }
    BlockStore<G>& swap = system_.swap();
    if (swap.count(entry.slot()) == 0) found_.add(Violation::kSwapCount);
    check_exclusive(entry, swap.count(entry.slot()) - 1);
    swap.take_count(entry.slot());
  }

  /// After all entries. The swap cache holds one reference to each of its pages.
  void take_cache() {
    for (BlockNumber slot{0}; slot.value() < used_; ++slot) {
      if (system_.swap().count(slot) != 0) found_.add(Violation::kSwapCount);
      const FrameNumber frame = system_.swap().cached(slot);
      if (frame == Frames<G>::kZeroPage) continue;
      if (!is_cached_for(frame, slot)) {
        found_.add(Violation::kSwapCache);
        continue;
      }
      FrameDescriptor& descriptor = system_.descriptor(frame);
      if (descriptor.references() == 0) found_.add(Violation::kReferences);
      descriptor.drop_references(1);
      descriptor.set_seen(std::max(descriptor.seen(), FrameDescriptor::Seen::kHeld));
    }
  }

  void check_frame(FrameNumber frame) {
    if (!system_.has_swap()) return;
    const ColdDescriptor& cold = system_.frames().cold(frame);
    const bool cached = cold.in_swap_cache();
    if (cached && (cold.slot().value() >= used_ || system_.swap().cached(cold.slot()) != frame)) {
      found_.add(Violation::kSwapCache);
    }
    const FrameUse use = system_.descriptor(frame).use();
    const bool may_go = (cached || cold.lazy_free()) && use != FrameUse::kAnon;
    // A merged page keeps what reclaim noted before.
    const bool aged = (cold.active() || cold.referenced()) && use != FrameUse::kAnon && use != FrameUse::kKsm &&
                      use != FrameUse::kFile;
    if (cold.writeback() || may_go || aged) found_.add(Violation::kReclaim);
  }

  /// Whether what is in the page is in its slot too, or may be lost.
  [[nodiscard]] bool may_be_clean(FrameNumber frame) {
    if (!system_.has_swap()) return false;
    const ColdDescriptor& cold = system_.frames().cold(frame);
    return cold.in_swap_cache() || cold.lazy_free();
  }

  void give_back_entry(Entry entry) {
    if (!names_slot(entry)) return;
    check_exclusive(entry, system_.swap().count(entry.slot()));
    system_.swap().give_count(entry.slot());
  }

  void give_back_cache() {
    for (BlockNumber slot{0}; slot.value() < used_; ++slot) {
      const FrameNumber frame = system_.swap().cached(slot);
      if (frame != Frames<G>::kZeroPage && is_cached_for(frame, slot)) system_.descriptor(frame).add_references(1);
    }
  }

 private:
  [[nodiscard]] bool names_slot(Entry entry) {
    return entry.swap() && system_.has_swap() && entry.slot().value() < system_.swap().block_count().value();
  }
  [[nodiscard]] bool is_cached_for(FrameNumber frame, BlockNumber slot) {
    return frame.value() < system_.frames().frame_count().value() &&
           system_.descriptor(frame).use() == FrameUse::kAnon && system_.frames().cold(frame).in_swap_cache() &&
           system_.frames().cold(frame).slot() == slot;
  }
  /// Both walks ask it: in one of them the other entries come first.
  void check_exclusive(Entry entry, std::uint32_t others) {
    if (entry.swap_exclusive() && others != 0) found_.add(Violation::kExclusiveShared);
  }

  System<G>& system_;
  Violations& found_;
  /// Slots in use when it began, up to the highest.
  std::uint64_t used_ = 0;
};

}  // namespace cowherd::mm
