#pragma once

#include <cstdint>

#include "base/mutant.hpp"
#include "cowherd/flags.hpp"
#include "cowherd/rules.hpp"

namespace cowherd {

// The decisions of Rules applied to one page. Pure functions: no allocation, no locks, no state; safe from any thread.
// Whoever calls them holds whatever keeps FrameState true for as long as the answer is acted upon.

/// What a decision may look at in the large folio that a page is part of: sums over the pages that still are.
struct FolioState {
  bool large = false;
  std::uint32_t references = 0;
  std::uint32_t pins = 0;
  std::uint32_t mapcount = 0;
  /// Of the page that most entries map.
  std::uint32_t most_mapped = 0;
  /// All of these mappings are those of the address space that asks.
  bool mapped_alone = false;

  bool operator==(const FolioState&) const = default;
};

/// What a decision may look at in a frame.
struct FrameState {
  /// Every mapping, every pin and every get counts one here.
  std::uint32_t references = 0;
  /// References that counts_as_pin() said are pins.
  std::uint32_t pins = 0;
  /// Page-table entries that map the frame.
  std::uint32_t mapcount = 0;
  /// The page belongs to one address space: set for a new page, cleared when fork shares it, set again by a reuse.
  bool exclusive = false;
  /// Private memory's, merged or not.
  bool anon = false;
  /// A page of a file, in the cache.
  bool file = false;
  /// Merged from several (KSM): never exclusive.
  bool merged = false;
  bool zero_page = false;
  /// Sticky: a reference was once taken for writing.
  bool gup_mark = false;
  /// The page is in the swap cache, which holds one of its references.
  bool in_swap_cache = false;
  /// Entries that name its slot.
  std::uint32_t swap_entries = 0;
  /// It is being written to its slot, and cannot leave the swap cache.
  bool writeback = false;
  FolioState folio = {};

  bool operator==(const FrameState&) const = default;
};

/// What a pin adds to Linux's reference count of a small page. Linux: GUP_PIN_COUNTING_BIAS.
inline constexpr std::uint32_t kPinBias = 1024;

/// Whether a reference taken with `flags` is counted in FrameState::pins, and sets the address space's has_pinned.
constexpr bool counts_as_pin(const Rules& rules, PinFlags flags) {
  return !has(flags, PinFlags::kGet) || rules.pin_count == PinCount::kPinAndGet;
}

/// Whether the page counts as pinned. Compare Linux include/linux/mm.h: folio_maybe_dma_pinned().
constexpr bool maybe_pinned(const Rules& rules, const FrameState& frame) {
  // The pins of a large folio are counted apart, for all its pages together, and never guessed.
  const bool whole = frame.folio.large && rules.huge_pins == HugePins::kWhole && !COWHERD_MUTANT(folio_pins_each);
  switch (rules.pinned) {
    case PinnedTest::kNever:
      return false;
    case PinnedTest::kBiased:
      if (whole) return frame.folio.pins != 0;
      return frame.references + std::uint64_t{kPinBias - 1} * frame.pins >= kPinBias;
    case PinnedTest::kExact:
      return whole ? frame.folio.pins != 0 : frame.pins != 0;
    case PinnedTest::kGupMark:
      return frame.gup_mark && frame.references > frame.mapcount;
  }
  return false;
}

/// References that the decision about a write does not count: the swap cache's, where the page may leave it.
constexpr std::uint32_t swap_cache_reference(const Rules& rules, const FrameState& frame) {
  return frame.in_swap_cache && !frame.writeback && frame.swap_entries == 0 && rules.swap_cache == SwapCache::kLeft ? 1
                                                                                                                    : 0;
}

/// Whether the large folio that the page is part of, if any, lets a write fault go on with it where no mark settles
/// that. Compare Linux mm/memory.c: wp_can_reuse_anon_folio().
constexpr bool folio_allows_reuse(const Rules& rules, const FrameState& frame) {
  const FolioState& folio = frame.folio;
  if (!folio.large) return true;
  switch (rules.folio_reuse) {
    case FolioReuse::kPage:
      return true;
    case FolioReuse::kMapcount:
      return folio.most_mapped == 1;
    case FolioReuse::kCount:
      return folio.references == 1 + swap_cache_reference(rules, frame);
    case FolioReuse::kNever:
      return false;
    case FolioReuse::kOwner:
      // With one page left, a copy lets the folio go.
      return (folio.mapped_alone || COWHERD_MUTANT(folio_reuse_ignores_others)) && folio.mapcount > 1 &&
             folio.references == folio.mapcount;
  }
  return false;
}

/// What a write fault on a present entry without write permission does. An unshare fault asks the same question.
enum class WriteFault : std::uint8_t {
  /// The faulting process goes on with the page, which becomes exclusive.
  kReuse,
  /// The faulting process gets a copy.
  kCopy,
  /// The faulting process keeps the page, and every other mapper gets a copy.
  kCopyToOthers,
  /// Ask again when the page lock is free.
  kWaitForPageLock,
  /// Ask again when no counted read reference is left.
  kWaitForReader,
};

/// The write-fault decision. `page_locked_by_other`: somebody else holds the page lock now. `first_owner`: the faulting
/// address space is the one that first owned the page. `read_pinned`: a counted reference for reading is held.
/// Compare Linux mm/memory.c: do_wp_page().
constexpr WriteFault on_write_fault(const Rules& rules, const FrameState& frame, bool page_locked_by_other,
                                    bool first_owner, bool read_pinned) {
  if (frame.zero_page) return WriteFault::kCopy;

  // A copy takes the page away from under a reader, which is the one thing that kBlockWriter promises not to do.
  const bool blocked = rules.gup_read == GupRead::kBlockWriter && read_pinned;
  const WriteFault copy = blocked ? WriteFault::kWaitForReader : WriteFault::kCopy;
  if (!frame.anon) return copy;
  const WriteFault copy_to_others = blocked ? WriteFault::kWaitForReader : WriteFault::kCopyToOthers;
  const WriteFault locked = rules.page_lock == PageLock::kSleep ? WriteFault::kWaitForPageLock : copy;

  if (frame.merged) {
    const bool last = rules.ksm_reuse == KsmReuse::kCount && frame.references == 1;
    return (last || COWHERD_MUTANT(merged_page_reused)) && !page_locked_by_other ? WriteFault::kReuse : copy;
  }
  switch (rules.reuse) {
    case Reuse::kNever:
      return copy;
    case Reuse::kMapcount:
    case Reuse::kDirected:
      // Mapcounts may only be judged under the page lock, so the lock comes first.
      if (page_locked_by_other) return locked;
      if (frame.mapcount + frame.swap_entries == 1 && folio_allows_reuse(rules, frame)) return WriteFault::kReuse;
      // Who has the page in swap cannot be given a copy.
      return rules.reuse == Reuse::kDirected && first_owner && frame.swap_entries == 0 ? copy_to_others : copy;
    case Reuse::kExclusive:
      if (frame.exclusive && !COWHERD_MUTANT(reuse_ignores_mark)) return WriteFault::kReuse;
      [[fallthrough]];
    case Reuse::kCount:
      // Another reference settles it without the lock.
      if (const std::uint32_t counted = frame.references - swap_cache_reference(rules, frame);
          counted != 1 && !(COWHERD_MUTANT(reuse_ignores_a_reference) && counted == 2)) {
        return copy;
      }
      if (!folio_allows_reuse(rules, frame)) return copy;
      return page_locked_by_other ? locked : WriteFault::kReuse;
  }
  return copy;
}

/// What a decision may look at in a huge page.
struct HugeState {
  /// Huge entries that map it.
  std::uint32_t mapcount = 0;
  /// A small entry maps one of its pages, or one was merged with others.
  bool mapped_by_pieces = false;
  /// Somebody has a reference to one of its pages besides the huge entries.
  bool referenced = false;
  /// All its pages are marked exclusive.
  bool exclusive = false;
  bool zero_page = false;
};

/// What a write fault on a huge entry without write permission does.
enum class HugeFault : std::uint8_t {
  /// The address space goes on with it, and all its pages become exclusive.
  kReuse,
  kCopyWhole,
  /// Its pages are mapped one by one, and on_write_fault() says more.
  kSplit,
};

/// Compare Linux mm/huge_memory.c: do_huge_pmd_wp_page().
constexpr HugeFault on_huge_write_fault(const Rules& rules, const HugeState& page) {
  const bool alone = page.mapcount == 1 && (!page.mapped_by_pieces || COWHERD_MUTANT(huge_reuse_ignores_pieces));
  bool reuse = false;
  switch (rules.huge_reuse) {
    case HugeReuse::kMapcount:
      reuse = alone;
      break;
    case HugeReuse::kExclusive:
      reuse = alone && page.exclusive;
      [[fallthrough]];
    case HugeReuse::kCount:
      reuse = reuse || (alone && (!page.referenced || COWHERD_MUTANT(huge_reuse_ignores_references)));
      break;
  }
  if (page.zero_page && !COWHERD_MUTANT(huge_zero_page_reused))
    return rules.huge_zero == HugeZero::kWhole ? HugeFault::kCopyWhole : HugeFault::kSplit;
  if (reuse) return HugeFault::kReuse;
  return rules.huge_copy == HugeCopy::kWhole ? HugeFault::kCopyWhole : HugeFault::kSplit;
}

/// What fork as a whole does before it touches a page.
enum class ForkStart : std::uint8_t {
  kGo,
  /// Fail with EBUSY.
  kRefuse,
  /// Ask again when a pin has been let go.
  kWait,
};

/// Whether fork asks pages about pins at all; `mm_has_pinned` says that a counted pin was ever taken in this address
/// space. Compare Linux include/linux/mm.h: MMF_HAS_PINNED.
constexpr bool fork_checks_pins(const Rules& rules, bool mm_has_pinned) {
  if (rules.fork_pinned == ForkPinned::kShare || rules.fork_pinned == ForkPinned::kCopyAll) return false;
  return rules.fork_gate == ForkGate::kAlways || mm_has_pinned;
}

/// Decided once per fork. `any_page_pinned`: maybe_pinned() holds for some page that this fork would share.
constexpr ForkStart on_fork_start(const Rules& rules, bool mm_has_pinned, bool any_page_pinned) {
  if (!any_page_pinned || !fork_checks_pins(rules, mm_has_pinned)) return ForkStart::kGo;
  if (rules.fork_pinned == ForkPinned::kRefuse) return ForkStart::kRefuse;
  if (rules.fork_pinned == ForkPinned::kWait) return ForkStart::kWait;
  return ForkStart::kGo;
}

enum class ForkPage : std::uint8_t {
  /// Parent and child map the page, write-protected; it stops being exclusive.
  kShare,
  /// The child gets its own copy now (the early copy); the parent's page stays exclusive.
  kCopy,
};

/// What fork may look at in the parent's entry.
struct EntryState {
  bool writable = false;
  bool dirty = false;
};

/// Decided per present entry of a private mapping. `entry_holds_pin`: some page of the same mapping counts as pinned;
/// only kCopyEntry looks at it. Compare Linux mm/memory.c: copy_present_ptes().
constexpr ForkPage on_fork(const Rules& rules, const FrameState& frame, EntryState entry, bool mm_has_pinned,
                           bool entry_holds_pin) {
  if (frame.file && rules.fork_file == ForkFile::kCopy && !COWHERD_MUTANT(fork_shares_pinned_file_page)) {
    return fork_checks_pins(rules, mm_has_pinned) && maybe_pinned(rules, frame) ? ForkPage::kCopy : ForkPage::kShare;
  }
  if (frame.zero_page || !frame.anon) return ForkPage::kShare;
  if (rules.fork_pinned == ForkPinned::kCopyAll) return ForkPage::kCopy;
  if (!fork_checks_pins(rules, mm_has_pinned)) return ForkPage::kShare;

  bool copy = false;
  switch (rules.fork_pinned) {
    case ForkPinned::kCopyEntry:
      return entry_holds_pin ? ForkPage::kCopy : ForkPage::kShare;
    case ForkPinned::kCopy:
      copy = maybe_pinned(rules, frame);
      break;
    case ForkPinned::kCopyExclusive:
      copy =
          frame.exclusive && maybe_pinned(rules, frame) && !(COWHERD_MUTANT(fork_ignores_one_pin) && frame.pins == 1);
      break;
    case ForkPinned::kShare:
    case ForkPinned::kCopyAll:
    case ForkPinned::kRefuse:
    case ForkPinned::kWait:
      break;
  }
  if (rules.copy_only_if == CopyOnlyIf::kMappedOnceAndDirty) copy = copy && frame.mapcount == 1 && entry.dirty;
  if (rules.copy_only_if == CopyOnlyIf::kWritableEntry) copy = copy && entry.writable;
  return copy ? ForkPage::kCopy : ForkPage::kShare;
}

/// Whether on_fork() shares every page whose state has no pins, whatever else is true of it: whoever asks about many
/// pages asks this once.
constexpr bool shares_unpinned(const Rules& rules) {
  switch (rules.fork_pinned) {
    case ForkPinned::kCopy:
    case ForkPinned::kCopyExclusive:
      return rules.pinned == PinnedTest::kNever || rules.pinned == PinnedTest::kExact;
    case ForkPinned::kShare:
    case ForkPinned::kRefuse:
    case ForkPinned::kWait:
      return true;
    case ForkPinned::kCopyEntry:
    case ForkPinned::kCopyAll:
      break;
  }
  return false;
}

/// What a write fault on a hugetlb page without write permission does: never kWaitForPageLock, nor kCopyToOthers. An
/// unshare fault asks the same question. Compare Linux mm/hugetlb.c: hugetlb_wp().
constexpr WriteFault on_hugetlb_write_fault(const Rules& rules, const FrameState& page) {
  const bool unheld = page.references == 1 || COWHERD_MUTANT(hugetlb_reuse_ignores_references);
  bool reuse = false;
  switch (rules.hugetlb_reuse) {
    case HugetlbReuse::kCount:
      reuse = unheld;
      break;
    case HugetlbReuse::kMapcount:
      reuse = page.mapcount == 1;
      break;
    case HugetlbReuse::kMapcountAnon:
      reuse = page.anon && page.mapcount == 1;
      break;
    case HugetlbReuse::kExclusive:
      reuse = page.anon && (page.exclusive || (page.mapcount == 1 && unheld));
      break;
  }
  if (reuse) return WriteFault::kReuse;
  const bool blocked = rules.gup_read == GupRead::kBlockWriter && page.pins != 0;
  return blocked ? WriteFault::kWaitForReader : WriteFault::kCopy;
}

/// As on_fork(), for a hugetlb page, whose pins are always counted exactly. Compare Linux mm/hugetlb.c:
/// copy_hugetlb_page_range().
constexpr ForkPage on_fork_hugetlb(const Rules& rules, const FrameState& page, EntryState entry, bool mm_has_pinned,
                                   bool entry_holds_pin) {
  if (rules.hugetlb_fork == HugetlbFork::kShare || COWHERD_MUTANT(hugetlb_fork_ignores_pins)) return ForkPage::kShare;
  Rules exact = rules;
  if (exact.pinned == PinnedTest::kBiased) exact.pinned = PinnedTest::kExact;
  return on_fork(exact, page, entry, mm_has_pinned, entry_holds_pin);
}

/// Whether a reference to a page of a shared mapping is refused; `tracked`: the file system has to hear of every write.
/// Compare Linux mm/gup.c: writable_file_mapping_allowed().
constexpr bool gup_refuses_file(const Rules& rules, PinFlags flags, bool tracked) {
  return tracked && rules.longterm_file == LongtermFile::kRefuse && has(flags, PinFlags::kWrite | PinFlags::kLongTerm);
}

/// Whether a reference taken with `flags` to a page in movable memory has it moved to normal memory first.
constexpr bool gup_leaves_movable(const Rules& rules, PinFlags flags) {
  return rules.longterm_movable == LongtermMovable::kMigrate && has(flags, PinFlags::kLongTerm);
}

/// Whether writeback goes on taking the page for dirty. Asked when nobody can write it through an entry any more.
constexpr bool stays_dirty(const Rules& rules, const FrameState& frame) {
  return rules.writeback_pinned == WritebackPinned::kKeepDirty && maybe_pinned(rules, frame) &&
         !COWHERD_MUTANT(writeback_ignores_pins);
}

/// Whether a reference taken with `flags` must find or make a page that the owner may write, as a write fault does.
/// `private_mapping`: writes to the mapping are copied; true too for who does not know.
constexpr bool gup_as_write(const Rules& rules, PinFlags flags, bool private_mapping = true) {
  return has(flags, PinFlags::kWrite) || (rules.gup_read == GupRead::kWriteFault && private_mapping);
}

/// Whether the page that a look-up found has to be replaced by one of the owner's own (an unshare fault) before the
/// reference is given out. A writable entry is proof that the page is the owner's. `private_mapping` as for
/// gup_as_write(). Compare Linux mm/internal.h: gup_must_unshare().
constexpr bool gup_needs_unshare(const Rules& rules, const FrameState& frame, PinFlags flags, bool entry_writable,
                                 bool private_mapping = true) {
  if (has(flags, PinFlags::kWrite) || entry_writable || !private_mapping) return false;
  const bool counted = counts_as_pin(rules, flags);
  const bool shared = frame.anon && !frame.zero_page && !frame.exclusive && !COWHERD_MUTANT(pin_keeps_shared_page);
  switch (rules.gup_read) {
    case GupRead::kPlain:
    case GupRead::kWriteFault:
      return false;
    case GupRead::kUnshareAnon:
      return counted && shared;
    case GupRead::kUnshareAny:
      return counted && (shared || (has(flags, PinFlags::kLongTerm) &&
                                    ((frame.zero_page && !COWHERD_MUTANT(pin_keeps_zero_page)) ||
                                     (frame.file && !COWHERD_MUTANT(pin_keeps_file_page)))));
    case GupRead::kUnshareAlways:
      return shared || frame.zero_page || frame.file;
    case GupRead::kBlockWriter:
      return counted && frame.zero_page;
  }
  return false;
}

/// Whether a page that a fault brings from swap becomes the faulting process's alone, which may write it at once where
/// that is what it wants. `frame.references` leaves the fault's own reference out, `frame.swap_entries` has the
/// faulting entry in; `entry_exclusive`: what that says. Compare Linux mm/memory.c: do_swap_page().
constexpr bool swapped_in_exclusive(const Rules& rules, const FrameState& frame, bool entry_exclusive, bool write) {
  const bool alone = frame.references == (frame.in_swap_cache ? 1u : 0u) && frame.swap_entries == 1 && !frame.writeback;
  switch (rules.swap_reuse) {
    case SwapReuse::kNever:
      return false;
    case SwapReuse::kMapcount:
      return write && frame.mapcount + frame.swap_entries == 1;
    case SwapReuse::kExclusive:
      if (entry_exclusive && !COWHERD_MUTANT(swap_in_ignores_mark)) return true;
      [[fallthrough]];
    case SwapReuse::kCount:
      // To leave the swap cache is worth it only to who writes.
      return (alone || (COWHERD_MUTANT(swap_in_ignores_a_reference) && frame.swap_entries == 1)) &&
             (write || !frame.in_swap_cache);
  }
  return false;
}

/// Whether reclaim may take the page from those who map it. `frame.references` leaves reclaim's own out.
/// Compare Linux mm/vmscan.c: shrink_folio_list().
constexpr bool may_reclaim(const Rules& rules, const FrameState& frame) {
  switch (rules.reclaim_pinned) {
    case ReclaimPinned::kUnmap:
      return true;
    case ReclaimPinned::kSkipReferenced:
      return frame.file || frame.references == frame.mapcount + (frame.in_swap_cache ? 1u : 0u);
    case ReclaimPinned::kSkip:
      return !maybe_pinned(rules, frame) || COWHERD_MUTANT(reclaim_takes_pinned);
  }
  return false;
}

/// Whether a large folio goes to swap in one piece. `huge`: a huge entry maps all of it. Compare Linux
/// mm/vmscan.c: shrink_folio_list().
constexpr bool goes_out_whole(const Rules& rules, bool huge) {
  return rules.folio_swap == FolioSwap::kWhole || (rules.folio_swap == FolioSwap::kHuge && huge);
}

/// Whether a page under MADV_FREE that nobody is known to have written may be thrown away. `frame.references` leaves
/// reclaim's own out. Compare Linux mm/rmap.c: try_to_unmap_one().
constexpr bool may_discard(const Rules& rules, const FrameState& frame) {
  return rules.lazy_free == LazyFree::kNotDirty || frame.references == frame.mapcount ||
         COWHERD_MUTANT(discard_ignores_references);
}

/// Whether FOLL_FORCE may write through an entry without write permission. `faulted_for_write_in_this_call`: a write
/// fault at this address succeeded earlier in the same call, whatever has happened to the entry since.
/// Compare Linux mm/gup.c: can_follow_write_pte().
constexpr bool can_force_write(const Rules& rules, const FrameState& frame, bool entry_dirty,
                               bool faulted_for_write_in_this_call) {
  switch (rules.gup_force) {
    case GupForce::kRetryAsRead:
      return faulted_for_write_in_this_call;
    case GupForce::kDirtyEntry:
      return entry_dirty;
    case GupForce::kDirtyAfterFault:
      return entry_dirty && faulted_for_write_in_this_call;
    case GupForce::kExclusive:
      return frame.anon && !frame.zero_page && (frame.exclusive || COWHERD_MUTANT(force_without_mark));
  }
  return false;
}

}  // namespace cowherd
