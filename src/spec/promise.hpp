#pragma once

#include <cstddef>
#include <cstdint>

#include "cowherd/result.hpp"
#include "cowherd/types.hpp"

namespace cowherd::spec {

// The words in which a run is judged: what is promised, what was seen, and what the verdict on it says.

inline constexpr std::size_t kMaxSpaces = 16;
inline constexpr std::size_t kMaxPages = 16;
inline constexpr std::size_t kWordsPerPage = 4;
inline constexpr std::size_t kMaxPins = 8;
/// Files with names; shared anonymous memory is no such file.
inline constexpr std::size_t kMaxFiles = 4;

/// The promises, numbered as in docs/spec.md.
enum class Clause : std::uint8_t {
  kNone = 0,
  /// 1. Private memory: what one address space writes after fork, no other one sees.
  kPrivate = 1,
  /// 2. A reference for writing is coherent, both ways, with its owner's view until the owner discards it.
  kWritePin = 2,
  /// 3. A long-term reference for reading sees the owner's writes; a short one saw a value that was current since.
  kReadPin = 3,
  /// 4. No reference of any kind lets one address space observe or alter what another wrote after fork.
  kReference = 4,
  /// 5. A forced write lands in the target's private copy.
  kForce = 5,
  /// 8. Bookkeeping; judged by verify(), never by the spec.
  kBookkeeping = 8,
  /// 9. An access succeeds exactly where the mapping allows it, and a failed operation changes nothing.
  kAccess = 9,
  /// 10. A file is one object: what is written to it by any way, everybody sees who maps or reads it, and in the end
  /// its disk holds it.
  kFile = 10,
  /// 11. Where memory is registered, nobody gets by a page that its handler has not brought, or has write-protected.
  kUserfault = 11,
};

/// What a broken clause did to the data.
enum class Harm : std::uint8_t {
  kNone,
  /// A device reads a page that its owner no longer writes.
  kStaleDma,
  /// A device wrote a page that its owner no longer maps.
  kLostDma,
  /// One address space sees what another wrote.
  kLeak,
  /// A CPU write of this address space is gone.
  kLostWrite,
  /// Success in place of failure, or the reverse.
  kWrongResult,
  /// A value that nobody wrote there.
  kGarbage,
  /// An access got by memory that a handler decides about, without it.
  kUnasked,
};

/// One word without blanks, "write-pin"; "none" for kNone. Never null.
const char* name_of(Clause clause);
/// As people say it, "stale DMA"; "none" for kNone. Never null.
const char* name_of(Harm harm);
/// One word without blanks, as a test writes it in finding(NAME): "stale-dma"; "none" for kNone. Never null.
const char* label_of(Harm harm);
/// The promise as one sentence, without its number. Never null.
const char* describe(Clause clause);
/// The kind of finding that the harm is: "wrong COW", "missed COW", "corruption" or "wrong result". Never null.
const char* finding_of(Harm harm);

using SpaceId = Strong<struct SpaceIdTag, std::uint8_t>;
using FileNumber = Strong<struct FileNumberTag, std::uint8_t>;
/// Memory that no file with a name is behind.
inline constexpr FileNumber kAnonymous{0xff};
using SpecPinId = Strong<struct SpecPinIdTag, std::uint8_t>;

/// The name of no pin: a device that holds nothing.
inline constexpr SpecPinId kNoPin{0xff};

/// What userfaultfd's handler puts where no page is: one with a value in it, one of zeros, or that nobody gets one.
enum class Fill : std::uint8_t { kBytes, kZeros, kPoison };

/// What the system under test answered.
struct Observation {
  /// Errno{0} for success.
  Errno error{0};
  /// The value read; the pages held, for a pin.
  std::int64_t value = 0;
  /// A memory shortage really happened (an injected failure, no frame left, a counter at its limit): ENOMEM, EAGAIN and
  /// SIGBUS are then allowed.
  bool short_of_memory = false;

  /// The system ran out of something and said so: always allowed, and nothing has happened but what mlock says first.
  [[nodiscard]] bool for_shortage() const {
    return short_of_memory && (error == Errno::kNoMemory || error == Errno::kAgain || error == Errno::kSigBus);
  }
};

/// The judgement of one observation. On success of the system under test the spec's state has moved on as it must have;
/// on failure it has not moved. After a breach the state follows the spec, not the observation.
struct Judgement {
  Clause broken = Clause::kNone;
  Harm harm = Harm::kNone;
  /// What was allowed: up to four of the values, and how many there are (255: at least as many). Meaningful where a
  /// value was read; a pin has the pages that it had to hold.
  std::int64_t allowed[4] = {};
  std::uint8_t allowed_count = 0;
  /// What had to come back, where it is a result and not a value that was wrong.
  Errno expected_error{0};
  /// The broken promise concerns an ordinary reference (get), which Linux documents as unprotected.
  bool by_get = false;

  [[nodiscard]] bool ok() const { return broken == Clause::kNone; }
};

/// The judgement of a result that had to be `expected`.
Judgement judge_result(Errno expected, const Observation& seen);
/// Of the event with this number, which had to be read.
Judgement judge_event(std::int64_t expected, const Observation& seen);

}  // namespace cowherd::spec
