#pragma once

#include "cowherd/rules.hpp"

namespace cowherd::rows {

// The decisions of every row, each row as a difference to an older one. A row that never copies early leaves the
// decisions about the early copy at cowherd's values: they have no effect there.

template <class Change>
constexpr Rules changed(Rules base, Change change) {
  change(base);
  return base;
}

inline constexpr Rules kR0 = changed(Rules{}, [](Rules& r) {
  r.reuse = Reuse::kCount;
  r.page_lock = PageLock::kTryElseCopy;
  r.fork_pinned = ForkPinned::kShare;
  r.fork_gate = ForkGate::kAlways;
  r.pinned = PinnedTest::kNever;
  r.pin_count = PinCount::kPin;
  r.gup_read = GupRead::kPlain;
  r.gup_force = GupForce::kRetryAsRead;
  r.zero_page = ZeroPage::kUncounted;
  r.ref_overflow = RefOverflow::kWrap;
  r.protect_upgrade = ProtectUpgrade::kFaultLater;
  r.fork_sequence = ForkSequence::kNone;
  r.gup_recheck = GupRecheck::kEntry;
  r.clear_refs_lock = ClearRefsLock::kRead;
  r.clear_refs_pinned = ClearRefsPinned::kProtect;
  r.longterm_movable = LongtermMovable::kInPlace;
  r.writeback_pinned = WritebackPinned::kClean;
  r.dirty_unprepared = DirtyUnprepared::kBug;
  r.numa_skip = NumaSkip::kShared;
  r.gup_hint = GupHint::kFault;
  r.swap_reuse = SwapReuse::kCount;
  r.swap_exclusive = SwapExclusive::kForgotten;
  r.reclaim_pinned = ReclaimPinned::kSkipReferenced;
  r.reclaim_unmap = ReclaimUnmap::kAnyway;
  r.lazy_free = LazyFree::kNotDirty;
  r.fast_dirty = FastDirty::kAtRelease;
  r.migrate_unmap = MigrateUnmap::kAnyway;
  r.huge_reuse = HugeReuse::kMapcount;
  r.huge_copy = HugeCopy::kWhole;
  r.huge_pins = HugePins::kWhole;
  r.huge_touch = HugeTouch::kDirty;
  r.folio_swap = FolioSwap::kSplit;
  r.hugetlb_reuse = HugetlbReuse::kCount;
  r.hugetlb_fork = HugetlbFork::kShare;
  r.hugetlb_force = HugetlbForce::kWrite;
  r.hugetlb_sequence = HugetlbSequence::kIgnored;
  r.uffd_fork = UffdFork::kByParent;
  r.uffd_remap = UffdRemap::kKeep;
  r.uffd_flush = UffdFlush::kAfterUnlock;
  r.uffd_wp_file = UffdWpFile::kRefuse;
  r.uffd_wp_absent = UffdWpAbsent::kRefuse;
  r.ksm_break = KsmBreak::kWriteFault;
});
inline constexpr Rules kR1 = changed(kR0, [](Rules& r) {
  r.reuse = Reuse::kMapcount;
  r.zero_page = ZeroPage::kCounted;
  r.swap_reuse = SwapReuse::kMapcount;
  r.reclaim_pinned = ReclaimPinned::kUnmap;
});
inline constexpr Rules kR1Rc5 = changed(kR1, [](Rules& r) { r.gup_force = GupForce::kDirtyEntry; });
inline constexpr Rules kR2 = changed(kR1, [](Rules& r) { r.page_lock = PageLock::kSleep; });
inline constexpr Rules kLinux3_2 = changed(kR2, [](Rules& r) {
  r.remap_flush = RemapFlush::kLate;
  r.hugetlb_reuse = HugetlbReuse::kMapcount;
});
inline constexpr Rules kR3 = changed(kLinux3_2, [](Rules& r) {
  r.folio_reuse = FolioReuse::kMapcount;
  r.gup_force = GupForce::kDirtyAfterFault;
  r.huge_split = HugeSplit::kCountsLate;
  r.hugetlb_reuse = HugetlbReuse::kMapcountAnon;
});
inline constexpr Rules kLinux4_15 = changed(kR3, [](Rules& r) {
  r.huge_touch = HugeTouch::kAccessed;
  r.folio_swap = FolioSwap::kHuge;
});
inline constexpr Rules kLinux4_19 = changed(kLinux4_15, [](Rules& r) { r.remap_flush = RemapFlush::kEarly; });
inline constexpr Rules kR3b = changed(kLinux4_19, [](Rules& r) {
  r.ref_overflow = RefOverflow::kRefuse;
  r.ksm_reuse = KsmReuse::kCount;
});
inline constexpr Rules kR3c = changed(kR3b, [](Rules& r) { r.pinned = PinnedTest::kBiased; });
inline constexpr Rules kR4 = changed(kR3c, [](Rules& r) {
  r.gup_read = GupRead::kWriteFault;
  r.huge_split = HugeSplit::kCountsFirst;
});
inline constexpr Rules kLinux5_6_19 = changed(kR4, [](Rules& r) { r.pinned = PinnedTest::kNever; });
inline constexpr Rules kR5 = changed(kR4, [](Rules& r) {
  r.folio_reuse = FolioReuse::kCount;
  r.reuse = Reuse::kCount;
  r.page_lock = PageLock::kTryElseCopy;
  r.gup_read = GupRead::kPlain;
  r.ksm_reuse = KsmReuse::kNever;
  r.swap_cache = SwapCache::kCounted;
  r.huge_copy = HugeCopy::kSplit;
  r.huge_zero = HugeZero::kSplit;
});
inline constexpr Rules kR6 = changed(kR5, [](Rules& r) {
  r.fork_pinned = ForkPinned::kCopy;
  r.fork_gate = ForkGate::kHasPinned;
  r.fork_source = ForkSource::kProtectThenRestore;
  r.fork_file = ForkFile::kCopy;
});
inline constexpr Rules kR7 = changed(kR6, [](Rules& r) { r.fork_source = ForkSource::kUntouched; });
inline constexpr Rules kLinux5_10_7 = changed(kR7, [](Rules& r) { r.fork_sequence = ForkSequence::kCounted; });
inline constexpr Rules kR8 = changed(kLinux5_10_7, [](Rules& r) {
  r.clear_refs_lock = ClearRefsLock::kWrite;
  r.clear_refs_pinned = ClearRefsPinned::kSkip;
  r.reclaim_pinned = ReclaimPinned::kSkip;
});
inline constexpr Rules kLinux5_12 = changed(kR8, [](Rules& r) { r.uffd_flush = UffdFlush::kBeforeUnlock; });
inline constexpr Rules kR9 = changed(kLinux5_12, [](Rules& r) {
  r.hugetlb_fork = HugetlbFork::kAsSmall;
  r.longterm_movable = LongtermMovable::kMigrate;
});
inline constexpr Rules kLinux5_14 = changed(kR9, [](Rules& r) { r.uffd_fork = UffdFork::kByChild; });
inline constexpr Rules kLinux5_16 = changed(kLinux5_14, [](Rules& r) { r.uffd_continue = UffdContinue::kDirty; });
inline constexpr Rules kLinux5_17 = changed(kLinux5_16, [](Rules& r) { r.numa_skip = NumaSkip::kHeld; });
inline constexpr Rules kR10 = changed(kLinux5_17, [](Rules& r) {
  r.dirty_unprepared = DirtyUnprepared::kSkip;
  r.swap_reuse = SwapReuse::kCount;
  r.swap_cache = SwapCache::kLeft;
  r.lazy_free = LazyFree::kUnreferenced;
  r.huge_reuse = HugeReuse::kCount;
});
inline constexpr Rules kR11 = changed(kR10, [](Rules& r) {
  r.fork_file = ForkFile::kShare;
  r.reuse = Reuse::kExclusive;
  r.fork_pinned = ForkPinned::kCopyExclusive;
  r.gup_read = GupRead::kUnshareAnon;
  r.swap_reuse = SwapReuse::kExclusive;
  r.huge_reuse = HugeReuse::kExclusive;
  r.swap_exclusive = SwapExclusive::kKept;
  r.reclaim_unmap = ReclaimUnmap::kTryShare;
  r.migrate_unmap = MigrateUnmap::kTryShare;
  r.hugetlb_sequence = HugetlbSequence::kAsSmall;
  r.uffd_wp_file = UffdWpFile::kMarker;
});
inline constexpr Rules kLinux5_19_6 = changed(kR11, [](Rules& r) { r.gup_force = GupForce::kExclusive; });
inline constexpr Rules kLinux6_0Rc1 = changed(kR11, [](Rules& r) { r.protect_upgrade = ProtectUpgrade::kMapWritable; });
inline constexpr Rules kR12 = changed(kLinux6_0Rc1, [](Rules& r) { r.gup_force = GupForce::kExclusive; });
inline constexpr Rules kLinux6_1 = changed(kR12, [](Rules& r) {
  r.gup_recheck = GupRecheck::kEntryAndTable;
  r.gup_hint = GupHint::kFollow;
});
inline constexpr Rules kR13 = changed(kLinux6_1, [](Rules& r) {
  r.gup_read = GupRead::kUnshareAny;
  r.hugetlb_force = HugetlbForce::kRefuse;
  r.ksm_break = KsmBreak::kUnshare;
});
inline constexpr Rules kLinux6_4 = changed(kR13, [](Rules& r) { r.uffd_wp_absent = UffdWpAbsent::kMarker; });
inline constexpr Rules kR14 = changed(kLinux6_4, [](Rules& r) {
  r.zero_page = ZeroPage::kUncounted;
  r.longterm_file = LongtermFile::kRefuse;
});
inline constexpr Rules kR15 = changed(kR14, [](Rules& r) { r.folio_reuse = FolioReuse::kNever; });
inline constexpr Rules kLinux6_10 = changed(kR15, [](Rules& r) { r.folio_swap = FolioSwap::kWhole; });
inline constexpr Rules kLinux6_13 = changed(kLinux6_10, [](Rules& r) {
  r.uffd_remap = UffdRemap::kDrop;
  r.huge_zero = HugeZero::kWhole;
});
inline constexpr Rules kR16 = changed(kLinux6_13, [](Rules& r) {
  r.folio_reuse = FolioReuse::kOwner;
  r.lazy_restore = LazyRestore::kFirst;
});
inline constexpr Rules kLinux7_0 = changed(kR16, [](Rules& r) { r.lazy_restore = LazyRestore::kEach; });

/// R5 with the patch of the mail of 17 September 2020 on top.
inline constexpr Rules kSketch = changed(kR5, [](Rules& r) {
  r.fork_pinned = ForkPinned::kCopy;
  r.copy_only_if = CopyOnlyIf::kWritableEntry;
  r.copy_accounting = CopyAccounting::kSourcePage;
  r.copy_rmap = CopyRmap::kNone;
  r.copy_entry = CopyEntry::kProtectionOnly;
  r.copy_alloc = CopyAlloc::kUnderLock;
  r.copy_failure = CopyFailure::kReturnLocked;
});
inline constexpr Rules kX2 = changed(kR5, [](Rules& r) {
  r.fork_pinned = ForkPinned::kCopy;
  r.fork_source = ForkSource::kProtectThenRestore;
});
inline constexpr Rules kX3 = changed(kX2, [](Rules& r) {
  r.copy_only_if = CopyOnlyIf::kMappedOnceAndDirty;
  r.copy_alloc = CopyAlloc::kAtomic;
});
inline constexpr Rules kX4 = changed(kR2, [](Rules& r) {
  r.fork_pinned = ForkPinned::kCopy;
  r.pinned = PinnedTest::kGupMark;
  r.pin_count = PinCount::kPinAndGet;
});
inline constexpr Rules kX5 = changed(kX4, [](Rules& r) { r.fork_gate = ForkGate::kHasPinned; });
inline constexpr Rules kX6 = changed(kR2, [](Rules& r) {
  r.reuse = Reuse::kDirected;
  r.reclaim_pinned = ReclaimPinned::kSkipReferenced;
});
inline constexpr Rules kX7 = changed(kR8, [](Rules& r) {
  r.fork_file = ForkFile::kShare;
  r.reuse = Reuse::kMapcount;
  r.folio_reuse = FolioReuse::kMapcount;
  r.page_lock = PageLock::kSleep;
  r.gup_read = GupRead::kUnshareAlways;
  r.swap_cache = SwapCache::kLeft;
});
inline constexpr Rules kX9 = changed(kCowherdRules, [](Rules& r) {
  r.fork_pinned = ForkPinned::kCopyAll;
  r.fork_gate = ForkGate::kAlways;
});

// What was not read about a peer stays at cowherd's value: so do fast pins, clear_refs, flushes, swap. A page lock that
// a peer does not have is one to wait for: then nobody copies because of it.
inline constexpr Rules kPeer = changed(kCowherdRules, [](Rules& r) {
  r.reuse = Reuse::kMapcount;
  r.page_lock = PageLock::kSleep;
  r.fork_gate = ForkGate::kAlways;
  r.protect_upgrade = ProtectUpgrade::kFaultLater;
  r.huge_reuse = HugeReuse::kCount;
});
inline constexpr Rules kNone = changed(kPeer, [](Rules& r) {
  r.reuse = Reuse::kCount;
  r.fork_pinned = ForkPinned::kShare;
  r.pinned = PinnedTest::kNever;
  r.pin_count = PinCount::kPin;
  r.gup_read = GupRead::kPlain;
});
inline constexpr Rules kRefuse = changed(kPeer, [](Rules& r) { r.fork_pinned = ForkPinned::kRefuse; });
inline constexpr Rules kWait = changed(kPeer, [](Rules& r) {
  r.fork_pinned = ForkPinned::kWait;
  r.gup_read = GupRead::kPlain;
});
inline constexpr Rules kEntry = changed(kPeer, [](Rules& r) {
  r.fork_pinned = ForkPinned::kCopyEntry;
  r.pin_count = PinCount::kPin;
});
inline constexpr Rules kPage = changed(kPeer, [](Rules& r) {
  r.reuse = Reuse::kExclusive;
  r.fork_pinned = ForkPinned::kCopy;
});
inline constexpr Rules kSerenity = changed(kNone, [](Rules& r) {
  r.reuse = Reuse::kExclusive;
  r.protect_upgrade = ProtectUpgrade::kMapWritable;
});
inline constexpr Rules kSv6 = changed(kSerenity, [](Rules& r) { r.reuse = Reuse::kNever; });
inline constexpr Rules kHaiku = changed(kPage, [](Rules& r) {
  r.reuse = Reuse::kMapcount;
  r.gup_read = GupRead::kBlockWriter;
});
inline constexpr Rules kGvisor = changed(kPage, [](Rules& r) { r.fork_gate = ForkGate::kHasPinned; });

}  // namespace cowherd::rows
