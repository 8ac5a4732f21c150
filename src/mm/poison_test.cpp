#include <gtest/gtest.h>

#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

constexpr PinFlags kHeld = PinFlags::kWrite | PinFlags::kLongTerm;
constexpr int kBusError = -static_cast<int>(Errno::kSigBus);

template <class G>
class PoisonTest : public testing::Test {
 protected:
  static Errno fail(TestMachine<G>& m, ProcessId process, std::uint64_t page) {
    return m.error_of(poison(*m, process, m.at(page)));
  }
  /// At the end everything goes, and only the frames that have failed stay in use.
  static void finish(TestMachine<G>& m, std::uint64_t failed) {
    EXPECT_EQ(m.verify(), "");
    m.expect_kept(PageCount{failed});
  }
};
TYPED_TEST_SUITE(PoisonTest, Geometries);

TYPED_TEST(PoisonTest, WhoTouchesItIsTold) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  ASSERT_EQ(m.put(p, 1, 6), Errno{0});
  const FrameNumber frame = m.view(p, 0).frame;
  ASSERT_EQ(this->fail(m, p, 0), Errno{0});
  EXPECT_TRUE(m.view(p, 0).entry.poison());
  EXPECT_EQ(m.view(p, 0).entry.leaving(), frame);
  EXPECT_EQ(m.get(p, 0), kBusError);
  EXPECT_EQ(m.put(p, 0, 7), Errno::kSigBus);
  EXPECT_EQ(m.get(p, 1), 6);
  EXPECT_EQ(m.rss(p), 1u);
  std::byte value{};
  EXPECT_EQ(ptrace_read(*m, p, m.at(0), {&value, 1}).error, Errno::kFault);
  for (const PinFlags flags : {kHeld, PinFlags::kGet | PinFlags::kWrite, kHeld | PinFlags::kFast}) {
    EXPECT_EQ(m.error_of(pin(*m, p, m.at(0), PageCount{1}, flags)), Errno::kFault);
  }
  EXPECT_EQ(m.advise(p, 0, 1, Advice::kPopulateRead), Errno::kHwPoison);
  EXPECT_EQ(this->fail(m, p, 0), Errno::kFault) << "once";
  this->finish(m, 1);
}

TYPED_TEST(PoisonTest, EverybodyWhoMapsItLosesIt) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  const ProcessId a = m.fork(p, ForkMode::kClassic);
  const ProcessId b = m.fork(p, ForkMode::kClassic);
  ASSERT_EQ(m.put(b, 0, 6), Errno{0});
  ASSERT_EQ(this->fail(m, a, 0), Errno{0});
  EXPECT_EQ(m.get(p, 0), kBusError);
  EXPECT_EQ(m.get(a, 0), kBusError);
  EXPECT_EQ(m.get(b, 0), 6) << "a copy of its own";
  const ProcessId grandchild = m.fork(a);
  EXPECT_EQ(m.get(grandchild, 0), kBusError);
  EXPECT_EQ(m.advise(grandchild, 0, 1, Advice::kDontNeed), Errno{0});
  EXPECT_EQ(m.get(grandchild, 0), 0);
  EXPECT_EQ(m.get(a, 0), kBusError);
  this->finish(m, 1);
}

TYPED_TEST(PoisonTest, InATableOfSeveralItIsRefused) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  const ProcessId a = m.fork(p, ForkMode::kSharedLeaves);
  const ProcessId b = m.fork(a, ForkMode::kSharedLeaves);
  EXPECT_EQ(this->fail(m, a, 0), Errno::kBusy);
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.get(a, 0), 5);
  EXPECT_EQ(m.get(b, 0), 5);
}

TYPED_TEST(PoisonTest, ADeviceKeepsWhatItHolds) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  const PinId pin = m.pin(p, 0, 1, kHeld);
  ASSERT_EQ(this->fail(m, p, 0), Errno{0});
  EXPECT_EQ(m.dma_put(pin, 7), Errno{0});
  EXPECT_EQ(m.dma_get(pin), 7);
  EXPECT_EQ(m.get(p, 0), kBusError);
  EXPECT_EQ(m.verify(), "");
  m.unpin(pin, true);
  EXPECT_EQ(m.verify(), "");
  this->finish(m, 1);
}

TYPED_TEST(PoisonTest, ItsFrameIsNeverGivenOutAgain) {
  TestMachine<TypeParam> m(kCowherdRules, 64);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  const FrameNumber frame = m.view(p, 0).frame;
  ASSERT_EQ(this->fail(m, p, 0), Errno{0});
  m.unmap(p, 0, 1);
  m.map(p, 0, 60);
  std::uint64_t page = 0;
  while (m.put(p, page, 1) == Errno{0}) {
    EXPECT_NE(m.view(p, page).frame, frame);
    ++page;
  }
  EXPECT_GT(page, 10u) << "until there is no memory left";
  this->finish(m, 1);
}

TYPED_TEST(PoisonTest, InTheSwapCache) {
  for (const bool dirty : {false, true}) {
    SCOPED_TRACE(dirty);
    TestMachine<TypeParam> m(kCowherdRules, 200, 8);
    const ProcessId p = m.spawn();
    m.map(p, 0, 1);
    ASSERT_EQ(m.put(p, 0, 5), Errno{0});
    const ProcessId child = m.fork(p, ForkMode::kClassic);
    ASSERT_EQ(m.swap_out(p, 0), Errno{0});
    ASSERT_EQ(m.swap_in(p, 0), Errno{0});
    ASSERT_TRUE(m.view(p, 0).in_swap_cache);
    if (dirty) m->descriptor(m.view(p, 0).frame).set_dirty(true);
    ASSERT_EQ(this->fail(m, p, 0), Errno{0});
    EXPECT_EQ(m.get(p, 0), kBusError);
    EXPECT_EQ(m.get(child, 0), dirty ? kBusError : 5) << "the slot has a good copy, or none";
    for (int round = 0; round < 4; ++round) (void)reclaim(*m, PageCount{8});
    EXPECT_EQ(m.get(child, 0), dirty ? kBusError : 5);
    this->finish(m, 1);
  }
}

TYPED_TEST(PoisonTest, SaysWhyNot) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  EXPECT_EQ(m.get(p, 0), 0);
  EXPECT_EQ(this->fail(m, p, 0), Errno::kFault) << "the zero page";
  EXPECT_EQ(this->fail(m, p, 1), Errno::kFault) << "never touched";
  EXPECT_EQ(this->fail(m, p, 9), Errno::kFault) << "not mapped";
  ASSERT_EQ(m.put(p, 2, 1), Errno{0});
  const auto locked = lock_page(*m, p, m.at(2));
  ASSERT_TRUE(locked.ok());
  EXPECT_EQ(this->fail(m, p, 2), Errno::kBusy);
  unlock_page(*m, *locked);
  EXPECT_EQ(m.get(p, 2), 1);
}

}  // namespace
}  // namespace cowherd::mm
