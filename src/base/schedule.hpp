#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "base/lock_ranks.hpp"
#include "cowherd/types.hpp"

namespace cowherd {

/// Where an operation under a scheduler may be suspended: always just before it touches what another agent may touch
/// without a common lock, or takes a lock. Name, text, what comes next. docs/concurrency.md comes from this table.
#define COWHERD_POINTS(X)                                                                    \
  X(kAccess, "access", "a load or store: translate and move the bytes")                      \
  X(kMmapLock, "mmap-lock", "take the mmap lock")                                            \
  X(kPageLock, "page-lock", "take the page lock")                                            \
  X(kTryPageLock, "try-page-lock", "take the page lock if it is free")                       \
  X(kFileLock, "file-lock", "take the file lock")                                            \
  X(kMappingLock, "mapping-lock", "take the mapping lock")                                   \
  X(kAnonVmaLock, "anon-vma-lock", "take the anon_vma lock")                                 \
  X(kPageTableLock, "page-table-lock", "take a page-table lock")                             \
  X(kReadEntry, "read-entry", "read an entry without its lock")                              \
  X(kReadTable, "read-table", "read the entry of a table without its lock")                  \
  X(kClearEntry, "clear-entry", "clear an entry")                                            \
  X(kSetEntry, "set-entry", "set an entry")                                                  \
  X(kProtectEntry, "protect-entry", "take write permission from an entry")                   \
  X(kFlush, "flush", "make every CPU forget translations")                                   \
  X(kFreeTable, "free-table", "free a table that no walker is in")                           \
  X(kReadCounts, "read-counts", "read what the reuse or fork decision looks at")             \
  X(kTakeReference, "take-reference", "take a reference, and the pin with it")               \
  X(kDropReference, "drop-reference", "drop a reference, and free the frame with the last")  \
  X(kMapcount, "mapcount", "change a mapcount")                                              \
  X(kExclusive, "exclusive", "set or clear the exclusive mark")                              \
  X(kReadExclusive, "read-exclusive", "read the exclusive mark without a lock")              \
  X(kRecheckEntry, "recheck-entry", "read an entry again, the reference held")               \
  X(kRecheckTable, "recheck-table", "read the entry of a table again, the reference held")   \
  X(kHasPinned, "has-pinned", "say that the address space has been pinned, or ask")          \
  X(kPiecesUsed, "pieces-used", "say that a page of a huge one is used")                     \
  X(kSequence, "sequence", "change or sample the fork sequence count")                       \
  X(kCopyPage, "copy-page", "copy the bytes of a page")                                      \
  X(kDevice, "device", "a device's load or store")                                           \
  X(kSwapSlot, "swap-slot", "look at a slot of swap, or change it")                          \
  X(kSwapIo, "swap-io", "copy a page to its slot, or from it")                               \
  X(kProcesses, "processes", "take the lock of the list of processes")                       \
  X(kFileSize, "file-size", "read or change the size of a file")                             \
  X(kDirty, "dirty", "set or clear what says that a page of a file was written")             \
  X(kWriteback, "writeback", "wait until a page is not on its way to the disk")              \
  X(kDisk, "disk", "read or write a block")                                                  \
  X(kHugetlbFaultLock, "hugetlb-fault-lock", "take the lock of faults on hugetlb memory")    \
  X(kPoolLock, "pool-lock", "take the lock of the hugetlb pool")                             \
  X(kUserfault, "userfault", "wait until userfaultfd's handler has decided about the fault") \
  X(kAllocate, "allocate", "an allocation that may fail by choice")

enum class Point : std::uint8_t {
#define COWHERD_POINT(name, ...) name,
  COWHERD_POINTS(COWHERD_POINT)
#undef COWHERD_POINT
};

/// Whether a lock is taken there, behind which the next point comes before the first access. Taking it commutes with
/// all that others do but ask for the same lock: no choice is needed between it and that access.
constexpr bool takes_lock(Point point) {
  switch (point) {
    case Point::kMmapLock:
    case Point::kPageLock:
    case Point::kFileLock:
    case Point::kMappingLock:
    case Point::kAnonVmaLock:
    case Point::kPageTableLock:
    case Point::kProcesses:
      return true;
    default:
      return false;
  }
}

struct PointInfo {
  std::string_view name;
  std::string_view next;
};

inline constexpr std::array kPoints{
#define COWHERD_POINT(name, text, next) PointInfo{text, next},
    COWHERD_POINTS(COWHERD_POINT)
#undef COWHERD_POINT
};

/// Locals that the rest of a scope needs, declared by the scope itself: with the machine's memory they are the state of
/// a suspended operation. Lies on the operation's stack, innermost first.
struct LiveScope {
  struct Local {
    const void* bytes;
    std::uint32_t size;
  };

  LiveScope* outer;
  /// Of the scope's name.
  std::uint32_t hash;
  std::uint32_t count;
  const Local* locals;
};

/// FNV-1a, for names that have to be the same number in every build.
constexpr std::uint32_t hash_of_name(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

/// What running code knows of the agent that it runs for.
struct AgentContext {
  LiveScope* live = nullptr;
  HeldLocks held;
  /// From 1; 0 is nobody.
  std::uint8_t number = 0;
};

/// Who decides, in a geometry that is explored, which agent takes the next step. Every agent runs on a stack of its
/// own, one at a time; suspend() gives the processor back to whoever resumed it.
class Scheduler {
 public:
  /// In how many ways a suspended agent could go on now; 0: it has to wait. Asked at any time while it is suspended.
  using Moves = unsigned (*)(const void* what);

  virtual ~Scheduler() = default;

  /// Any other agent may run here. Returns when this one is chosen, and which of its moves was, from 0.
  /// It may return at once, without a choice, where the agent has done nothing since it was chosen last, or has only
  /// taken a lock that others cannot see but by waiting for it, and is not about to take another (takes_lock()).
  virtual unsigned suspend(Point point, Moves moves, const void* what) = 0;
  void point(Point next) {
    (void)suspend(
        next, [](const void*) { return 1u; }, nullptr);
  }

  /// The agent that runs now.
  [[nodiscard]] virtual AgentContext& agent() = 0;

  // The translations that the running agent's CPU remembers, by address space (its Ref's unit) and page: an entry's
  // bits, 0 where there is none. It remembers until it is told to forget.

  [[nodiscard]] virtual std::uint64_t cached_translation(std::uint32_t mm, Vpn page) const = 0;
  virtual void cache_translation(std::uint32_t mm, Vpn page, std::uint64_t entry) = 0;
  /// On every CPU.
  virtual void forget_translations(std::uint32_t mm, PageRange pages) = 0;
  /// On the running agent's CPU alone.
  virtual void forget_own_translation(std::uint32_t mm, Vpn page) = 0;
};

}  // namespace cowherd
