#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

template <class G>
class KsmTest : public testing::Test {
 protected:
  /// A process with pages 0 and 1 that hold the same, and may be merged.
  static ProcessId twins(TestMachine<G>& m) {
    const ProcessId p = m.spawn();
    m.map(p, 0, 2);
    EXPECT_EQ(m.put(p, 0, 5), Errno{0});
    EXPECT_EQ(m.put(p, 1, 5), Errno{0});
    EXPECT_EQ(m.advise(p, 0, 2, Advice::kMergeable), Errno{0});
    return p;
  }
  static Errno merge(TestMachine<G>& m, ProcessId one, std::uint64_t page, ProcessId other, std::uint64_t other_page) {
    return m.error_of(ksm_merge(*m, one, m.at(page), other, m.at(other_page)));
  }
};
TYPED_TEST_SUITE(KsmTest, Geometries);

TYPED_TEST(KsmTest, OnePageForTwo) {
  TestMachine<TypeParam> m;
  const ProcessId p = this->twins(m);
  const FrameNumber first = m.view(p, 0).frame;
  EXPECT_EQ(this->merge(m, p, 0, p, 1), Errno{0});
  EXPECT_EQ(m.view(p, 0).frame, first);
  EXPECT_EQ(m.view(p, 1).frame, first);
  EXPECT_EQ(m.view(p, 1).mapcount, 2u);
  EXPECT_EQ(m.view(p, 1).references, 2u);
  EXPECT_FALSE(m.view(p, 0).exclusive);
  EXPECT_EQ(m.rss(p), 2u);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(this->merge(m, p, 0, p, 1), Errno::kInvalid) << "one page already";
  ASSERT_EQ(m.put(p, 1, 6), Errno{0});
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(KsmTest, ZerosGiveWayToTheZeroPage) {
  TestMachine<TypeParam> m;
  const ProcessId p = this->twins(m);
  const auto zero = [&](std::uint64_t page) { return m.error_of(ksm_zero(*m, p, m.at(page))); };
  EXPECT_EQ(zero(0), Errno::kBusy) << "it holds something";
  EXPECT_EQ(zero(9), Errno::kInvalid) << "nothing there";
  EXPECT_EQ(m.verify(), "");
  ASSERT_EQ(m.put(p, 0, 0), Errno{0});
  const PageCount before = m->frames().free_count();
  EXPECT_EQ(zero(0), Errno{0});
  EXPECT_EQ(m->frames().free_count(), before + PageCount{1});
  EXPECT_EQ(m.view(p, 0).frame, Frames<TypeParam>::kZeroPage);
  EXPECT_EQ(m.rss(p), 1u);
  EXPECT_EQ(zero(0), Errno::kFault) << "the zero page is no page";
  ASSERT_EQ(m.put(p, 0, 3), Errno{0});
  EXPECT_EQ(m.get(p, 0), 3);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(KsmTest, RefusesWhatItMayNot) {
  TestMachine<TypeParam> m;
  const ProcessId p = this->twins(m);
  m.map(p, 3, 2);
  ASSERT_EQ(m.put(p, 3, 5), Errno{0});
  EXPECT_EQ(this->merge(m, p, 0, p, 3), Errno::kInvalid) << "not mergeable";
  EXPECT_EQ(this->merge(m, p, 0, p, 9), Errno::kInvalid) << "nothing there";
  EXPECT_EQ(m.advise(p, 3, 2, Advice::kMergeable), Errno{0});
  EXPECT_EQ(this->merge(m, p, 0, p, 4), Errno::kFault) << "never touched";
  ASSERT_EQ(m.put(p, 3, 7), Errno{0});
  EXPECT_EQ(this->merge(m, p, 0, p, 3), Errno::kBusy) << "they differ";
  EXPECT_EQ(m.verify(), "");
  ASSERT_EQ(m.put(p, 3, 5), Errno{0});
  EXPECT_EQ(this->merge(m, p, 0, p, 3), Errno{0});
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(KsmTest, WhatSomebodyHoldsStays) {
  for (const PinFlags flags : {PinFlags::kWrite | PinFlags::kLongTerm, PinFlags::kGet | PinFlags::kWrite}) {
    TestMachine<TypeParam> m;
    const ProcessId p = this->twins(m);
    const PinId pin = m.pin(p, 1, 1, flags);
    EXPECT_EQ(this->merge(m, p, 0, p, 1), Errno::kBusy);
    EXPECT_EQ(this->merge(m, p, 1, p, 0), Errno::kBusy);
    ASSERT_EQ(m.put(p, 1, 8), Errno{0});
    EXPECT_EQ(m.dma_get(pin), 8);
    EXPECT_EQ(m.verify(), "");
    m.unpin(pin);
    ASSERT_EQ(m.put(p, 1, 5), Errno{0});
    EXPECT_EQ(this->merge(m, p, 0, p, 1), Errno{0});
  }
}

TYPED_TEST(KsmTest, TheLastOwnerKeepsItByRule) {
  for (const auto& [row, copies] :
       {std::pair{"linux-3.2", true}, {"R3b", false}, {"R4", false}, {"R7", true}, {"cowherd", true}}) {
    SCOPED_TRACE(row);
    TestMachine<TypeParam> m(find_rules(row)->rules);
    const ProcessId p = this->twins(m);
    EXPECT_EQ(this->merge(m, p, 0, p, 1), Errno{0});
    m.unmap(p, 1, 1);
    const FrameNumber merged = m.view(p, 0).frame;
    ASSERT_EQ(m.put(p, 0, 6), Errno{0});
    EXPECT_EQ(m.view(p, 0).frame != merged, copies);
    EXPECT_TRUE(m.view(p, 0).exclusive);
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(KsmTest, UnmergeGivesEachItsOwn) {
  for (const ForkMode mode : {ForkMode::kClassic, ForkMode::kSharedLeaves, ForkMode::kSharedSubtrees}) {
    TestMachine<TypeParam> m;
    const ProcessId p = this->twins(m);
    EXPECT_EQ(this->merge(m, p, 0, p, 1), Errno{0});
    const ProcessId child = m.fork(p, mode);
    EXPECT_EQ(m.verify(), "");
    EXPECT_EQ(m.advise(p, 0, 2, Advice::kUnmergeable), Errno{0});
    EXPECT_NE(m.view(p, 0).frame, m.view(p, 1).frame);
    EXPECT_TRUE(m.view(p, 0).exclusive);
    EXPECT_EQ(m.verify(), "");
    EXPECT_EQ(m.error_of(ksm_unmerge(*m, child, m.at(0), m.bytes(2))), Errno{0});
    EXPECT_NE(m.view(child, 0).frame, m.view(child, 1).frame);
    EXPECT_EQ(m.get(child, 1), 5);
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(KsmTest, UnmergeWithoutMemoryIsAnError) {
  TestMachine<TypeParam> m;
  const ProcessId p = this->twins(m);
  EXPECT_EQ(this->merge(m, p, 0, p, 1), Errno{0});
  m->frames().injector().arm(1);
  EXPECT_EQ(m.advise(p, 0, 2, Advice::kUnmergeable), Errno::kNoMemory);
  m->frames().injector().arm(0);
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.get(p, 1), 5);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.advise(p, 0, 2, Advice::kUnmergeable), Errno{0});
}

TYPED_TEST(KsmTest, AMergedPageMovesAndIsPinnedAsItsOwn) {
  TestMachine<TypeParam> m;
  const ProcessId p = this->twins(m);
  EXPECT_EQ(this->merge(m, p, 0, p, 1), Errno{0});
  constexpr RemapFlags kMove = RemapFlags::kMayMove | RemapFlags::kFixed;
  ASSERT_TRUE(mremap(*m, p, m.at(0), m.bytes(1), m.bytes(1), kMove, m.at(20)).ok());
  EXPECT_EQ(m.verify(), "");
  const PinId pin = m.pin(p, 20, 1, PinFlags::kLongTerm);
  ASSERT_EQ(m.put(p, 20, 7), Errno{0});
  EXPECT_EQ(m.dma_get(pin), 7);
  EXPECT_EQ(m.get(p, 1), 5);
  EXPECT_EQ(m.verify(), "");
}

}  // namespace
}  // namespace cowherd::mm
