#include <gtest/gtest.h>

#include "cow/decisions.hpp"
#include "cow/rule_rows.hpp"

namespace cowherd {
namespace {

/// A page in the swap cache: `others` references beside the cache's, `mapcount` mappings, `entries` entries in swap.
FrameState cached(std::uint32_t others, std::uint32_t mapcount, std::uint32_t entries) {
  FrameState frame;
  frame.references = others + mapcount + 1;
  frame.mapcount = mapcount;
  frame.anon = true;
  frame.in_swap_cache = true;
  frame.swap_entries = entries;
  return frame;
}

Rules with(SwapReuse reuse) {
  Rules rules;
  rules.swap_reuse = reuse;
  return rules;
}

TEST(SwappedIn, FollowsTheTable) {
  struct Case {
    SwapReuse reuse;
    std::uint32_t others, mapcount, entries;
    bool mark, read, write;
  };
  // Who reads gets a page of his own only by the mark: it stays in the swap cache.
  constexpr Case kCases[] = {
      {SwapReuse::kNever, 0, 0, 1, true, false, false},      {SwapReuse::kNever, 0, 0, 1, false, false, false},
      {SwapReuse::kCount, 0, 0, 1, false, false, true},      {SwapReuse::kCount, 0, 0, 1, true, false, true},
      {SwapReuse::kCount, 1, 0, 1, false, false, false},     {SwapReuse::kCount, 1, 0, 1, true, false, false},
      {SwapReuse::kCount, 0, 0, 2, false, false, false},     {SwapReuse::kCount, 0, 1, 1, false, false, false},
      {SwapReuse::kMapcount, 0, 0, 1, false, false, true},   {SwapReuse::kMapcount, 7, 0, 1, false, false, true},
      {SwapReuse::kMapcount, 0, 0, 2, false, false, false},  {SwapReuse::kMapcount, 0, 1, 1, true, false, false},
      {SwapReuse::kExclusive, 0, 0, 1, true, true, true},    {SwapReuse::kExclusive, 9, 0, 1, true, true, true},
      {SwapReuse::kExclusive, 0, 0, 1, false, false, true},  {SwapReuse::kExclusive, 1, 0, 1, false, false, false},
      {SwapReuse::kExclusive, 0, 0, 2, false, false, false}, {SwapReuse::kExclusive, 0, 1, 1, false, false, false},
  };
  for (const Case& c : kCases) {
    const FrameState frame = cached(c.others, c.mapcount, c.entries);
    SCOPED_TRACE(&c - kCases);
    EXPECT_EQ(swapped_in_exclusive(with(c.reuse), frame, c.mark, false), c.read);
    EXPECT_EQ(swapped_in_exclusive(with(c.reuse), frame, c.mark, true), c.write);
  }
}

TEST(SwappedIn, APageOnItsWayToTheSlotCannotLeaveTheCache) {
  FrameState frame = cached(0, 0, 1);
  frame.writeback = true;
  EXPECT_FALSE(swapped_in_exclusive(with(SwapReuse::kCount), frame, false, true));
  EXPECT_TRUE(swapped_in_exclusive(with(SwapReuse::kMapcount), frame, false, true));
  EXPECT_TRUE(swapped_in_exclusive(with(SwapReuse::kExclusive), frame, true, true));
}

TEST(SwappedIn, PastTheCacheNobodyElseCanHaveIt) {
  FrameState frame;
  frame.anon = true;
  frame.swap_entries = 1;
  for (const SwapReuse reuse : {SwapReuse::kCount, SwapReuse::kExclusive}) {
    EXPECT_TRUE(swapped_in_exclusive(with(reuse), frame, false, true));
    EXPECT_TRUE(swapped_in_exclusive(with(reuse), frame, false, false));
  }
}

WriteFault on_write(const Rules& rules, const FrameState& frame) {
  return on_write_fault(rules, frame, /*page_locked_by_other=*/false, /*first_owner=*/true, /*read_pinned=*/false);
}

TEST(WriteFaultOnACachedPage, TheCachesReferenceCountsWhereTheRulesSaySo) {
  Rules rules;
  for (const Reuse reuse : {Reuse::kCount, Reuse::kExclusive}) {
    rules.reuse = reuse;
    rules.swap_cache = SwapCache::kCounted;
    EXPECT_EQ(on_write(rules, cached(0, 1, 0)), WriteFault::kCopy);
    rules.swap_cache = SwapCache::kLeft;
    EXPECT_EQ(on_write(rules, cached(0, 1, 0)), WriteFault::kReuse);
    EXPECT_EQ(on_write(rules, cached(1, 1, 0)), WriteFault::kCopy);
    EXPECT_EQ(on_write(rules, cached(0, 1, 1)), WriteFault::kCopy);
    FrameState written = cached(0, 1, 0);
    written.writeback = true;
    EXPECT_EQ(on_write(rules, written), WriteFault::kCopy);
  }
}

TEST(WriteFaultOnACachedPage, MapcountsCountTheSlotToo) {
  Rules rules;
  rules.reuse = Reuse::kMapcount;
  EXPECT_EQ(on_write(rules, cached(3, 1, 0)), WriteFault::kReuse);
  EXPECT_EQ(on_write(rules, cached(0, 1, 1)), WriteFault::kCopy);
  EXPECT_EQ(on_write(rules, cached(0, 2, 0)), WriteFault::kCopy);
  rules.reuse = Reuse::kDirected;
  EXPECT_EQ(on_write(rules, cached(0, 2, 0)), WriteFault::kCopyToOthers);
  EXPECT_EQ(on_write(rules, cached(0, 1, 1)), WriteFault::kCopy);
}

TEST(MayReclaim, FollowsTheRule) {
  Rules rules;
  FrameState pinned = cached(2, 1, 0);
  pinned.pins = 1;
  const FrameState held = cached(1, 1, 0);
  const FrameState plain = cached(0, 1, 0);
  struct Case {
    ReclaimPinned rule;
    bool pinned, held, plain;
  };
  for (const Case& c :
       {Case{ReclaimPinned::kUnmap, true, true, true}, Case{ReclaimPinned::kSkipReferenced, false, false, true},
        Case{ReclaimPinned::kSkip, false, true, true}}) {
    rules.reclaim_pinned = c.rule;
    EXPECT_EQ(may_reclaim(rules, pinned), c.pinned);
    EXPECT_EQ(may_reclaim(rules, held), c.held);
    EXPECT_EQ(may_reclaim(rules, plain), c.plain);
  }
}

TEST(MayDiscard, LooksAtReferencesWhereTheRulesSaySo) {
  Rules rules;
  FrameState frame;
  frame.references = 1;
  frame.mapcount = 1;
  FrameState held = frame;
  held.references = 2;
  EXPECT_TRUE(may_discard(rules, frame));
  EXPECT_FALSE(may_discard(rules, held));
  rules.lazy_free = LazyFree::kNotDirty;
  EXPECT_TRUE(may_discard(rules, held));
}

TEST(SwapHistory, RowsChangeWhereTheSourcesSay) {
  const auto rules = [](const char* name) { return find_rules(name)->rules; };
  EXPECT_EQ(rules("linux-2.6.12").reclaim_pinned, ReclaimPinned::kSkipReferenced);
  EXPECT_EQ(rules("linux-2.6.13").reclaim_pinned, ReclaimPinned::kUnmap);
  EXPECT_EQ(rules("linux-5.10").reclaim_pinned, ReclaimPinned::kUnmap);
  EXPECT_EQ(rules("linux-5.11").reclaim_pinned, ReclaimPinned::kSkip);
  EXPECT_EQ(rules("linux-5.8").swap_reuse, SwapReuse::kMapcount);
  EXPECT_EQ(rules("linux-5.17").swap_reuse, SwapReuse::kMapcount);
  EXPECT_EQ(rules("linux-5.17").swap_cache, SwapCache::kCounted);
  EXPECT_EQ(rules("linux-5.18").swap_reuse, SwapReuse::kCount);
  EXPECT_EQ(rules("linux-5.18").swap_cache, SwapCache::kLeft);
  EXPECT_EQ(rules("linux-5.18").swap_exclusive, SwapExclusive::kForgotten);
  EXPECT_EQ(rules("linux-5.19").swap_reuse, SwapReuse::kExclusive);
  EXPECT_EQ(rules("linux-5.19").reclaim_unmap, ReclaimUnmap::kTryShare);
  EXPECT_EQ(rules("linux-5.17").lazy_free, LazyFree::kNotDirty);
  EXPECT_EQ(rules("linux-7.1").lazy_free, LazyFree::kUnreferenced);
  EXPECT_EQ(rules("cowherd"), Rules{});
}

}  // namespace
}  // namespace cowherd
