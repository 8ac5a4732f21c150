#include "measure/run.hpp"

#include <gtest/gtest.h>

namespace cowherd::measure {
namespace {

double figure_of_linux = 0;

Figure linux_side(const Load& /*load*/) { return Figure::measured(figure_of_linux += 10); }
Figure floor_side(const Load& load) { return Figure::measured(static_cast<double>(load.pages)); }
Figure ours_side(const Load& /*load*/) { return Figure::measured(5); }
Figure absent_side(const Load& /*load*/) { return Figure::unavailable("the call is refused"); }
Figure wrong_side(const Load& /*load*/) { return Figure::wrong("a page is gone"); }

constexpr Load kLoad = {.pages = 3};

TEST(RunLine, TakesOneFigureOfEachSideInEachRound) {
  const Line line = {
      .row = "1", .what = "x", .unit = "ns", .of_linux = linux_side, .floor = floor_side, .ours = ours_side};
  figure_of_linux = 0;
  const Result result = run_line(line, kLoad, 3);
  EXPECT_EQ(result.rounds.of_linux, (std::vector<double>{10, 20, 30}));
  EXPECT_EQ(result.rounds.floor, (std::vector<double>{3, 3, 3}));
  EXPECT_EQ(result.rounds.ours, (std::vector<double>{5, 5, 5}));
}

TEST(RunLine, ASideThatCannotBeMeasuredLeavesTheOthers) {
  const Line line = {.row = "1", .what = "x", .unit = "ns", .of_linux = absent_side, .ours = ours_side};
  const Result result = run_line(line, kLoad, 2);
  EXPECT_EQ(result.linux_missing, "the call is refused");
  EXPECT_TRUE(result.rounds.of_linux.empty());
  EXPECT_EQ(result.rounds.ours.size(), 2u);
}

TEST(RunLine, AFailedCheckOfAnySideLeavesNoFiguresAtAll) {
  for (const Side side : {linux_side, wrong_side}) {
    const bool linux_fails = side == wrong_side;
    const Line line = {.row = "1",
                       .what = "x",
                       .unit = "ns",
                       .of_linux = side,
                       .floor = floor_side,
                       .ours = linux_fails ? ours_side : wrong_side};
    const Result result = run_line(line, kLoad, 2);
    EXPECT_EQ(result.wrong, linux_fails ? "Linux: a page is gone" : "ours: a page is gone");
    EXPECT_TRUE(result.rounds.ours.empty() && result.rounds.of_linux.empty() && result.rounds.floor.empty());
    EXPECT_EQ(result.must(), Met::kUnknown);
  }
}

TEST(RunLine, WhereOursCannotBeMeasuredNothingIs) {
  const Line line = {
      .row = "1", .what = "x", .unit = "ns", .pins = kLoad.pages + 1, .of_linux = wrong_side, .ours = wrong_side};
  const Result result = run_line(line, kLoad, 2);
  EXPECT_EQ(result.ours_missing, "more pins than pages");
  EXPECT_TRUE(result.wrong.empty()) << "Linux's side was run for nothing";
}

TEST(Pace, IsThatOfTheLinesOwnFloorAtItsBestWhereItIsKnownThere) {
  const Pace pace = {.here = 2 * Pace::kThere};
  const Rounds rounds = {.of_linux = {}, .floor = {9, 8, 12}, .ours = {20, 20, 20}};
  Line line = {.row = "1", .what = "x", .unit = "ns", .floor = floor_side, .ours = ours_side, .floor_there = 4};
  EXPECT_DOUBLE_EQ(pace_of(line, rounds, pace), 2);
  EXPECT_DOUBLE_EQ(pace_of(line, Rounds{}, pace), 2) << "without floor figures";
  line.floor_there = 0;
  EXPECT_DOUBLE_EQ(pace_of(line, rounds, {.here = 3 * Pace::kThere}), 3);
  line.timed = false;
  EXPECT_EQ(pace_of(line, rounds, pace), 0);
}

}  // namespace
}  // namespace cowherd::measure
