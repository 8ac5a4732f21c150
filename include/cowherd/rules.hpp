#pragma once

#include <cstdint>

#include "cowherd/rule_values.hpp"

namespace cowherd {

/// The decisions of one kernel: data, compared and copied as such.
struct Rules {
  Reuse reuse = Reuse::kExclusive;
  PageLock page_lock = PageLock::kTryElseCopy;
  ForkPinned fork_pinned = ForkPinned::kCopyExclusive;
  ForkGate fork_gate = ForkGate::kHasPinned;
  PinnedTest pinned = PinnedTest::kExact;
  PinCount pin_count = PinCount::kPinAndGet;
  ForkSource fork_source = ForkSource::kUntouched;
  CopyOnlyIf copy_only_if = CopyOnlyIf::kAlways;
  CopyAccounting copy_accounting = CopyAccounting::kNewPage;
  CopyRmap copy_rmap = CopyRmap::kChild;
  CopyEntry copy_entry = CopyEntry::kDirtyWritable;
  CopyAlloc copy_alloc = CopyAlloc::kPrealloc;
  CopyFailure copy_failure = CopyFailure::kUnwind;
  GupRead gup_read = GupRead::kUnshareAny;
  GupForce gup_force = GupForce::kExclusive;
  ZeroPage zero_page = ZeroPage::kUncounted;
  RefOverflow ref_overflow = RefOverflow::kRefuse;
  ProtectUpgrade protect_upgrade = ProtectUpgrade::kMapWritable;
  ForkSequence fork_sequence = ForkSequence::kCounted;
  GupRecheck gup_recheck = GupRecheck::kEntryAndTable;
  ExclusiveClear exclusive_clear = ExclusiveClear::kClearThenTest;
  ClearRefsLock clear_refs_lock = ClearRefsLock::kWrite;
  ClearRefsPinned clear_refs_pinned = ClearRefsPinned::kSkip;
  TlbFlush tlb_flush = TlbFlush::kBeforeUnlock;
  PreallocUse prealloc_use = PreallocUse::kFreeUnused;
  RemapFlush remap_flush = RemapFlush::kEarly;
  ForkFile fork_file = ForkFile::kShare;
  LongtermFile longterm_file = LongtermFile::kAllow;
  WritebackPinned writeback_pinned = WritebackPinned::kKeepDirty;
  DirtyUnprepared dirty_unprepared = DirtyUnprepared::kWrite;
  NumaSkip numa_skip = NumaSkip::kHeld;
  GupHint gup_hint = GupHint::kFollow;
  KsmReuse ksm_reuse = KsmReuse::kNever;
  KsmProtect ksm_protect = KsmProtect::kClearThenTest;
  SwapReuse swap_reuse = SwapReuse::kExclusive;
  SwapExclusive swap_exclusive = SwapExclusive::kKept;
  SwapCache swap_cache = SwapCache::kLeft;
  SwapIn swap_in = SwapIn::kThroughCache;
  ReclaimPinned reclaim_pinned = ReclaimPinned::kSkip;
  ReclaimUnmap reclaim_unmap = ReclaimUnmap::kTryShare;
  LazyFree lazy_free = LazyFree::kUnreferenced;
  FastDirty fast_dirty = FastDirty::kAtOnce;
  MigrateUnmap migrate_unmap = MigrateUnmap::kTryShare;
  HugeReuse huge_reuse = HugeReuse::kExclusive;
  HugeCopy huge_copy = HugeCopy::kSplit;
  HugePins huge_pins = HugePins::kEach;
  HugeTouch huge_touch = HugeTouch::kAccessed;
  HugetlbReuse hugetlb_reuse = HugetlbReuse::kExclusive;
  HugetlbFork hugetlb_fork = HugetlbFork::kAsSmall;
  HugetlbForce hugetlb_force = HugetlbForce::kRefuse;
  HugetlbSequence hugetlb_sequence = HugetlbSequence::kAsSmall;
  UffdFork uffd_fork = UffdFork::kByChild;
  UffdRemap uffd_remap = UffdRemap::kDrop;
  UffdFlush uffd_flush = UffdFlush::kBeforeUnlock;
  UffdContinue uffd_continue = UffdContinue::kDirtyIfWritable;
  KsmBreak ksm_break = KsmBreak::kUnshare;

  bool operator==(const Rules&) const = default;
};

/// One name for each decision, in the order of the members of Rules.
enum class Decision : std::uint8_t {
  kReuse,
  kPageLock,
  kForkPinned,
  kForkGate,
  kPinned,
  kPinCount,
  kForkSource,
  kCopyOnlyIf,
  kCopyAccounting,
  kCopyRmap,
  kCopyEntry,
  kCopyAlloc,
  kCopyFailure,
  kGupRead,
  kGupForce,
  kZeroPage,
  kRefOverflow,
  kProtectUpgrade,
  kForkSequence,
  kGupRecheck,
  kExclusiveClear,
  kClearRefsLock,
  kClearRefsPinned,
  kTlbFlush,
  kPreallocUse,
  kRemapFlush,
  kForkFile,
  kLongtermFile,
  kWritebackPinned,
  kDirtyUnprepared,
  kNumaSkip,
  kGupHint,
  kKsmReuse,
  kKsmProtect,
  kSwapReuse,
  kSwapExclusive,
  kSwapCache,
  kSwapIn,
  kReclaimPinned,
  kReclaimUnmap,
  kLazyFree,
  kFastDirty,
  kMigrateUnmap,
  kHugeReuse,
  kHugeCopy,
  kHugePins,
  kHugeTouch,
  kHugetlbReuse,
  kHugetlbFork,
  kHugetlbForce,
  kHugetlbSequence,
  kUffdFork,
  kUffdRemap,
  kUffdFlush,
  kUffdContinue,
  kKsmBreak,
};
inline constexpr std::uint8_t kDecisionCount = 56;

/// The `cowherd` row: the default of every tool. Equal to Rules{}.
inline constexpr Rules kCowherdRules{};

}  // namespace cowherd
