#include "live/huge_pool.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "live/play_test.hpp"

namespace cowherd::live {
namespace {

std::int64_t pages_of_machine() {
  std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
  std::int64_t pages = -1;
  file >> pages;
  return pages;
}

TEST(HugePool, IsAsLargeAsWantedAndThenAsItWas) {
  (void)shared_offers();
  shared_work().put_back();
  const std::int64_t before = pages_of_machine();
  {
    Keeper keeper;
    HugePool pool;
    if (std::string problem = pool.open(keeper, 2, true); !problem.empty()) GTEST_SKIP() << problem;
    EXPECT_EQ(pool.counts()->free, 2);
    EXPECT_EQ(pool.open(keeper, 1, true), "");
    EXPECT_EQ(pool.counts()->free, 1);
    EXPECT_TRUE(pool.is_whole());
    EXPECT_EQ(pool.open(keeper, 1, false), "");
  }
  EXPECT_EQ(pages_of_machine(), before);
}

TEST(HugePool, MoreThanTheMachineHasIsRefused) {
  (void)shared_offers();
  shared_work().put_back();
  const std::int64_t before = pages_of_machine();
  {
    Keeper keeper;
    HugePool pool;
    const std::string problem = pool.open(keeper, 1u << 24, true);
    EXPECT_NE(problem, "");
    const bool said = problem.starts_with("no free huge pages") || problem.find("in use") != std::string::npos;
    EXPECT_TRUE(before < 0 || said) << problem;
  }
  EXPECT_EQ(pages_of_machine(), before);
}

TEST(HugePool, AnEmptyPoolTakesThePageFromTheChild) {
  Play play(
      "P0() { fork(P1); r0 = WRITE_ONCE(*x, 2); r1 = READ_ONCE(*x); wait(P1); } P1() { r0 = READ_ONCE(x[3]); }\n"
      "locations [pool(free); pool(reserved); huge(0:x); rss(P0);]",
      "hugepages = 1; x = hugetlb(1);");
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(0, 0), 0);
  EXPECT_EQ(play.reg(0, 1), 2);
  EXPECT_EQ(play.reg(1, 0), -1007);
  EXPECT_EQ(play.term(0), 0);
  EXPECT_EQ(play.term(1), 0);
  EXPECT_EQ(play.term(2), 1);
  EXPECT_EQ(play.term(3), 0);
}

TEST(HugePool, SharedPagesAndThoseWithoutAPromise) {
  Play play(
      "P0() { r0 = WRITE_ONCE(*s, 2); fork(P1); r1 = WRITE_ONCE(*n, 3); r2 = WRITE_ONCE(n[4], 4); wait(P1); "
      "r3 = READ_ONCE(*s); } P1() { WRITE_ONCE(*s, 5); }\nlocations [pool(free); pool(reserved);]",
      "hugepages = 2; s = hugetlb shared; n = hugetlb[8] noreserve;");
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(0, 1), 0);
  EXPECT_EQ(play.reg(0, 2), -1007);
  EXPECT_EQ(play.reg(0, 3), 5);
  EXPECT_EQ(play.term(0), 0);
  EXPECT_EQ(play.term(1), 0);
}

}  // namespace
}  // namespace cowherd::live
