#include "live/crowd.hpp"

#include <gtest/gtest.h>

#include <bit>

#include "live/play_test.hpp"

namespace cowherd::live {
namespace {

/// Plays the test so often; calls visit(course) after each run, and visit_round(round) after each round.
template <class Visit, class VisitRound>
std::string play_freely(const litmus::Program& test, unsigned runs, Visit visit, VisitRound visit_round) {
  const Plan plan = live::plan(test, shared_offers());
  if (!plan.skip.empty()) return plan.skip;
  Stage stage(shared_work(), std::chrono::seconds(10), Stage::Processors::kAll);
  if (std::string problem = stage.open(test, plan.devices, plan.uses); !problem.empty()) return problem;
  Crowd crowd(stage);
  Course course(test, crowd);
  litmus::Random random(1);
  for (unsigned run = 0; run < runs; ++run) {
    if (std::string problem = course.begin(); !problem.empty()) return problem;
    while (course.runnable() != 0) {
      const Crowd::Round round = crowd.round(course, random);
      if (!round.lost.lost.empty()) return round.lost.lost;
      visit_round(round);
    }
    EXPECT_EQ(course.unfinished(), 0);
    visit(course);
  }
  return {};
}

TEST(Crowd, SeveralBlocksGoOnAtOnceAndEachInItsOrder) {
  const litmus::Program test = program(
      "P0() { thread(P1); r0 = READ_ONCE(*x); WRITE_ONCE(*x, 2); r1 = READ_ONCE(x.1); } "
      "P1() { WRITE_ONCE(x.1, 5); r0 = READ_ONCE(*x); fork(P2); } P2() { r0 = READ_ONCE(x.1); }");
  unsigned together = 0;
  const std::string problem = play_freely(
      test, 40,
      [](Course& course) {
        EXPECT_EQ(course.reg(0, 0), 1);
        EXPECT_TRUE(course.reg(0, 1) == 0 || course.reg(0, 1) == 5) << course.reg(0, 1);
        EXPECT_TRUE(course.reg(1, 0) == 1 || course.reg(1, 0) == 2) << course.reg(1, 0);
        EXPECT_EQ(course.reg(2, 0), 5);
      },
      [&together](const Crowd::Round& round) { together += std::popcount(round.blocks) > 1 ? 1u : 0u; });
  ASSERT_EQ(problem, "");
  EXPECT_GT(together, 0u);
}

TEST(Crowd, ADeviceAndItsOwnerAtTheSameTime) {
  const litmus::Program test = program(
      "P0() { pin(d, x, FOLL_WRITE | FOLL_LONGTERM); fork(P1); WRITE_ONCE(*x, 2); wait(P1); } "
      "P1() { r0 = READ_ONCE(*x); }\ndevice D0() { r0 = dma_read(d); r1 = dma_read(d); }");
  const std::string problem = play_freely(
      test, 40,
      [](Course& course) {
        EXPECT_EQ(course.reg(1, 0), 1);
        for (std::uint8_t number = 0; number < 2; ++number) {
          const std::int64_t seen = course.reg(2, number);
          // ENXIO before it is pinned.
          EXPECT_TRUE(seen == 1 || seen == 2 || seen == -6) << seen;
        }
        EXPECT_LE(course.reg(2, 0), course.reg(2, 1));
      },
      [](const Crowd::Round&) {});
  if (!problem.empty()) GTEST_SKIP() << problem;
}

TEST(Crowd, AnOperationIsNotDoneBeforeItsTime) {
  const litmus::Program test = program("P0() { r0 = READ_ONCE(*x); }");
  Stage stage(shared_work());
  ASSERT_EQ(stage.open(test, {DevicePlan{}}), "");
  Course course(test, stage);
  ASSERT_EQ(course.begin(), "");
  const auto when = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
  stage.hold_back(0, std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count());
  ASSERT_EQ(course.step(0).lost, "");
  EXPECT_GE(std::chrono::steady_clock::now(), when);
}

}  // namespace
}  // namespace cowherd::live
