#include <gtest/gtest.h>

#include <vector>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

constexpr std::size_t kFrames = 200;
constexpr std::size_t kSlots = 24;

template <class G>
class Swap : public testing::Test {
 protected:
  TestMachine<G> machine_{kCowherdRules, kFrames, kSlots};
};
TYPED_TEST_SUITE(Swap, Geometries);

TYPED_TEST(Swap, APageGoesAndComesBack) {
  auto& m = this->machine_;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 7), Errno{0});
  ASSERT_EQ(m.put(p, 1, 8), Errno{0});
  const PageCount before = m->frames().free_count();
  EXPECT_EQ(m.swap_out(p, 0), Errno{0});
  EXPECT_EQ(m->frames().free_count(), before + PageCount{1});
  EXPECT_TRUE(m.view(p, 0).entry.swap());
  EXPECT_TRUE(m.view(p, 0).entry.swap_exclusive());
  EXPECT_EQ(m.rss(p), 1U);
  EXPECT_EQ(m.swapped(p), 1U);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.get(p, 0), 7);
  EXPECT_EQ(m.rss(p), 2U);
  EXPECT_EQ(m.swapped(p), 0U);
  EXPECT_TRUE(m.view(p, 0).exclusive);
  EXPECT_TRUE(m.view(p, 0).in_swap_cache);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Swap, WhatIsNotThereCannotGo) {
  auto& m = this->machine_;
  const ProcessId p = m.spawn();
  EXPECT_EQ(m.swap_out(p, 0), Errno::kFault);
  m.map(p, 0, 2);
  EXPECT_EQ(m.swap_out(p, 0), Errno::kFault);
  EXPECT_EQ(m.get(p, 0), 0);
  EXPECT_EQ(m.swap_out(p, 0), Errno::kFault);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  EXPECT_EQ(m.swap_in(p, 0), Errno::kFault);
  EXPECT_EQ(m.swap_out(p, 0), Errno{0});
  EXPECT_EQ(m.swap_out(p, 0), Errno::kFault);
  EXPECT_EQ(m.swap_in(p, 0), Errno{0});
  EXPECT_EQ(m.get(p, 0), 1);
}

TYPED_TEST(Swap, WithoutSwapNothingGoes) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 3), Errno{0});
  EXPECT_EQ(m.swap_out(p, 0), Errno::kNoMemory);
  EXPECT_EQ(m.swap_in(p, 0), Errno::kFault);
  for (const Advice advice : {Advice::kCold, Advice::kPageOut, Advice::kFree}) {
    EXPECT_EQ(m.advise(p, 0, 1, advice), Errno{0});
  }
  EXPECT_EQ(reclaim(*m, PageCount{4}), PageCount{0});
  EXPECT_EQ(m.get(p, 0), 3);
}

TYPED_TEST(Swap, ASharedPageGoesFromAllWhoMapIt) {
  auto& m = this->machine_;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  const ProcessId c = m.fork(p, ForkMode::kClassic);
  EXPECT_EQ(m.swap_out(p, 0), Errno{0});
  EXPECT_TRUE(m.view(c, 0).entry.swap());
  EXPECT_EQ(m.view(c, 0).entry, m.view(p, 0).entry);
  EXPECT_FALSE(m.view(p, 0).entry.swap_exclusive());
  EXPECT_EQ(m.view(p, 0).swap_entries, 2U);
  EXPECT_EQ(m.put(c, 0, 6), Errno{0});
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.get(c, 0), 6);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Swap, ForkTakesTheMarkAndCounts) {
  auto& m = this->machine_;
  for (const ForkMode mode : {ForkMode::kClassic, ForkMode::kSharedLeaves, ForkMode::kSharedSubtrees}) {
    const ProcessId p = m.spawn();
    m.map(p, 0, 1);
    ASSERT_EQ(m.put(p, 0, 5), Errno{0});
    ASSERT_EQ(m.swap_out(p, 0), Errno{0});
    const ProcessId c = m.fork(p, mode);
    EXPECT_EQ(m.verify(), "");
    EXPECT_EQ(m.put(p, 0, 6), Errno{0});
    EXPECT_EQ(m.verify(), "");
    EXPECT_EQ(m.get(c, 0), 5);
    EXPECT_EQ(m.verify(), "");
    m.reap(p, c);
    m.exit(p);
  }
}

TYPED_TEST(Swap, APageUnderSharedTablesGoesOnceItsTablesAreOwn) {
  auto& m = this->machine_;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  ASSERT_EQ(m.put(p, 1, 6), Errno{0});
  const ProcessId c = m.fork(p, ForkMode::kSharedSubtrees);
  // The child's table is one that others may have: it keeps the page.
  EXPECT_EQ(m.swap_out(p, 0), Errno::kBusy);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.get(c, 0), 5);
  EXPECT_EQ(m.swap_out(c, 0), Errno{0});
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.put(c, 0, 9), Errno{0});
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Swap, ThePinnedStayAndSoDoTheirCounts) {
  auto& m = this->machine_;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  const PinId pin = m.pin(p, 0, 1, PinFlags::kWrite | PinFlags::kLongTerm);
  EXPECT_EQ(m.swap_out(p, 0), Errno::kBusy);
  EXPECT_FALSE(m.view(p, 0).in_swap_cache);
  EXPECT_EQ(m.dma_put(pin, 4), Errno{0});
  EXPECT_EQ(m.get(p, 0), 4);
  m.unpin(pin);
  EXPECT_EQ(m.swap_out(p, 0), Errno{0});
  EXPECT_EQ(m.get(p, 0), 4);
}

TYPED_TEST(Swap, WhenSwapIsFullPagesStay) {
  TestMachine<TypeParam> m(kCowherdRules, kFrames, 2);
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  for (int page = 0; page < 3; ++page) ASSERT_EQ(m.put(p, static_cast<std::uint64_t>(page), 10 + page), Errno{0});
  EXPECT_EQ(m.swap_out(p, 0), Errno{0});
  EXPECT_EQ(m.swap_out(p, 1), Errno{0});
  EXPECT_EQ(m.swap_out(p, 2), Errno::kNoMemory);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.put(p, 0, 9), Errno{0});
  EXPECT_EQ(m.swap_out(p, 2), Errno{0});
  for (int page = 1; page < 3; ++page) EXPECT_EQ(m.get(p, static_cast<std::uint64_t>(page)), 10 + page);
  EXPECT_EQ(m.get(p, 0), 9);
}

TYPED_TEST(Swap, AFailedSwapInLosesNothing) {
  auto& m = this->machine_;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 7), Errno{0});
  ASSERT_EQ(m.swap_out(p, 0), Errno{0});
  // Only where nobody would look for memory in between is a failure one.
  if (TypeParam::kExplored) {
    m->frames().injector().arm(1);
    EXPECT_EQ(m.get(p, 0), minus(Errno::kSigBus));
    m->frames().injector().arm(0);
    EXPECT_EQ(m.verify(), "");
  }
  EXPECT_EQ(m.get(p, 0), 7);
}

TYPED_TEST(Swap, SlotsGoWithTheirMappings) {
  auto& m = this->machine_;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  for (std::uint64_t page = 0; page < 3; ++page) {
    ASSERT_EQ(m.put(p, page, 1), Errno{0});
    ASSERT_EQ(m.swap_out(p, page), Errno{0});
  }
  EXPECT_EQ(m->swap().free_count(), PageCount{kSlots - 3});
  m.unmap(p, 0, 1);
  EXPECT_EQ(m.advise(p, 1, 1, Advice::kDontNeed), Errno{0});
  EXPECT_EQ(m->swap().free_count(), PageCount{kSlots - 1});
  EXPECT_EQ(m.get(p, 1), 0);
  m.exit(p);
  EXPECT_EQ(m->swap().free_count(), PageCount{kSlots});
}

TYPED_TEST(Swap, FreeLosesWhatIsNotWrittenAgain) {
  auto& m = this->machine_;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  for (std::uint64_t page = 0; page < 3; ++page) ASSERT_EQ(m.put(p, page, 5), Errno{0});
  ASSERT_EQ(m.swap_out(p, 2), Errno{0});
  EXPECT_EQ(m.advise(p, 0, 3, Advice::kFree), Errno{0});
  EXPECT_EQ(m.get(p, 2), 0);
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.put(p, 1, 6), Errno{0});
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.swap_out(p, 0), Errno{0});
  // It is found to have been written, and goes the next time.
  EXPECT_EQ(m.swap_out(p, 1), Errno::kBusy);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.swap_out(p, 1), Errno{0});
  EXPECT_EQ(m.swapped(p), 1U);
  EXPECT_EQ(m.get(p, 0), 0);
  EXPECT_EQ(m.get(p, 1), 6);
}

TYPED_TEST(Swap, PageOutTakesOwnPagesOnly) {
  auto& m = this->machine_;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const ProcessId c = m.fork(p, ForkMode::kClassic);
  ASSERT_EQ(m.put(p, 1, 2), Errno{0});
  EXPECT_EQ(m.advise(p, 0, 2, Advice::kPageOut), Errno{0});
  EXPECT_TRUE(m.view(p, 0).entry.present());
  EXPECT_TRUE(m.view(p, 1).entry.swap());
  EXPECT_EQ(m.get(c, 0), 1);
}

TYPED_TEST(Swap, DamageIsFound) {
  auto& m = this->machine_;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  ASSERT_EQ(m.put(p, 1, 1), Errno{0});
  ASSERT_EQ(m.swap_out(p, 0), Errno{0});
  const BlockNumber slot = m.view(p, 0).entry.slot();
  BlockStore<TypeParam>& swap = m->swap();
  swap.give_count(slot);
  EXPECT_NE(m.verify().find("swap-imbalance"), std::string::npos);
  swap.take_count(slot);
  swap.take_count(slot);
  EXPECT_NE(m.verify().find("swap-imbalance"), std::string::npos);
  swap.give_count(slot);
  EXPECT_EQ(m.verify(), "");
  const FrameNumber frame = m.view(p, 1).frame;
  m->frames().cold(frame).set_slot(slot);
  EXPECT_EQ(m.verify(), "swap-cache-broken");
  m->frames().cold(frame).clear_slot();
  EXPECT_EQ(m.get(p, 0), 1);
  const FrameNumber cached = m.view(p, 0).frame;
  m->frames().cold(cached).clear_slot();
  EXPECT_NE(m.verify().find("swap-cache-broken"), std::string::npos);
  m->frames().cold(cached).set_slot(slot);
  m->frames().cold(cached).set_writeback(true);
  EXPECT_EQ(m.verify(), "reclaim-broken");
  m->frames().cold(cached).set_writeback(false);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Swap, EveryRowKeepsItsBooks) {
  std::vector<RuleRow> rows;
  for (const auto list : {all_rows(), variant_rows()}) rows.insert(rows.end(), list.begin(), list.end());
  for (const RuleRow& row : rows) {
    SCOPED_TRACE(row.id);
    TestMachine<TypeParam> m(row.rules, kFrames, kSlots);
    const ProcessId p = m.spawn();
    m.map(p, 0, 3);
    for (std::uint64_t page = 0; page < 3; ++page) ASSERT_EQ(m.put(p, page, 20 + static_cast<int>(page)), Errno{0});
    (void)m.swap_out(p, 0);
    const ProcessId c = m.fork(p);
    (void)m.swap_out(p, 1);
    (void)m.swap_out(c, 0);
    EXPECT_EQ(m.put(c, 0, 1), Errno{0});
    EXPECT_EQ(m.get(p, 0), 20);
    EXPECT_EQ(m.put(p, 1, 2), Errno{0});
    EXPECT_EQ(m.get(c, 1), 21);
    EXPECT_EQ(m.get(c, 2), 22);
    EXPECT_EQ(m.advise(p, 0, 3, Advice::kFree), Errno{0});
    (void)m.swap_out(p, 0);
  }
}

TYPED_TEST(Swap, FullSwapGetsBackTheSlotsOfMappedPages) {
  TestMachine<TypeParam> m(kCowherdRules, kFrames, 2);
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  for (std::uint64_t page = 0; page < 3; ++page) ASSERT_EQ(m.put(p, page, 1), Errno{0});
  for (std::uint64_t page = 0; page < 2; ++page) {
    ASSERT_EQ(m.swap_out(p, page), Errno{0});
    ASSERT_EQ(m.get(p, page), 1);
  }
  EXPECT_EQ(m.swap_out(p, 2), Errno::kNoMemory);
  EXPECT_EQ(reclaim(*m, PageCount{1}), PageCount{1});
  EXPECT_EQ(m.verify(), "");
}

template <class G>
class Reclaim : public testing::Test {};
TYPED_TEST_SUITE(Reclaim, Geometries);

TYPED_TEST(Reclaim, TakesWhatNobodyUses) {
  TestMachine<TypeParam> m(kCowherdRules, kFrames, 16);
  const ProcessId p = m.spawn();
  m.map(p, 0, 6);
  for (std::uint64_t page = 0; page < 6; ++page) ASSERT_EQ(m.put(p, page, 30 + static_cast<int>(page)), Errno{0});
  // The first round finds all of them young; who is used before the second stays longer than who is not.
  EXPECT_EQ(reclaim(*m, PageCount{2}), PageCount{2});
  EXPECT_EQ(m.swapped(p), 2U);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(reclaim(*m, PageCount{100}), PageCount{4});
  EXPECT_EQ(m.rss(p), 0U);
  for (std::uint64_t page = 0; page < 6; ++page) EXPECT_EQ(m.get(p, page), 30 + static_cast<int>(page));
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Reclaim, ColdGoesFirst) {
  TestMachine<TypeParam> m(kCowherdRules, kFrames, 16);
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  for (std::uint64_t page = 0; page < 4; ++page) ASSERT_EQ(m.put(p, page, 1), Errno{0});
  EXPECT_EQ(m.advise(p, 2, 1, Advice::kCold), Errno{0});
  EXPECT_EQ(reclaim(*m, PageCount{1}), PageCount{1});
  EXPECT_TRUE(m.view(p, 2).entry.swap());
}

TYPED_TEST(Reclaim, LeavesPinnedPages) {
  TestMachine<TypeParam> m(kCowherdRules, kFrames, 16);
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  for (std::uint64_t page = 0; page < 3; ++page) ASSERT_EQ(m.put(p, page, 1), Errno{0});
  const PinId pin = m.pin(p, 1, 1, PinFlags::kWrite);
  EXPECT_EQ(reclaim(*m, PageCount{3}), PageCount{2});
  EXPECT_TRUE(m.view(p, 1).entry.present());
  EXPECT_EQ(m.dma_put(pin, 8), Errno{0});
  EXPECT_EQ(m.get(p, 1), 8);
}

TYPED_TEST(Reclaim, GoesByAllProcesses) {
  TestMachine<TypeParam> m(kCowherdRules, kFrames, 16);
  for (int i = 0; i < 3; ++i) {
    const ProcessId p = m.spawn();
    m.map(p, 0, 2);
    ASSERT_EQ(m.put(p, 0, 1), Errno{0});
    ASSERT_EQ(m.put(p, 1, 2), Errno{0});
  }
  EXPECT_EQ(reclaim(*m, PageCount{100}), PageCount{6});
  EXPECT_EQ(m.verify(), "");
}

}  // namespace
}  // namespace cowherd::mm
