// Swap, merging, secret memory and what the kernel shows of a page, on the kernel at hand.

#include <gtest/gtest.h>

#include "live/play_test.hpp"

namespace cowherd::live {
namespace {

TEST(StageKernel, APageLeavesMemoryAndComesBack) {
  Play play(
      "P0() { r0 = swapout(x); r1 = swapout(x); r2 = swapin(x); r3 = swapin(x); r4 = swapout(u); r5 = swapout(x); "
      "r6 = READ_ONCE(*x); swapout(y[1]); }\nlocations [swapped(0:x); swapped(0:y[1]);]");
  SKIP_UNLESS_PLAYED(play);
  const std::int64_t expected[] = {0, -14, 0, -14, -14, 0, 1};
  for (std::uint8_t i = 0; i < 7; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
  EXPECT_EQ(play.term(0), 0);
  // Never written, so that there was nothing to take.
  EXPECT_EQ(play.term(1), 0);
}

TEST(StageKernel, WhoLooksSeesThePageInSwap) {
  Play play("P0() { WRITE_ONCE(*y, 5); r0 = swapout(y[0]); }\nlocations [swapped(0:y[0]); frame(0:y[0]); rss(P0);]");
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.term(0), 1);
  EXPECT_EQ(play.term(1), -1);
  EXPECT_EQ(play.term(2), 1);
}

TEST(StageKernel, APinnedAndALockedPageStay) {
  Play pinned("P0() { r0 = pin(d, x, FOLL_WRITE | FOLL_LONGTERM); r1 = swapout(x); r2 = unpin(d); r3 = swapout(x); }");
  SKIP_UNLESS_PLAYED(pinned);
  EXPECT_EQ(pinned.reg(0, 1), -16);
  EXPECT_EQ(pinned.reg(0, 3), 0);
  Play locked("P0() { r0 = mlock(x); r1 = swapout(x); r2 = munlock(x); r3 = swapout(x); }");
  SKIP_UNLESS_PLAYED(locked);
  const std::int64_t expected[] = {0, -16, 0, 0};
  for (std::uint8_t i = 0; i < 4; ++i) EXPECT_EQ(locked.reg(0, i), expected[i]) << i;
}

TEST(StageKernel, APageOfTwoProcessesIsNotTakenAndTheTestDoesNotFit) {
  const litmus::Program test = program("P0() { fork(P1); r0 = swapout(x); } P1() { r0 = READ_ONCE(*x); }");
  const Plan plan = live::plan(test, shared_offers());
  if (!plan.skip.empty()) GTEST_SKIP() << plan.skip;
  Stage stage(shared_work());
  ASSERT_EQ(stage.open(test, plan.devices, plan.uses), "");
  Course course(test, stage);
  ASSERT_EQ(course.begin(), "");
  ASSERT_EQ(course.step(0).lost, "");
  const Answer answer = course.step(0);
  EXPECT_TRUE(answer.unfit);
  EXPECT_NE(answer.lost, "");
}

TEST(StageKernel, TwoPagesThatHoldTheSameBecomeOne) {
  constexpr const char* kSame = "x = anon(7001); y = anon(7001); z = anon(7002); d = device;";
  Play play(
      "P0() { r0 = ksm_merge(x, y); madvise(x, MADV_MERGEABLE); madvise(y, MADV_MERGEABLE); madvise(z, "
      "MADV_MERGEABLE); "
      "r1 = ksm_merge(x, y); r2 = ksm_merge(x, y); r3 = ksm_merge(x, z); }\n"
      "locations [frame(0:x); frame(0:y); mapcount(0:x); excl(0:x); excl(0:z);]",
      kSame);
  SKIP_UNLESS_PLAYED(play);
  const std::int64_t expected[] = {-22, 0, -22, -16};
  for (std::uint8_t i = 0; i < 4; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
  EXPECT_EQ(play.term(0), play.term(1));
  EXPECT_EQ(play.term(2), 2);
  EXPECT_EQ(play.term(3), 0);
  EXPECT_EQ(play.term(4), 1);

  Play third(
      "P0() { madvise(x, MADV_MERGEABLE); madvise(y, MADV_MERGEABLE); madvise(z, MADV_MERGEABLE); ksm_merge(x, y); "
      "r0 = ksm_merge(x, z); }",
      "x = anon(7003); y = anon(7003); z = anon(7003); d = device;");
  EXPECT_NE(third.reason().find("merges all"), std::string::npos) << third.reason();

  Play parted(
      "P0() { madvise(x, MADV_MERGEABLE); madvise(y, MADV_MERGEABLE); r0 = ksm_merge(x, y); r1 = ksm_unmerge(y); "
      "r2 = READ_ONCE(*y); }\nlocations [frame(0:x); frame(0:y);]",
      kSame);
  SKIP_UNLESS_PLAYED(parted);
  EXPECT_EQ(parted.reg(0, 1), 0);
  EXPECT_EQ(parted.reg(0, 2), 7001);
  EXPECT_NE(parted.term(0), parted.term(1));
}

TEST(StageKernel, ASecretIsNobodyElses) {
  Play play(
      "P0() { r0 = pin(d, s, FOLL_WRITE | FOLL_LONGTERM); fork(P1); wait(P1); r1 = READ_ONCE(*s); "
      "WRITE_ONCE(*s, 4); r2 = READ_ONCE(*s); } P1() { r0 = ptrace_read(P0:s); }",
      "s = secret(3); d = device;");
  SKIP_UNLESS_PLAYED(play);
  const std::int64_t expected[] = {-14, 3, 4};
  for (std::uint8_t i = 0; i < 3; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
  EXPECT_EQ(play.reg(1, 0), -14);

  Play inherited("P0() { fork(P1); } P1() { r0 = READ_ONCE(*s); }", "s = secret(3);");
  EXPECT_NE(inherited.reason(), "");
}

TEST(StageKernel, AForkTakesTheExclusiveMarkAndACopyHasItsOwn) {
  Play play(
      "P0() { fork(P1); r0 = READ_ONCE(*x); WRITE_ONCE(y[0], 2); } P1() { r0 = READ_ONCE(*x); r1 = WRITE_ONCE(*y, 3); "
      "}\n"
      "locations [excl(0:x); excl(0:y[0]); excl(1:y[0]); excl(0:z); excl(0:u);]");
  SKIP_UNLESS_PLAYED(play);
  const std::int64_t expected[] = {0, 1, 1, 0, -1};
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(play.term(i), expected[i]) << i;
}

}  // namespace
}  // namespace cowherd::live
