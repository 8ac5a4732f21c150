#pragma once

#include <cstdint>

namespace cowherd {

/// What one Accessor and those who change its address space tell each other: a cache line of the Machine's. Each word
/// is atomic; the accessor's thread writes `state` and `heeded`, everybody else `generation`.
struct alignas(64) AccessorSlot {
  /// Between two accesses.
  static constexpr std::uint64_t kOutside = 0;
  /// In an access, through an entry that it remembers.
  static constexpr std::uint64_t kInside = 1;
  /// In none, and before the next one it reads `generation` behind a full fence.
  static constexpr std::uint64_t kAway = 2;
  /// In page tables, entered behind a full fence; above it the number of the visit.
  static constexpr std::uint64_t kWalking = 3;
  static constexpr unsigned kVisitShift = 2;

  std::uint64_t state = kOutside;
  /// The generation up to which the accessor has forgotten what it remembered.
  std::uint64_t heeded = 0;
  /// One more for each change after which the accessor must forget.
  std::uint64_t generation = 0;
  /// The address space; 0: the slot is free.
  std::uint32_t mm = 0;
  /// Every access of it enters behind a full fence.
  std::uint32_t fenced = 0;
};

static_assert(sizeof(AccessorSlot) == 64);

}  // namespace cowherd
