#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cowherd/flags.hpp"
#include "cowherd/result.hpp"
#include "cowherd/types.hpp"

namespace cowherd::spec {

// What may be observed, under no rules at all. Nothing is shared here: an address space is a function from page and
// word to a value, and fork copies it.

inline constexpr std::size_t kMaxSpaces = 16;
inline constexpr std::size_t kMaxPages = 16;
inline constexpr std::size_t kWordsPerPage = 4;
inline constexpr std::size_t kMaxPins = 8;

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
};

using SpaceId = Strong<struct SpaceIdTag, std::uint8_t>;
using SpecPinId = Strong<struct SpecPinIdTag, std::uint8_t>;

/// What the system under test answered.
struct Observation {
  /// Errno{0} for success.
  Errno error{0};
  /// The value read; the pages held, for a pin.
  std::int64_t value = 0;
  /// A memory shortage really happened (an injected failure, no frame left, a counter at its limit): ENOMEM, EAGAIN and
  /// SIGBUS are then allowed.
  bool short_of_memory = false;
};

/// The judgement of one observation. On success of the system under test the spec's state has moved on as it must have;
/// on failure it has not moved. After a breach the state follows the spec, not the observation.
struct Judgement {
  Clause broken = Clause::kNone;
  Harm harm = Harm::kNone;
  /// What was allowed: up to four of the values, and how many there are. Meaningful where a value was read.
  std::int64_t allowed[4] = {};
  std::uint8_t allowed_count = 0;
  /// What had to come back, where it is a result and not a value that was wrong.
  Errno expected_error{0};
  /// The broken promise concerns an ordinary reference (get), which Linux documents as unprotected.
  bool by_get = false;

  [[nodiscard]] bool ok() const { return broken == Clause::kNone; }
};

/// The reference state of one machine. Plain memory: copying bytes() and assigning them back is a snapshot, equal
/// states have equal bytes. Not thread-safe.
class Spec {
 public:
  Spec();

  /// The used part of the state; its size varies. Valid until the next call that changes the state.
  [[nodiscard]] std::span<const std::byte> bytes() const;
  /// Precondition: `bytes` came from bytes().
  void assign(std::span<const std::byte> bytes);

  /// A new, empty address space. Precondition: fewer than kMaxSpaces exist.
  SpaceId create_space();
  /// The last user of `space` has gone (exit, exec): its pages are discarded, pins on them detach.
  void drop_space(SpaceId space);
  /// What fork gives the child. Precondition: fewer than kMaxSpaces exist.
  SpaceId fork(SpaceId parent);

  // Mapping operations on pages [first, first + count). Each judges the result and moves on.
  Judgement mmap(SpaceId space, std::uint8_t first, std::uint8_t count, Protection protection, MapFlags flags,
                 Observation seen);
  Judgement munmap(SpaceId space, std::uint8_t first, std::uint8_t count, Observation seen);
  Judgement mprotect(SpaceId space, std::uint8_t first, std::uint8_t count, Protection protection, Observation seen);
  Judgement madvise(SpaceId space, std::uint8_t first, std::uint8_t count, Advice advice, Observation seen);

  Judgement read(SpaceId space, std::uint8_t page, std::uint8_t word, Observation seen);
  Judgement write(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen);
  /// A debugger's access: FOLL_FORCE, from another process.
  Judgement force_read(SpaceId space, std::uint8_t page, std::uint8_t word, Observation seen);
  Judgement force_write(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen);

  /// Where pin succeeded on `seen.value` pages, `pin` receives its name. Precondition: fewer than kMaxPins exist.
  Judgement pin(SpaceId space, std::uint8_t first, std::uint8_t count, PinFlags flags, Observation seen,
                SpecPinId& pin);
  void unpin(SpecPinId pin);
  Judgement dma_read(SpecPinId pin, std::uint8_t page, std::uint8_t word, Observation seen);
  Judgement dma_write(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t value, Observation seen);
};

}  // namespace cowherd::spec
