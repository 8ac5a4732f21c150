#include "mm/sync.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "mm/test_machine.hpp"
#include "mm/test_scheduler.hpp"

namespace cowherd::mm {
namespace {

using C = CheckedGeometry;
using P = ProductionGeometry;

std::size_t depth_of(const LiveScope* live) {
  std::size_t depth = 0;
  for (; live != nullptr; live = live->outer) ++depth;
  return depth;
}

TEST(Points, AskTheSchedulerWhereThereIsOne) {
  OneAgent scheduler;
  TestMachine<C> m;
  point(*m, Point::kFlush);
  EXPECT_TRUE(scheduler.points.empty());
  m->set_scheduler(&scheduler);
  point(*m, Point::kFlush);
  EXPECT_EQ(scheduler.points, std::vector{Point::kFlush});
}

TEST(Points, AreNothingNatively) {
  OneAgent scheduler;
  TestMachine<P> m;
  m->set_scheduler(&scheduler);
  point(*m, Point::kFlush);
  EXPECT_EQ(m->scheduler(), nullptr);
  EXPECT_TRUE(scheduler.points.empty());
}

TEST(Points, AreSkippedByWhoIsAloneAndOthersAreReported) {
  OneAgent scheduler;
  TestMachine<C> m;
  m->set_scheduler(&scheduler);
  Mm mm;
  mm.sole_agent = 1;
  point(*m, mm, Point::kSetEntry);
  EXPECT_TRUE(scheduler.points.empty());
  EXPECT_TRUE(m->take_violations().none());
  mm.sole_agent = 2;
  point(*m, mm, Point::kSetEntry);
  EXPECT_EQ(scheduler.points, std::vector{Point::kSetEntry});
  EXPECT_TRUE(m->take_violations().has(Violation::kUnguarded));
}

TEST(Live, ScopesNestAndNameTheirLocals) {
  OneAgent scheduler;
  TestMachine<C> m;
  m->set_scheduler(&scheduler);
  const std::uint32_t outer_local = 5;
  const Vpn page{3};
  const std::uint16_t inner_local = 9;
  {
    const Live outer(*m, "outer", outer_local);
    EXPECT_EQ(depth_of(scheduler.context.live), 1u);
    {
      const Live inner(*m, "inner", page, inner_local);
      const LiveScope* scope = scheduler.context.live;
      ASSERT_EQ(depth_of(scope), 2u);
      EXPECT_EQ(scope->hash, hash_of_name("inner"));
      ASSERT_EQ(scope->count, 2u);
      EXPECT_EQ(scope->locals[0].bytes, &page);
      EXPECT_EQ(scope->locals[0].size, sizeof page);
      EXPECT_EQ(scope->locals[1].bytes, &inner_local);
      EXPECT_EQ(scope->outer->hash, hash_of_name("outer"));
      EXPECT_EQ(scope->outer->locals[0].bytes, &outer_local);
    }
    EXPECT_EQ(scheduler.context.live->hash, hash_of_name("outer"));
  }
  EXPECT_EQ(scheduler.context.live, nullptr);
}

TEST(Live, WithoutASchedulerThereIsNothingToDeclare) {
  OneAgent scheduler;
  TestMachine<C> m;
  const int local = 1;
  const Live live(*m, "scope", local);
  m->set_scheduler(&scheduler);
  EXPECT_EQ(scheduler.context.live, nullptr);
}

TEST(WaitUntil, AsksWhetherItIsReadyAndSaysSoWithoutAScheduler) {
  OneAgent scheduler;
  TestMachine<C> m;
  const auto is_seven = [](const int& number) { return number == 7; };
  int number = 6;
  EXPECT_FALSE((wait_until<C, int>(*m, Point::kReadCounts, number, is_seven)));
  m->set_scheduler(&scheduler);
  EXPECT_TRUE((wait_until<C, int>(*m, Point::kReadCounts, number, is_seven)));
  EXPECT_EQ(scheduler.refused, 1u);
  number = 7;
  EXPECT_TRUE((wait_until<C, int>(*m, Point::kReadCounts, number, is_seven)));
  EXPECT_EQ(scheduler.refused, 1u);
}

/// What a whole life of two processes leaves behind, and what it says on the way.
TEST(Operations, LeaveNoScopeAndNoLockBehind) {
  // The machine goes first, and asks the scheduler until then.
  OneAgent scheduler;
  std::size_t deepest = 0;
  TestMachine<C> m;
  scheduler.at_point = [&](Point) { deepest = std::max(deepest, depth_of(scheduler.context.live)); };
  m->set_scheduler(&scheduler);
  const auto settled = [&] { return scheduler.context.live == nullptr && !scheduler.context.held.any(); };

  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  EXPECT_TRUE(settled());
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  EXPECT_TRUE(settled());
  const PinId pin = m.pin(p, 0, 1, PinFlags::kWrite | PinFlags::kFast);
  EXPECT_TRUE(settled());
  const ProcessId child = m.fork(p);
  EXPECT_TRUE(settled());
  ASSERT_EQ(m.put(child, 0, 2), Errno{0});
  ASSERT_EQ(m.put(p, 1, 2), Errno{0});
  EXPECT_TRUE(clear_refs(*m, p, m.at(0), ByteCount{3 * m.kPageBytes}).ok());
  (void)try_share(*m, p, m.at(1));
  EXPECT_TRUE(settled());
  m.unpin(pin, true);
  m.reap(p, child);
  m.unmap(p, 0, 3);
  EXPECT_TRUE(settled());

  EXPECT_EQ(scheduler.refused, 0u);
  EXPECT_GE(deepest, 3u);
  for (const Point wanted : {Point::kAccess, Point::kMmapLock, Point::kSequence, Point::kTakeReference,
                             Point::kSetEntry, Point::kClearEntry, Point::kFlush, Point::kDropReference}) {
    EXPECT_NE(std::count(scheduler.points.begin(), scheduler.points.end(), wanted), 0)
        << kPoints[static_cast<std::size_t>(wanted)].name;
  }
  EXPECT_EQ(m.verify(), "");
}

}  // namespace
}  // namespace cowherd::mm
