#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "cowherd/flags.hpp"
#include "cowherd/result.hpp"

namespace cowherd::stress {

/// A moment: ticks of one clock that all threads share. Each reading is a tick of its own.
using Tick = std::uint64_t;

/// From just before an operation was called to just after it returned.
struct Interval {
  Tick begin = 0;
  Tick end = 0;

  [[nodiscard]] bool before(const Interval& other) const { return end < other.begin; }
};

// What the threads play with in every address space: a few pages on both sides of the border of a lowest table, so
// that tables come and go, or the last pages of one huge page and the first of the next. The pages below
// kFirstDiscardable always stay mapped, and what is in them is never thrown away but by exec and exit.
inline constexpr std::uint8_t kPages = 4;
inline constexpr std::uint8_t kFirstDiscardable = 2;
inline constexpr std::uint64_t kFirstPage = 510;
/// Words of a page that are written and watched: the first and the last.
inline constexpr std::uint8_t kWords = 2;

/// Name, text.
#define COWHERD_STRESS_ACTIONS(X) \
  X(kRead, "read")                \
  X(kWrite, "write")              \
  X(kPtraceRead, "ptrace_read")   \
  X(kPtraceWrite, "ptrace_write") \
  X(kPin, "pin")                  \
  X(kUnpin, "unpin")              \
  X(kDmaRead, "dma_read")         \
  X(kDmaWrite, "dma_write")       \
  X(kFork, "fork")                \
  X(kExit, "exit")                \
  X(kExec, "exec")                \
  X(kMap, "mmap")                 \
  X(kUnmap, "munmap")             \
  X(kProtect, "mprotect")         \
  X(kDiscard, "madvise")          \
  X(kPopulate, "populate")        \
  X(kClearRefs, "clear_refs")     \
  X(kTryShare, "try_share")       \
  X(kSwapOut, "swapout")          \
  X(kSwapIn, "swapin")            \
  X(kReclaim, "reclaim")          \
  X(kCollapse, "collapse")        \
  X(kSplit, "split")

enum class Action : std::uint8_t {
#define COWHERD_STRESS_ACTION(name, ...) name,
  COWHERD_STRESS_ACTIONS(COWHERD_STRESS_ACTION)
#undef COWHERD_STRESS_ACTION
};

std::string_view name_of(Action action);

/// Names one life of an address space: from the fork (or the beginning) to the exit that ends it. Never given twice.
using Life = std::uint32_t;

/// One operation of one thread.
struct Record {
  Interval when;
  /// What was read or written. For kPin: the pages, from bit 0, behind which the zero page was found.
  std::uint64_t value = 0;
  Life life = 0;
  /// The child's life, or the pin's number.
  std::uint32_t other = 0;
  Errno error{0};
  Action action = Action::kRead;
  /// Pages, counted from kFirstPage.
  std::uint8_t first = 0;
  std::uint8_t count = 1;
  std::uint8_t word = 0;
  PinFlags flags = PinFlags::kNone;
  Protection protection = Protection::kReadWrite;

  [[nodiscard]] bool ok() const { return error == Errno{0}; }
  [[nodiscard]] bool touches(std::uint8_t page) const { return first <= page && page < first + count; }
};

/// What one thread did, in order.
using Log = std::vector<Record>;

}  // namespace cowherd::stress
