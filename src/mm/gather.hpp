#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "mm/page.hpp"
#include "mm/swap.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

/// Pages whose entries were cleared under one page-table lock, and slots of swap. They go back when no CPU can reach
/// them any more. Compare Linux struct mmu_gather.
template <class G>
class Gather {
 public:
  [[nodiscard]] bool full() const { return count_ == frames_.size(); }
  void add(FrameNumber frame) { frames_[count_++] = frame; }
  void add_slot(BlockNumber slot) { frames_[count_++] = FrameNumber{slot.value() | kSlot}; }
  void drop_all(System<G>& system) {
    FreedPages<G> freed(system);
    while (count_ != 0) {
      const FrameNumber gone = std::exchange(frames_[--count_], {});
      if ((gone.value() & kSlot) != 0) [[unlikely]] {
        free_swap_entry(system, BlockNumber{gone.value() & ~kSlot});
      } else {
        drop_mapping(system, gone, freed);
      }
    }
  }

  // For the state of a suspended operation.
  [[nodiscard]] const auto& frames() const { return frames_; }
  [[nodiscard]] const std::uint32_t& count() const { return count_; }

 private:
  /// No frame has such a number.
  static constexpr std::uint32_t kSlot = 1U << 31;
  static_assert(G::kExplored || Frames<G>::kMaxFrames.value() < kSlot, "and no machine that is explored is so large");

  std::array<FrameNumber, std::min<std::size_t>(Geometry<G>::kEntries, 64)> frames_{};
  std::uint32_t count_ = 0;
};

}  // namespace cowherd::mm
