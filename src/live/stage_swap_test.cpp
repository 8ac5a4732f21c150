// Memory that processes share, and memfds, to swap and back, on the kernel at hand.

#include <gtest/gtest.h>

#include "live/play_test.hpp"

namespace cowherd::live {
namespace {

TEST(StageSwap, MemoryThatIsSharedLeavesAndComesBack) {
  Play play(
      "P0() { r0 = swapout(s); r1 = swapin(s); WRITE_ONCE(*s, 5); r2 = swapout(s); r3 = swapout(s); r4 = swapin(s); "
      "r5 = swapin(s); r6 = swapout(s); r7 = READ_ONCE(*s); }\nlocations [rss(P0);]",
      "s = anon shared;");
  SKIP_UNLESS_PLAYED(play);
  // What nobody has written is not there; what has left is mapped by nobody when it comes back.
  const std::int64_t expected[] = {-14, -14, 0, -14, 0, -14, 0, 5};
  for (std::uint8_t i = 0; i < 8; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
  EXPECT_EQ(play.term(0), 1);
}

TEST(StageSwap, APageOfAMemfdNeedsNoMapping) {
  Play play(
      "P0() { r0 = swapout(x); r1 = swapin(y); r2 = swapout(y); munmap(x); r3 = swapout(x); r4 = read(f); "
      "r5 = swapin(y); }",
      "f = memfd(3); x = f shared; y = f private;");
  SKIP_UNLESS_PLAYED(play);
  const std::int64_t expected[] = {0, 0, 0, -14, 3, -14};
  for (std::uint8_t i = 0; i < 6; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
}

TEST(StageSwap, APrivateCopyGoesAlone) {
  Play play("P0() { WRITE_ONCE(*y, 4); r0 = swapout(y); r1 = read(f); r2 = swapin(y); r3 = READ_ONCE(*y); }",
            "f = memfd(3); x = f shared; y = f private;");
  SKIP_UNLESS_PLAYED(play);
  const std::int64_t expected[] = {0, 3, 0, 4};
  for (std::uint8_t i = 0; i < 4; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
}

TEST(StageSwap, APageOfTwoProcessesLeavesBoth) {
  Play play(
      "P0() { r0 = READ_ONCE(*x); fork(P1); wait(P1); }"
      " P1() { r0 = READ_ONCE(*x); r1 = swapout(x); }\nlocations [swapped(0:x); rss(P0);]",
      "f = memfd(3); x = f shared;");
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(1, 1), 0);
  EXPECT_EQ(play.term(0), 1);
  EXPECT_EQ(play.term(1), 0);
}

TEST(StageSwap, WhoHasItLockedKeepsItForAll) {
  Play play("P0() { mlock(x); r0 = swapout(y); munlock(x); r1 = swapout(y); }",
            "f = memfd(3); x = f shared; y = f private;");
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(0, 0), -16);
  EXPECT_EQ(play.reg(0, 1), 0);
}

}  // namespace
}  // namespace cowherd::live
