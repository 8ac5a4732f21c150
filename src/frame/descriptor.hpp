#pragma once

#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/lock_word.hpp"
#include "base/memory_orders.h"
#include "cowherd/types.hpp"

namespace cowherd {

/// What a frame is used for.
enum class FrameUse : std::uint8_t {
  kFree = 0,
  /// Frame 0: all zero, mapped read-only wherever untouched memory is read; neither its mappings nor (by rule) its
  /// references are counted.
  kZeroPage,
  kTable,
  kSlab,
  /// Holds numbers of frames: those that a pin holds, or those of a file that are in the cache.
  kPinFrames,
  kAnon,
  /// A page of a file, in the cache or, once it was cut off the file, with its last holders.
  kFile,
  /// One page in place of several anonymous ones that held the same: nobody's own, and found by no reverse map. Compare
  /// Linux PageKsm().
  kKsm,
};

/// What kind of page a page-table entry maps, for counting. Compare Linux MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES.
enum class RssClass : std::uint8_t {
  kAnon,
  /// Of a file that a disk is behind.
  kFile,
  /// Of shared anonymous memory or a file in memory.
  kShmem,
};
inline constexpr unsigned kRssClasses = 3;

/// The hot part of what is known of a frame: 16 bytes. Compare Linux's struct page.
///
/// References and pins share one word, so that whoever takes a reference learns in the same access whether the page may
/// be pinned. Every pin holds one reference too. A frame without references is free or on its way from or to being
/// free, and nobody but its allocator may give it one.
///
/// Each call is one atomic access, safe from any thread; what keeps two of them together is the caller's business.
class FrameDescriptor {
 public:
  static constexpr std::uint32_t kReferenceBits = 20;
  static constexpr std::uint32_t kMaxReferences = (1u << kReferenceBits) - 1;
  static constexpr std::uint32_t kMaxPins = (1u << (32 - kReferenceBits)) - 1;
  static constexpr std::uint32_t kMapcountBits = 20;
  static constexpr std::uint32_t kMaxMapcount = (1u << kMapcountBits) - 1;
  static constexpr std::uint32_t kIndexBits = 35;
  static constexpr std::uint32_t kMaxOwner = ~std::uint32_t{0};
  /// The owner of an anonymous page whose memory has failed. Compare Linux PG_hwpoison.
  static constexpr std::uint32_t kPoisoned = kMaxOwner;

  [[nodiscard]] FrameUse use() const { return use_of(flags()); }
  /// Precondition: the frame is as after clear(), and nobody else's.
  void start_use(FrameUse use) {
    flags_word().store(static_cast<std::uint32_t>(use) << kUseShift, std::memory_order_relaxed);
  }

  /// An anonymous page becomes a merged one, or the other way round; its counts stay. Needs the page lock.
  void change_use(FrameUse use) {
    update_flags([use](std::uint32_t word) {
      return (word & ~(kUseMask << kUseShift)) | static_cast<std::uint32_t>(use) << kUseShift;
    });
  }

  /// References and pins as they were at one instant.
  struct Counts {
    std::uint32_t references;
    std::uint32_t pins;
  };
  [[nodiscard]] Counts counts() const { return split(counts_word().load(order::kCountsLoad)); }
  [[nodiscard]] std::uint32_t references() const { return counts().references; }
  [[nodiscard]] std::uint32_t pins() const { return counts().pins; }

  /// Takes references, and pins with them. Each wraps within its field, as an unchecked counter does.
  void add_references(std::uint32_t references, std::uint32_t pins = 0) {
    update_counts([=](Counts now) { return join(now.references + references, now.pins + pins); });
  }
  /// As add_references(), if the frame has one already and neither count would exceed its limit.
  [[nodiscard]] bool try_add_references(std::uint32_t references, std::uint32_t pins, std::uint32_t max_references) {
    std::uint32_t seen = counts_word().load(std::memory_order_relaxed);
    while (true) {
      const Counts now = split(seen);
      if (now.references == 0 || now.references + std::uint64_t{references} > max_references ||
          now.pins + std::uint64_t{pins} > kMaxPins) {
        return false;
      }
      if (counts_word().compare_exchange_weak(seen, join(now.references + references, now.pins + pins),
                                              order::kCountsChange)) {
        return true;
      }
    }
  }
  /// Gives references back, and pins with them, in one access; returns what is left. Each wraps within its field, where
  /// somebody gives back what he has not: what the references then borrow from the pins is put back by a second access.
  Counts drop_references(std::uint32_t references, std::uint32_t pins = 0) {
    const std::uint32_t gone = join(references, pins);
    const std::uint32_t before = counts_word().fetch_sub(gone, order::kCountsChange);
    const bool borrowed = split(before).references < split(gone).references;
    if (borrowed) [[unlikely]]
      counts_word().fetch_add(join(0, 1), order::kCountsChange);
    return split(before - gone + (borrowed ? join(0, 1) : 0));
  }

  /// One more mapping: takes a reference and a mapcount and clears the exclusive mark, in one access. False, and
  /// nothing has changed: there is no reference, or one count is at its limit.
  [[nodiscard]] bool try_map_once_more() {
    std::uint64_t seen = __atomic_load_n(both_words(), __ATOMIC_RELAXED);
    while (true) {
      const Counts now = split(static_cast<std::uint32_t>(seen));
      if (now.references == 0 || now.references == kMaxReferences || (seen >> 32 & kMaxMapcount) == kMaxMapcount) {
        return false;
      }
      // A page of a file has no such mark; the bit says something else there.
      const std::uint32_t mark = use_of(static_cast<std::uint32_t>(seen >> 32)) == FrameUse::kAnon ? kExclusive : 0;
      const std::uint64_t next = (seen + kOneReferenceAndMapcount) & ~(std::uint64_t{mark} << 32);
      if (__atomic_compare_exchange_n(both_words(), &seen, next, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) return true;
    }
  }

  /// What is left after drop_mapping().
  struct Left {
    Counts counts;
    std::uint32_t mapcount;
  };
  /// One mapping fewer: gives a reference and a mapcount back, in one access. Nothing where one of them is zero, and
  /// nothing has changed.
  [[nodiscard]] std::optional<Left> drop_mapping() {
    std::uint64_t seen = __atomic_load_n(both_words(), __ATOMIC_RELAXED);
    while (true) {
      const auto mapcount = static_cast<std::uint32_t>(seen >> 32 & kMaxMapcount);
      if (split(static_cast<std::uint32_t>(seen)).references == 0 || mapcount == 0) return std::nullopt;
      const std::uint64_t next = seen - kOneReferenceAndMapcount;
      if (__atomic_compare_exchange_n(both_words(), &seen, next, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        return Left{split(static_cast<std::uint32_t>(next)), mapcount - 1};
      }
    }
  }

  void add_pins(std::uint32_t count) { add_references(0, count); }
  void drop_pins(std::uint32_t count) { (void)drop_references(0, count); }

  /// For a table: its entries in use. For a slab: see frames.cpp.
  [[nodiscard]] std::uint32_t mapcount() const { return flags() & kMaxMapcount; }
  void add_mapcount() { add_to_mapcount(1); }
  /// Returns what is left. Below zero wraps to kMaxMapcount, which verify() reports.
  std::uint32_t drop_mapcount() { return add_to_mapcount(kMaxMapcount); }
  /// More mappings, or fewer, at once.
  void change_mapcount(std::int32_t by) { (void)add_to_mapcount(static_cast<std::uint32_t>(by) & kMaxMapcount); }
  void set_mapcount(std::uint32_t mapcount) {
    update_flags([=](std::uint32_t word) { return (word & ~kMaxMapcount) | (mapcount & kMaxMapcount); });
  }

  /// Nobody maps the page, and nobody is given its frame again.
  [[nodiscard]] bool poisoned() const { return use() == FrameUse::kAnon && owner() == kPoisoned; }

  /// This anonymous page belongs to one address space. Compare Linux PageAnonExclusive.
  [[nodiscard]] bool exclusive() const { return flag(kExclusive); }
  void set_exclusive(bool on) { set_flag(kExclusive, on); }
  /// Written, and not by way of a page-table entry alone. Compare Linux PG_dirty.
  [[nodiscard]] bool dirty() const { return flag(kDirty); }
  void set_dirty(bool on) { set_flag(kDirty, on); }
  /// Some reference was once taken through an address for writing.
  [[nodiscard]] bool gup_mark() const { return flag(kGupMark); }
  void set_gup_mark(bool on) { set_flag(kGupMark, on); }
  /// A reference was taken through an address for writing, and is there: sets the gup mark and dirty. Nothing is
  /// written where both are set, as they are when a page is pinned again and again.
  void note_gup_write() {
    // A page of a file says otherwise that it was written: see prepared().
    if (use() == FrameUse::kFile) return;
    constexpr std::uint32_t kBoth = kGupMark | kDirty;
    if ((flags() & kBoth) != kBoth) flags_word().fetch_or(kBoth, order::kFlagsChange);
  }

  /// For a page of a file: what its block needs was prepared since it was last clean, so that the file system knows of
  /// what is written (Linux: page_mkwrite, buffers).
  [[nodiscard]] bool prepared() const { return flag(kPrepared); }
  void set_prepared(bool on) { set_flag(kPrepared, on); }
  /// For a page of a file: its bytes are on their way to the disk (Linux: PG_writeback).
  [[nodiscard]] bool under_writeback() const { return flag(kUnderWriteback); }
  /// Wakes those who wait for its end.
  void set_under_writeback(bool on) {
    set_flag(kUnderWriteback, on);
    if (!on) flags_word().notify_all();
  }
  /// Natively: until it is not.
  void wait_for_writeback() const {
    for (std::uint32_t seen = flags(); (seen & kUnderWriteback) != 0; seen = flags()) {
      flags_word().wait(seen, std::memory_order_relaxed);
    }
  }

  /// For a table: a reference was taken through an address to some page below it, and may still be held. Set before
  /// the reference is; cleared by who finds none.
  [[nodiscard]] bool pins_below() const { return (flags_word().load(order::kPinsBelowLoad) & kPinsBelow) != 0; }
  void set_pins_below(bool on) { set_flag(kPinsBelow, on); }

  /// For a lowest table: its entries that map pages of each class. Changes under the table's lock.
  [[nodiscard]] std::uint32_t pages_of(RssClass rss) const {
    return static_cast<std::uint32_t>(index().value() >> (kRssBits * static_cast<unsigned>(rss))) & kMaxRss;
  }
  void add_pages(RssClass rss, std::int32_t pages) {
    const auto step = static_cast<std::uint64_t>(std::int64_t{pages}) << (kRssBits * static_cast<unsigned>(rss));
    owner_word().store(owner_word().load(std::memory_order_relaxed) + step, std::memory_order_release);
  }

  /// The page lock of a user page (Linux: PG_locked), the page-table lock of a table.
  [[nodiscard]] bool locked() const { return flag(kLocked); }
  bool try_lock() { return !locked() && (flags_word().fetch_or(kLocked, order::kFrameLockTake) & kLocked) == 0; }
  void unlock() {
    flags_word().fetch_and(~kLocked, order::kFrameLockDrop);
    flags_word().notify_all();
  }
  /// As unlock() of a table, whose lock nobody sleeps for; and its entries in use are so many more than was said.
  void unlock_table(std::uint32_t more_in_use) {
    if (more_in_use == 0) {
      flags_word().fetch_and(~kLocked, order::kFrameLockDrop);
    } else {
      flags_word().fetch_add(more_in_use - kLocked, order::kFrameLockDrop);
    }
  }
  /// Waits for the lock; `spins`: whether its holder is sure to let go soon.
  void lock(bool spins) {
    constexpr unsigned kSpinsBeforeSleep = 128;
    for (unsigned round = 0; !try_lock(); ++round) {
      const std::uint32_t seen = flags();
      if (spins || round < kSpinsBeforeSleep) {
        spin_pause(round);
      } else if ((seen & kLocked) != 0) {
        flags_word().wait(seen, std::memory_order_relaxed);
      }
    }
  }

  /// What verify() has met of the frame so far; kUnseen at all other times. Ordered: the later includes the earlier.
  enum class Seen : std::uint8_t { kUnseen, kHeld, kMapped, kMappedDirty };
  [[nodiscard]] Seen seen() const { return static_cast<Seen>(flags() >> kSeenShift & kSeenMask); }
  void set_seen(Seen seen) {
    update_flags([seen](std::uint32_t word) {
      return (word & ~(kSeenMask << kSeenShift)) | (static_cast<std::uint32_t>(seen) << kSeenShift);
    });
  }

  /// For an anonymous page: its anon_vma, as a Ref's unit; for a page in the cache: its file, 0 once it was cut off;
  /// for a slab frame: the next slab with a free object.
  [[nodiscard]] std::uint32_t owner() const {
    return static_cast<std::uint32_t>(owner_word().load(std::memory_order_acquire) >> kIndexBits) |
           (flags() & kOwnerHighMask);
  }
  /// For an anonymous page: the page index at which its anon_vma knows it; for a page of a file: its number there
  /// (Linux: page->index).
  [[nodiscard]] Vpn index() const {
    return Vpn{owner_word().load(std::memory_order_acquire) & ((std::uint64_t{1} << kIndexBits) - 1)};
  }
  /// The owner's parts are two accesses: a page gets its owner before it is mapped, or under its page lock.
  void set_owner(std::uint32_t owner, Vpn index) {
    owner_word().store(owner_and_index(owner, index), std::memory_order_release);
    update_flags([owner](std::uint32_t word) { return (word & ~kOwnerHighMask) | (owner & kOwnerHighMask); });
  }

  /// A frame that was just allocated, and that nobody else knows, becomes an anonymous page with one mapping and one
  /// reference: each word is built and stored. References come last: without one, nobody takes another.
  void start_anon(std::uint32_t owner, Vpn index, bool exclusive) {
    assert(references() == 0);
    flags_word().store(static_cast<std::uint32_t>(FrameUse::kAnon) << kUseShift | (exclusive ? kExclusive : 0) | 1 |
                           (owner & kOwnerHighMask),
                       std::memory_order_relaxed);
    owner_word().store(owner_and_index(owner, index), std::memory_order_relaxed);
    counts_word().store(join(1, 0), std::memory_order_release);
  }
  /// An anonymous page gets the one address space that has it: set_owner() and set_exclusive() in one, and unlock()
  /// with it where the caller holds the page lock.
  void become_exclusive(std::uint32_t owner, Vpn index, bool exclusive, bool unlocks) {
    owner_word().store(owner_and_index(owner, index), std::memory_order_release);
    update_flags([=](std::uint32_t word) {
      return (word & ~(kOwnerHighMask | kExclusive | (unlocks ? kLocked : 0))) | (owner & kOwnerHighMask) |
             (exclusive ? kExclusive : 0);
    });
    if (unlocks) flags_word().notify_all();
  }

  /// As start_anon() for a page of a file, without a mapping and with `references` references.
  void start_file(std::uint32_t owner, Vpn index, std::uint32_t references) {
    assert(this->references() == 0);
    flags_word().store(static_cast<std::uint32_t>(FrameUse::kFile) << kUseShift | (owner & kOwnerHighMask),
                       std::memory_order_relaxed);
    owner_word().store(owner_and_index(owner, index), std::memory_order_relaxed);
    counts_word().store(join(references, 0), std::memory_order_release);
  }

  /// A page that is in swap, or was, becomes an anonymous page without an owner or a page of a file: its lock is held,
  /// and nobody maps it. It is clean.
  void change_kind(FrameUse kind, std::uint32_t owner, Vpn index) {
    owner_word().store(owner_and_index(owner, index), std::memory_order_release);
    update_flags([=](std::uint32_t word) {
      return (word & kLocked) | static_cast<std::uint32_t>(kind) << kUseShift | (owner & kOwnerHighMask);
    });
  }

  /// Everything as in a frame that was never used. Precondition: nobody holds a reference.
  void clear() {
    flags_word().store(0, std::memory_order_relaxed);
    owner_word().store(0, std::memory_order_relaxed);
    counts_word().store(0, std::memory_order_release);
  }

 private:
  static constexpr std::uint32_t kUseShift = kMapcountBits;
  static constexpr std::uint32_t kUseMask = 7;
  static constexpr std::uint32_t kExclusive = 1u << 23;
  static constexpr std::uint32_t kDirty = 1u << 24;
  static constexpr std::uint32_t kLocked = 1u << 25;
  static constexpr std::uint32_t kGupMark = 1u << 26;
  /// Tables have no mark of their own.
  static constexpr std::uint32_t kPinsBelow = kGupMark;
  /// Nor have pages of files: whom they belong to nobody asks, and who wrote them is said otherwise.
  static constexpr std::uint32_t kPrepared = kGupMark;
  static constexpr std::uint32_t kUnderWriteback = kExclusive;
  /// A lowest table has at most 512 entries.
  static constexpr unsigned kRssBits = 11;
  static constexpr std::uint32_t kMaxRss = (1u << kRssBits) - 1;
  static constexpr std::uint32_t kSeenShift = 27;
  static constexpr std::uint32_t kSeenMask = 3;
  /// The owner's bits that the index leaves no room for lie here, at their own places.
  static constexpr std::uint32_t kOwnerHighMask = ~((1u << (64 - kIndexBits)) - 1);

  static constexpr FrameUse use_of(std::uint32_t flags) { return static_cast<FrameUse>(flags >> kUseShift & kUseMask); }
  static constexpr Counts split(std::uint32_t word) { return {word & kMaxReferences, word >> kReferenceBits}; }
  static constexpr std::uint32_t join(std::uint32_t references, std::uint32_t pins) {
    return (references & kMaxReferences) | (pins << kReferenceBits);
  }

  static std::uint64_t owner_and_index(std::uint32_t owner, Vpn index) {
    assert(index.value() < (std::uint64_t{1} << kIndexBits));
    return (std::uint64_t{owner} << kIndexBits) | index.value();
  }

  [[nodiscard]] std::atomic_ref<std::uint32_t> counts_word() const { return std::atomic_ref(references_and_pins_); }
  [[nodiscard]] std::atomic_ref<std::uint32_t> flags_word() const { return std::atomic_ref(mapcount_and_flags_); }
  [[nodiscard]] std::atomic_ref<std::uint64_t> owner_word() const { return std::atomic_ref(owner_and_index_); }
  [[nodiscard]] std::uint32_t flags() const { return flags_word().load(order::kFlagsLoad); }

  // The words of references and of flags as one. Processors order accesses of different sizes to one word as they do
  // those of one size; C++ has no word for it.
  using BothWords [[gnu::may_alias]] = std::uint64_t;
  static constexpr std::uint64_t kOneReferenceAndMapcount = std::uint64_t{1} << 32 | 1;
  static_assert(std::endian::native == std::endian::little, "references are the lower half");
  [[nodiscard]] BothWords* both_words() const { return reinterpret_cast<BothWords*>(&references_and_pins_); }

  template <class Change>
  std::uint32_t update_counts(Change&& change) {
    std::uint32_t seen = counts_word().load(std::memory_order_relaxed);
    while (true) {
      const std::uint32_t next = change(split(seen));
      if (counts_word().compare_exchange_weak(seen, next, order::kCountsChange)) return next;
    }
  }
  template <class Change>
  std::uint32_t update_flags(Change&& change) {
    std::uint32_t seen = flags_word().load(std::memory_order_relaxed);
    while (true) {
      const std::uint32_t next = change(seen);
      if (flags_word().compare_exchange_weak(seen, next, order::kFlagsChange)) return next;
    }
  }
  std::uint32_t add_to_mapcount(std::uint32_t count) {
    return update_flags(
               [count](std::uint32_t word) { return (word & ~kMaxMapcount) | ((word + count) & kMaxMapcount); }) &
           kMaxMapcount;
  }
  [[nodiscard]] bool flag(std::uint32_t bit) const { return (flags() & bit) != 0; }
  void set_flag(std::uint32_t bit, bool on) {
    if (on) {
      flags_word().fetch_or(bit, order::kFlagsChange);
    } else {
      flags_word().fetch_and(~bit, order::kFlagsChange);
    }
  }

  // Mutable: an atomic_ref reads through a reference that could write.
  alignas(std::uint64_t) mutable std::uint32_t references_and_pins_ = 0;
  mutable std::uint32_t mapcount_and_flags_ = 0;
  mutable std::uint64_t owner_and_index_ = 0;
};

static_assert(sizeof(FrameDescriptor) == 16);

}  // namespace cowherd
