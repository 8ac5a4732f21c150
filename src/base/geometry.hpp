#pragma once

#include <cstddef>
#include <cstdint>

#include "cowherd/types.hpp"

namespace cowherd {

/// Whether this build has its accesses to memory watched (tests/races).
#ifdef COWHERD_WATCHED
inline constexpr bool kWatched = true;
#else
inline constexpr bool kWatched = false;
#endif

/// What hardware walks: x86-64, four levels of 512 entries over 4 KiB pages.
struct ProductionGeometry {
  static constexpr unsigned kPageShift = 12;
  static constexpr unsigned kTableShift = 9;
  static constexpr unsigned kLevels = 4;
  /// User space is the lower half.
  static constexpr unsigned kUserPageBits = kLevels * kTableShift - 1;
  /// Where mmap without an address begins to look.
  static constexpr std::uint64_t kFirstMapPage = 16;
  static constexpr bool kScrubFreed = false;
  /// Threads run on the processors of the host: locks are real, and the points of schedule.hpp are nothing.
  static constexpr bool kExplored = false;
};

/// Small enough that a whole machine is a state of a search: three levels of four entries over 32-byte pages.
struct CheckedGeometry {
  static constexpr unsigned kPageShift = 5;
  static constexpr unsigned kTableShift = 2;
  static constexpr unsigned kLevels = 3;
  static constexpr unsigned kUserPageBits = kLevels * kTableShift;
  static constexpr std::uint64_t kFirstMapPage = 0;
  /// Freed memory is overwritten with one pattern: a use after free reads something no test writes, and two states that
  /// differ only in garbage are one state.
  static constexpr bool kScrubFreed = true;
  /// A Scheduler decides at each point who goes on; without one, each operation runs from beginning to end.
  static constexpr bool kExplored = true;
};

/// Everything that follows from a geometry.
template <class G>
struct Geometry {
  static constexpr std::size_t kPageBytes = std::size_t{1} << G::kPageShift;
  static constexpr std::size_t kEntries = std::size_t{1} << G::kTableShift;
  static constexpr std::uint64_t kUserPages = std::uint64_t{1} << G::kUserPageBits;
  static_assert(kPageBytes == kEntries * sizeof(std::uint64_t), "a table fills one frame");

  static constexpr Vpn page_of(Vaddr address) { return Vpn{address.value() >> G::kPageShift}; }
  static constexpr std::size_t offset_of(Vaddr address) { return address.value() & (kPageBytes - 1); }
  static constexpr Vaddr address_of(Vpn page) { return Vaddr{page.value() << G::kPageShift}; }
  static constexpr bool is_aligned(Vaddr address) { return offset_of(address) == 0; }
  /// Pages needed for `bytes`; correct up to the largest user mapping.
  static constexpr PageCount pages_for(ByteCount bytes) {
    return PageCount{(bytes.value() >> G::kPageShift) + ((bytes.value() & (kPageBytes - 1)) != 0 ? 1 : 0)};
  }
};

/// Explicit instantiation for every geometry: COWHERD_FOR_EACH_GEOMETRY(MACRO) expands MACRO(Geometry) for each.
#define COWHERD_FOR_EACH_GEOMETRY(MACRO) MACRO(::cowherd::ProductionGeometry) MACRO(::cowherd::CheckedGeometry)

}  // namespace cowherd
