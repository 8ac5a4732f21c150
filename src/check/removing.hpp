#pragma once

#include <cstdint>

#include "check/call.hpp"
#include "check/world.hpp"

namespace cowherd::check {

// An madvise that takes memory where userfaultfd's handler wants to hear of that is several operations one after the
// other: what is said before, and what is taken then. Between the two it waits as any other that has caused an event.

/// How far such an madvise has come; pages count from its first.
struct Removing {
  /// Taken.
  std::uint8_t done = 0;
  /// May be taken next, up to here; 0: nothing has been said yet.
  std::uint8_t until = 0;
  /// There was a hole.
  bool hole = false;

  /// What may be taken was, as seen. Returns what ends all of it, if anything does: a hole is told of in the end.
  Errno take(const spec::Observation& seen) {
    const bool over_hole = seen.error == Errno::kNoMemory && !seen.short_of_memory;
    *this = {until, 0, hole || over_hole};
    return over_hole ? Errno{0} : seen.error;
  }
  [[nodiscard]] std::int64_t value() const { return std::int64_t{done} | until << 8 | (hole ? 1 << 16 : 0); }
  static Removing of(std::int64_t value) {
    return {static_cast<std::uint8_t>(value & 0xFF), static_cast<std::uint8_t>(value >> 8 & 0xFF), value >> 16 != 0};
  }
};

/// Whether the next operation of `block` is one of these.
bool removes_in_parts(const World& world, std::uint8_t block);

/// As call_of(): of what is done of it next.
Call next_call(World& world, std::uint8_t block);

struct RemovedPart {
  spec::Observation seen;
  /// It was asked what is to be said; else pages were taken.
  bool said = false;
};
/// Does that, in the machine. kWouldBlock: nothing has changed.
RemovedPart remove_next(World& world, std::uint8_t block);
/// Notes that it was done. Returns what all of it has come to where it does not go on.
Errno settle_removal(World& world, std::uint8_t block, const RemovedPart& part, bool& goes_on);

}  // namespace cowherd::check
