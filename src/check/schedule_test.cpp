#include "check/schedule.hpp"

#include <gtest/gtest.h>

namespace cowherd::check {
namespace {

TEST(Schedule, IsWrittenAndReadBack) {
  const std::vector<ScheduleRun> runs = {
      {0, 2, "0123456789abcdef"}, {move_of(1, 1), 1, "fedcba9876543210"}, {7, 3, ""}};
  EXPECT_EQ(print_schedule(runs, false), "0*2 1! 7*3");
  EXPECT_EQ(print_schedule(runs, true), "0*2=0123456789abcdef 1!=fedcba9876543210 7*3");
  std::string error;
  EXPECT_EQ(parse_schedule(print_schedule(runs, true), error), runs);
  EXPECT_EQ(error, "");
}

TEST(Schedule, BlanksDoNotMatter) {
  std::string error;
  const auto runs = parse_schedule("  0*2\t1\r\n 0 ", error);
  ASSERT_TRUE(runs.has_value());
  EXPECT_EQ(print_schedule(*runs, false), "0*2 1 0");
  EXPECT_TRUE(parse_schedule("", error)->empty());
}

TEST(Schedule, HashesStandWhereAnotherBlockGoesOn) {
  const Move other_way = move_of(0, 1);
  const std::vector<ScheduleStep> steps = {{0, "a"}, {0, "b"}, {other_way, "c"}, {0, "d"}, {1, "e"}, {1, "f"}};
  const std::vector<ScheduleRun> runs = {{0, 2, ""}, {other_way, 1, ""}, {0, 1, "d"}, {1, 2, "f"}};
  EXPECT_EQ(runs_of(steps), runs);
}

class BadSchedule : public testing::TestWithParam<const char*> {};

TEST_P(BadSchedule, IsRefusedWithTheCulprit) {
  std::string error;
  EXPECT_FALSE(parse_schedule(GetParam(), error).has_value());
  EXPECT_NE(error, "");
}

INSTANTIATE_TEST_SUITE_P(All, BadSchedule,
                         testing::Values("x", "0*0", "0*", "*2", "8", "-1", "0=12", "0=0123456789ABCDEF",
                                         "0*2=", "0**2", "0*600000 1*600000", "0!!", "!0", "0*2!", "0,1",
                                         "99999999999999999999"));

}  // namespace
}  // namespace cowherd::check
