#include "cow/decision_table.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace cowherd {
namespace {

TEST(DecisionTable, IsInTheOrderOfTheDecisions) {
  ASSERT_EQ(decision_table().size(), kDecisionCount);
  for (std::uint8_t i = 0; i < kDecisionCount; ++i) EXPECT_EQ(decision_table()[i].id, Decision{i});
}

TEST(DecisionTable, EachDecisionChangesItsOwnMemberAlone) {
  for (const DecisionInfo& info : decision_table()) {
    for (std::uint8_t value = 0; value < info.values.size(); ++value) {
      Rules rules;
      info.set(rules, value);
      EXPECT_EQ(info.get(rules), value) << info.name;
      EXPECT_EQ(value_name(info.id, rules), info.values[value].name);
      EXPECT_EQ(value_meaning(info.id, rules), info.values[value].meaning);
      for (const DecisionInfo& other : decision_table()) {
        if (other.id == info.id) continue;
        EXPECT_EQ(other.get(rules), other.get(Rules{})) << info.name << " and " << other.name;
      }
    }
  }
}

// Spelt by hand: a value that moves in the enum, or a name that moves in the table, is seen here.
TEST(DecisionTable, NamesMeanTheirEnumerators) {
  Rules rules;
  rules.reuse = Reuse::kDirected;
  rules.page_lock = PageLock::kSleep;
  rules.fork_pinned = ForkPinned::kWait;
  rules.fork_gate = ForkGate::kHasPinned;
  rules.pinned = PinnedTest::kGupMark;
  rules.pin_count = PinCount::kPinAndGet;
  rules.fork_source = ForkSource::kProtectThenRestore;
  rules.copy_only_if = CopyOnlyIf::kWritableEntry;
  rules.copy_accounting = CopyAccounting::kSourcePage;
  rules.copy_rmap = CopyRmap::kNone;
  rules.copy_entry = CopyEntry::kProtectionOnly;
  rules.copy_alloc = CopyAlloc::kUnderLock;
  rules.copy_failure = CopyFailure::kReturnLocked;
  rules.gup_read = GupRead::kBlockWriter;
  rules.gup_force = GupForce::kExclusive;
  rules.zero_page = ZeroPage::kUncounted;
  rules.ref_overflow = RefOverflow::kRefuse;
  rules.protect_upgrade = ProtectUpgrade::kMapWritable;
  rules.fork_sequence = ForkSequence::kCounted;
  rules.gup_recheck = GupRecheck::kEntryAndTable;
  rules.exclusive_clear = ExclusiveClear::kClearThenTest;
  rules.clear_refs_lock = ClearRefsLock::kWrite;
  rules.clear_refs_pinned = ClearRefsPinned::kSkip;
  rules.tlb_flush = TlbFlush::kAfterUnlock;
  rules.prealloc_use = PreallocUse::kKeepForNext;
  rules.remap_flush = RemapFlush::kLate;
  rules.fork_file = ForkFile::kCopy;
  rules.longterm_file = LongtermFile::kRefuse;
  rules.longterm_movable = LongtermMovable::kMigrate;
  rules.writeback_pinned = WritebackPinned::kKeepDirty;
  rules.dirty_unprepared = DirtyUnprepared::kWrite;
  rules.numa_skip = NumaSkip::kHeld;
  rules.gup_hint = GupHint::kFollow;
  rules.ksm_reuse = KsmReuse::kCount;
  rules.ksm_protect = KsmProtect::kClearThenTest;
  rules.swap_reuse = SwapReuse::kExclusive;
  rules.swap_exclusive = SwapExclusive::kKept;
  rules.swap_cache = SwapCache::kLeft;
  rules.swap_in = SwapIn::kPastCache;
  rules.reclaim_pinned = ReclaimPinned::kSkip;
  rules.reclaim_unmap = ReclaimUnmap::kTryShare;
  rules.lazy_free = LazyFree::kUnreferenced;
  rules.fast_dirty = FastDirty::kAtOnce;
  rules.migrate_unmap = MigrateUnmap::kTryShare;
  rules.huge_reuse = HugeReuse::kExclusive;
  rules.huge_copy = HugeCopy::kSplit;
  rules.huge_pins = HugePins::kEach;
  rules.uffd_fork = UffdFork::kByChild;
  rules.uffd_remap = UffdRemap::kDrop;
  rules.uffd_flush = UffdFlush::kBeforeUnlock;
  rules.uffd_continue = UffdContinue::kDirty;
  rules.uffd_wp_file = UffdWpFile::kMarker;
  rules.uffd_wp_absent = UffdWpAbsent::kMarker;
  rules.ksm_break = KsmBreak::kUnshare;
  rules.folio_reuse = FolioReuse::kOwner;
  rules.folio_swap = FolioSwap::kWhole;
  rules.lazy_restore = LazyRestore::kFirst;
  rules.huge_touch = HugeTouch::kAccessed;
  rules.huge_split = HugeSplit::kCountsFirst;
  rules.huge_zero = HugeZero::kWhole;
  rules.hugetlb_reuse = HugetlbReuse::kExclusive;
  rules.hugetlb_fork = HugetlbFork::kAsSmall;
  rules.hugetlb_force = HugetlbForce::kRefuse;
  rules.hugetlb_sequence = HugetlbSequence::kAsSmall;
  const std::pair<Decision, const char*> cases[] = {
      {Decision::kReuse, "reuse=directed"},
      {Decision::kPageLock, "page-lock=sleep"},
      {Decision::kForkPinned, "fork-pinned=wait"},
      {Decision::kForkGate, "fork-gate=has-pinned"},
      {Decision::kPinned, "pinned=gup-mark"},
      {Decision::kPinCount, "pin-count=pin-and-get"},
      {Decision::kForkSource, "fork-source=protect-then-restore"},
      {Decision::kCopyOnlyIf, "copy-only-if=writable-entry"},
      {Decision::kCopyAccounting, "copy-accounting=source-page"},
      {Decision::kCopyRmap, "copy-rmap=none"},
      {Decision::kCopyEntry, "copy-entry=protection-only"},
      {Decision::kCopyAlloc, "copy-alloc=under-lock"},
      {Decision::kCopyFailure, "copy-failure=return-locked"},
      {Decision::kGupRead, "gup-read=block-writer"},
      {Decision::kGupForce, "gup-force=exclusive"},
      {Decision::kZeroPage, "zero-page=uncounted"},
      {Decision::kRefOverflow, "ref-overflow=refuse"},
      {Decision::kProtectUpgrade, "protect-upgrade=map-writable"},
      {Decision::kForkSequence, "fork-sequence=counted"},
      {Decision::kGupRecheck, "gup-recheck=entry-and-table"},
      {Decision::kExclusiveClear, "exclusive-clear=clear-then-test"},
      {Decision::kClearRefsLock, "clear-refs-lock=write"},
      {Decision::kClearRefsPinned, "clear-refs-pinned=skip"},
      {Decision::kTlbFlush, "tlb-flush=after-unlock"},
      {Decision::kPreallocUse, "prealloc-use=keep-for-next"},
      {Decision::kRemapFlush, "remap-flush=late"},
      {Decision::kForkFile, "fork-file=copy"},
      {Decision::kLongtermFile, "longterm-file=refuse"},
      {Decision::kLongtermMovable, "longterm-movable=migrate"},
      {Decision::kWritebackPinned, "writeback-pinned=keep-dirty"},
      {Decision::kDirtyUnprepared, "dirty-unprepared=write"},
      {Decision::kNumaSkip, "numa-skip=held"},
      {Decision::kGupHint, "gup-hint=follow"},
      {Decision::kKsmReuse, "ksm-reuse=count"},
      {Decision::kKsmProtect, "ksm-protect=clear-then-test"},
      {Decision::kSwapReuse, "swap-reuse=exclusive"},
      {Decision::kSwapExclusive, "swap-exclusive=kept"},
      {Decision::kSwapCache, "swap-cache=left"},
      {Decision::kSwapIn, "swap-in=past-cache"},
      {Decision::kReclaimPinned, "reclaim-pinned=skip"},
      {Decision::kReclaimUnmap, "reclaim-unmap=try-share"},
      {Decision::kLazyFree, "lazy-free=unreferenced"},
      {Decision::kFastDirty, "fast-dirty=at-once"},
      {Decision::kMigrateUnmap, "migrate-unmap=try-share"},
      {Decision::kHugeReuse, "huge-reuse=exclusive"},
      {Decision::kHugeCopy, "huge-copy=split"},
      {Decision::kHugePins, "huge-pins=each"},
      {Decision::kHugeTouch, "huge-touch=accessed"},
      {Decision::kHugeSplit, "huge-split=counts-first"},
      {Decision::kHugeZero, "huge-zero=whole"},
      {Decision::kHugetlbReuse, "hugetlb-reuse=exclusive"},
      {Decision::kHugetlbFork, "hugetlb-fork=as-small"},
      {Decision::kHugetlbForce, "hugetlb-force=refuse"},
      {Decision::kHugetlbSequence, "hugetlb-sequence=as-small"},
      {Decision::kUffdFork, "uffd-fork=by-child"},
      {Decision::kUffdRemap, "uffd-remap=drop"},
      {Decision::kUffdFlush, "uffd-flush=before-unlock"},
      {Decision::kUffdContinue, "uffd-continue=dirty"},
      {Decision::kUffdWpFile, "uffd-wp-file=marker"},
      {Decision::kUffdWpAbsent, "uffd-wp-absent=marker"},
      {Decision::kKsmBreak, "ksm-break=unshare"},
      {Decision::kFolioReuse, "folio-reuse=owner"},
      {Decision::kFolioSwap, "folio-swap=whole"},
      {Decision::kLazyRestore, "lazy-restore=first"},
  };
  ASSERT_EQ(std::size(cases), kDecisionCount);
  for (const auto& [decision, want] : cases) {
    EXPECT_EQ(std::string(decision_name(decision)) + "=" + std::string(value_name(decision, rules)), want);
    // The last enumerator of each enum: the table has no value more and none less.
    EXPECT_EQ(info_of(decision).get(rules) + 1U, info_of(decision).values.size()) << want;
  }
}

TEST(DecisionTable, NamesCanBeTypedAndFound) {
  std::set<std::string_view> names;
  const std::string letters = "abcdefghijklmnopqrstuvwxyz-";
  for (const DecisionInfo& info : decision_table()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_EQ(info.name.find_first_not_of(letters), std::string_view::npos) << info.name;
    EXPECT_EQ(find_decision(info.name), info.id);
    EXPECT_FALSE(info.question.empty());
    EXPECT_FALSE(info.provenance.empty());
    std::set<std::string_view> values;
    for (const DecisionValue& value : info.values) {
      EXPECT_TRUE(values.insert(value.name).second) << value.name;
      EXPECT_EQ(value.name.find_first_not_of(letters), std::string_view::npos) << value.name;
      EXPECT_FALSE(value.meaning.empty());
      EXPECT_NE(value.meaning.back(), '.');
    }
  }
  EXPECT_FALSE(find_decision(""));
  EXPECT_FALSE(find_decision("Reuse"));
}

}  // namespace
}  // namespace cowherd
