#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace cowherd::mm {

/// What verify() and the operations' own checks can find wrong with a Machine: name, sentence.
#define COWHERD_VIOLATIONS(X)                                                                                         \
  X(kReferences, "reference-imbalance", "a frame's reference count is not its mappings plus pins and gets")           \
  X(kMapcount, "mapcount-imbalance", "a frame's mapcount is not the number of entries that map it")                   \
  X(kPins, "pin-imbalance", "a frame's pins are not those that holders have")                                         \
  X(kExclusiveShared, "exclusive-shared", "a page marked exclusive is mapped more than once")                         \
  X(kWritableShared, "writable-shared", "a writable entry maps a page that is not exclusive")                         \
  X(kPinnedShared, "pinned-shared", "a page pinned through its owner's address is no longer exclusive")               \
  X(kNoRmap, "rmap-missing",                                                                                          \
    "an entry maps a page that no reverse map leads to: reclaim and migration cannot find it")                        \
  X(kNotDirty, "not-dirty", "nothing marks an anonymous page dirty: reclaim would drop what was written")             \
  X(kCache, "cache-imbalance", "a file's index, its pages and its list of mappings do not agree")                     \
  X(kDirtyLost, "dirty-lost", "a page of a file may be written, or was, and is not marked dirty")                     \
  X(kUnprepared, "dirty-unprepared", "writeback met a dirty page that its file system was never told of")             \
  X(kRss, "rss-imbalance", "an address space's resident pages do not add up")                                         \
  X(kFreedInUse, "use-after-free", "a freed frame is still mapped or held")                                           \
  X(kBadPage, "bad-page", "a frame was freed while mapped, or its count fell below zero")                             \
  X(kFrameLost, "frame-lost", "a frame in use belongs to nobody")                                                     \
  X(kTable, "table-imbalance", "a page table's count of entries is wrong, or the table is empty")                     \
  X(kOutsideVma, "entry-outside-vma", "an entry maps a page where no VMA is, or more than its VMA allows")            \
  X(kVma, "vma-invalid", "VMAs overlap, are out of order or lack their anon_vma")                                     \
  X(kZeroPage, "zero-page-written", "the zero page is not zero")                                                      \
  X(kLockOrder, "lock-order", "locks were taken against their order")                                                 \
  X(kLockHeld, "lock-held", "an operation returned with a lock held")                                                 \
  X(kSleepInAtomic, "sleep-in-atomic", "an allocation that may sleep was made under a lock that forbids it")          \
  X(kSwapCount, "swap-imbalance", "a slot's count is not the number of entries that name it")                         \
  X(kSwapCache, "swap-cache-broken", "the swap cache and its pages do not agree, or a page's slot is gone")           \
  X(kHugeCount, "huge-imbalance", "a huge page's count is not the number of huge entries that map it")                \
  X(kReclaim, "reclaim-broken", "what reclaim knows of a page is said of a frame that is none")                       \
  X(kWrongPolicy, "wrong-policy", "a page that was allocated for one address came to serve another")                  \
  X(kUnguarded, "unguarded-access", "something that a lock guards was touched without it")                            \
  X(kDataRace, "data-race", "two agents touched the same plain data, and nothing ordered them")                       \
  X(kFaultLoop, "fault-loop", "a fault was handled again and again without letting the access through")               \
  X(kMigrationLeft, "migration-left", "an entry says that its page is on its way, and nobody moves it")               \
  X(kNotSoftDirty, "not-soft-dirty", "a page may be written that is not soft-dirty: who tracks writes would miss it") \
  X(kUffdMark, "uffd-mark",                                                                                           \
    "an entry is write-protected by userfaultfd and writable, or in memory that is not registered for it")            \
  X(kUffdEvent, "uffd-event", "what userfaultfd's handler is to read is no event, or stands behind a gap")            \
  X(kPool, "pool-imbalance", "the hugetlb pool's pages are not those in use and those free")                          \
  X(kUnmovable, "unmovable", "memory that is to hold only what can be moved holds something that cannot")             \
  X(kReserve, "reserve-imbalance",                                                                                    \
    "the hugetlb pages that are promised are not those that mappings still may fault in, or are not there")           \
  X(kFolio, "folio-broken",                                                                                           \
    "a frame is said to be part of a large folio and is no page, or not the one that belongs there")

enum class Violation : std::uint8_t {
#define COWHERD_VIOLATION(name, ...) name,
  COWHERD_VIOLATIONS(COWHERD_VIOLATION)
#undef COWHERD_VIOLATION
      kCount
};

struct ViolationInfo {
  /// As written in `finding(NAME)`.
  std::string_view name;
  std::string_view sentence;
};

inline constexpr std::array kViolations{
#define COWHERD_VIOLATION(name, text, sentence) ViolationInfo{text, sentence},
    COWHERD_VIOLATIONS(COWHERD_VIOLATION)
#undef COWHERD_VIOLATION
};

/// A set of violations.
struct Violations {
  std::uint64_t bits = 0;

  static constexpr std::uint64_t bit(Violation violation) {
    return std::uint64_t{1} << static_cast<unsigned>(violation);
  }
  void add(Violation violation) { bits |= bit(violation); }
  void add(Violations other) { bits |= other.bits; }
  [[nodiscard]] bool has(Violation violation) const { return (bits & bit(violation)) != 0; }
  [[nodiscard]] bool none() const { return bits == 0; }
  bool operator==(const Violations&) const = default;
};

}  // namespace cowherd::mm
