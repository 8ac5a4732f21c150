#pragma once

#include <cstdint>

#include "spec/promise.hpp"

namespace cowherd::check {

/// What a part of an operation looks at and changes in the reference: enough to know which parts may change places.
struct Footprint {
  enum Touch : std::uint32_t {
    kReadsWords = 1u << 0,
    kWritesWords = 1u << 1,
    /// Through a pin: to whichever page the pin holds, attached or not.
    kDeviceReads = 1u << 2,
    kDeviceWrites = 1u << 3,
    kDiscards = 1u << 4,
    /// Takes hold of the page itself; of a short reader, of its value too.
    kHolds = 1u << 5,
    kRemembersValue = 1u << 6,
    kReadsMapped = 1u << 7,
    kWritesMapped = 1u << 8,
    /// Whether a load, a store may be done.
    kReadsReadable = 1u << 9,
    kReadsWritable = 1u << 10,
    kWritesReadable = 1u << 11,
    kWritesWritable = 1u << 12,
    kReadsProtection = 1u << 13,
    kWritesProtection = 1u << 14,
    /// MADV_DONTFORK and its like.
    kReadsMarks = 1u << 15,
    kWritesMarks = 1u << 16,
    kWritesSize = 1u << 17,
    /// Keeps what a private page of a file holds now.
    kKeepsWords = 1u << 18,
  };

  /// Of a part that may touch pages of whoever: conflicts in any.
  static constexpr spec::SpaceId kEverySpace{0xff};

  spec::SpaceId space;
  /// As a set of bits; kReadsWords and kWritesWords mean those of `word_pages` only.
  std::uint16_t pages = 0;
  std::uint16_t word_pages = 0;
  std::uint32_t touches = 0;
  /// What of those words others may have too, whatever their address space: kReadsWords, kWritesWords, kDiscards and
  /// kHolds mean these as well. As a set of bits in which two may share one.
  std::uint64_t slots = 0;
  /// Files whose size it looks at, or changes with kWritesSize, as a set of bits.
  std::uint8_t files = 0;
};

/// False only where the two may change places and nobody can tell.
[[nodiscard]] bool conflict(const Footprint& a, const Footprint& b);

}  // namespace cowherd::check
