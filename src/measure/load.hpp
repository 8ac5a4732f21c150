#pragma once

#include <cstdint>

#include "cowherd/flags.hpp"

namespace cowherd::measure {

enum class Clock : std::uint8_t {
  /// Of the measured thread: leaves out the time that others have the processor.
  kProcessor,
  /// For whatever has several threads, or waits.
  kWall,
};

/// What every side of a row is given: the same for Linux, the floor and the memory system.
struct Load {
  /// 4 KiB pages, to each thread.
  std::uint64_t pages = 0;
  /// First touched in random order, so that neighbouring entries do not name neighbouring frames.
  bool shuffled = false;
  /// Of the pages; as many as there are: all, as one range. Fewer: scattered.
  std::uint64_t pins = 0;
  unsigned threads = 1;
  /// Timed ones, after one that is not.
  unsigned repetitions = 3;
  Clock clock = Clock::kProcessor;
  ForkMode mode = ForkMode::kClassic;
  /// The pages have been read and never written, so that all entries name the zero page: tables as for that many pages,
  /// without the RAM. Of what shares tables this is the same work. The pages of a lowest table below which something is
  /// pinned are written all the same, since such a table is copied entry by entry.
  bool tables_alone = false;
  /// Mapped by huge entries.
  bool huge = false;
};

/// Pages of a huge page, and of what a lowest table maps.
inline constexpr std::uint64_t kRunPages = 512;

}  // namespace cowherd::measure
