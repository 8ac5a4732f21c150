#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cowherd {

/// Every lock of the memory system, outermost first: a holder of one may take only later ones, or a second of the same
/// rank where `nests` says so. The run-time checker and docs/locks.md come from this table.
#define COWHERD_LOCK_RANKS(X)                                                                                          \
  X(kMmapLock, "mmap_lock", true, true,                                                                                \
    "one per address space, for reading or writing: VMAs and which tables exist; fork holds the parent's, then the "   \
    "child's")                                                                                                         \
  X(kHugetlbFaultLock, "hugetlb fault lock", true, false,                                                              \
    "one per machine, where it has hugetlb pages: what a fault puts into a place that has none, or a copy; changes "   \
    "to "                                                                                                              \
    "a hugetlb file as a whole")                                                                                       \
  X(kFileLock, "file lock", true, false, "one per file: its size, and changes to it as a whole")                       \
  X(kPageLock, "page lock", true, false,                                                                               \
    "one per frame: held across reuse decisions, and while a file's page comes, is mapped for writing, is cleaned or " \
    "goes")                                                                                                            \
  X(kMappingLock, "mapping lock", true, true,                                                                          \
    "one per file: who maps it, and which of its pages are in the cache; restore holds those of all files of both "    \
    "address spaces")                                                                                                  \
  X(kAnonVmaLock, "anon_vma lock", true, false, "one per family of anon_vmas: their lists of mappings")                \
  X(kUpperTableLock, "upper table lock", false, false,                                                                 \
    "one per address space: entries that name tables, and the anon_vma of a VMA that gets its first")                  \
  X(kPageTableLock, "page table lock", false, true,                                                                    \
    "one per lowest table: its entries; fork holds the child's, then the parent's")                                    \
  X(kSwapLock, "swap lock", false, false, "one per swap area: its slots, and which pages are in the swap cache")       \
  X(kLruLock, "lru lock", false, false, "one per machine, once there is reclaim: the order of pages")                  \
  X(kPoolLock, "pool lock", false, false,                                                                              \
    "one per machine, where it has hugetlb pages: which of them are free, and how many are promised")                  \
  X(kListLock, "list lock", false, false, "one per machine: its list of processes")

enum class LockRank : std::uint8_t {
#define COWHERD_LOCK_RANK(name, ...) name,
  COWHERD_LOCK_RANKS(COWHERD_LOCK_RANK)
#undef COWHERD_LOCK_RANK
};

struct LockRankInfo {
  std::string_view name;
  /// Whether a holder may sleep, and so allocate with reclaim.
  bool may_sleep;
  bool nests;
  std::string_view guards;
};

inline constexpr std::array kLockRanks{
#define COWHERD_LOCK_RANK(name, text, sleeps, nests, guards) LockRankInfo{text, sleeps, nests, guards},
    COWHERD_LOCK_RANKS(COWHERD_LOCK_RANK)
#undef COWHERD_LOCK_RANK
};

/// The locks that the running operation holds, for the order check. Not thread-safe: one per executing agent.
class HeldLocks {
 public:
  /// False: taking `rank` now breaks the order of the table.
  [[nodiscard]] bool push(LockRank rank) {
    const auto index = static_cast<std::size_t>(rank);
    bool in_order = true;
    for (std::size_t later = index + 1; later < kLockRanks.size(); ++later) {
      in_order = in_order && count_[later] == 0;
    }
    in_order = in_order && (count_[index] == 0 || kLockRanks[index].nests);
    ++count_[index];
    return in_order;
  }
  void pop(LockRank rank) { --count_[static_cast<std::size_t>(rank)]; }
  /// Whether some held lock forbids sleeping.
  [[nodiscard]] bool atomic() const {
    for (std::size_t rank = 0; rank < kLockRanks.size(); ++rank) {
      if (count_[rank] != 0 && !kLockRanks[rank].may_sleep) {
        return true;
      }
    }
    return false;
  }
  [[nodiscard]] bool any() const {
    for (const auto count : count_) {
      if (count != 0) {
        return true;
      }
    }
    return false;
  }
  void clear() { count_ = {}; }

 private:
  std::array<std::uint8_t, kLockRanks.size()> count_{};
};

}  // namespace cowherd
