#include "measure/bound.hpp"

#include <gtest/gtest.h>

namespace cowherd::measure {
namespace {

using Kind = Bound::Kind;

const Rounds kRounds = {.of_linux = {80, 70, 90}, .floor = {3, 4, 2}, .ours = {7, 8, 6}};

TEST(Bound, AbsoluteOnesLookAtTheMedian) {
  EXPECT_EQ(judge(Bound{Kind::kAtMost, 7}, kRounds), Met::kYes);
  EXPECT_EQ(judge(Bound{Kind::kAtMost, 6.9}, kRounds), Met::kNo);
  EXPECT_EQ(judge(Bound{Kind::kAtLeast, 7}, kRounds), Met::kYes);
  EXPECT_EQ(judge(Bound{Kind::kAtLeast, 7.1}, kRounds), Met::kNo);
}

TEST(Bound, ThoseAgainstTheFloorLookAtEachRound) {
  // 7/3, 8/4, 6/2: the median is 7/3; of the differences 4, 4, 4.
  EXPECT_EQ(judge(Bound{Kind::kAtMostTimesFloor, 2.34}, kRounds), Met::kYes);
  EXPECT_EQ(judge(Bound{Kind::kAtMostTimesFloor, 2.3}, kRounds), Met::kNo);
  EXPECT_EQ(judge(Bound{Kind::kAtLeastTimesFloor, 2.3}, kRounds), Met::kYes);
  EXPECT_EQ(judge(Bound{Kind::kAtLeastTimesFloor, 2.34}, kRounds), Met::kNo);
  EXPECT_EQ(judge(Bound{Kind::kAtMostFloorPlus, 4}, kRounds), Met::kYes);
  EXPECT_EQ(judge(Bound{Kind::kAtMostFloorPlus, 3.9}, kRounds), Met::kNo);
}

TEST(Bound, LinuxHasToBeSoManyTimesSlower) {
  // 80/7, 70/8, 90/6: the median is 80/7 = 11.4.
  EXPECT_EQ(judge(Bound{Kind::kTimesBetterThanLinux, 11.4}, kRounds), Met::kYes);
  EXPECT_EQ(judge(Bound{Kind::kTimesBetterThanLinux, 11.5}, kRounds), Met::kNo);
}

TEST(Bound, NothingIsSaidWithoutTheSideThatItComparesWith) {
  const Rounds alone = {.of_linux = {}, .floor = {}, .ours = {5}};
  EXPECT_EQ(judge(Bound{Kind::kTimesBetterThanLinux, 1}, alone), Met::kUnknown);
  EXPECT_EQ(judge(Bound{Kind::kAtMostTimesFloor, 1}, alone), Met::kUnknown);
  EXPECT_EQ(judge(Bound{Kind::kAtMostFloorPlus, 1}, alone), Met::kUnknown);
  EXPECT_EQ(judge(Bound{Kind::kAtMost, 9}, Rounds{}), Met::kUnknown);
}

TEST(Bound, OneThatIsNotMetOutweighsOneThatIsUnknown) {
  const Rounds alone = {.of_linux = {}, .floor = {}, .ours = {5}};
  const Bound unknown{Kind::kTimesBetterThanLinux, 1};
  EXPECT_EQ(judge({Bound{Kind::kAtMost, 9}, unknown}, alone), Met::kUnknown);
  EXPECT_EQ(judge({unknown, Bound{Kind::kAtMost, 4}}, alone), Met::kNo);
  EXPECT_EQ(judge({Bound{Kind::kAtMost, 9}}, alone), Met::kYes);
  EXPECT_EQ(judge(std::vector<Bound>{}, alone), Met::kUnknown);
}

TEST(Bound, AtAnotherPaceTimesAndRatesAreOthersAndRatiosAreNot) {
  const std::vector<Bound> here = at_pace({{Kind::kAtMost, 7},
                                           {Kind::kAtMostFloorPlus, 150},
                                           {Kind::kAtLeast, 25000},
                                           {Kind::kAtMostTimesFloor, 2.5},
                                           {Kind::kAtLeastTimesFloor, 0.9},
                                           {Kind::kTimesBetterThanLinux, 8}},
                                          2);
  EXPECT_EQ(text_of(here), "<= 14, <= floor + 300, >= 12500, <= 2.5x floor, >= 0.9x floor, >= 8x Linux");
}

TEST(Bound, ReadsAsTheTableOfGoalsDoes) {
  EXPECT_EQ(text_of({{Kind::kAtMost, 7}, {Kind::kAtMostTimesFloor, 2.5}, {Kind::kTimesBetterThanLinux, 8}}),
            "<= 7, <= 2.5x floor, >= 8x Linux");
  EXPECT_EQ(text_of({{Kind::kAtMostFloorPlus, 150}, {Kind::kAtLeast, 1.8}, {Kind::kAtLeastTimesFloor, 0.9}}),
            "<= floor + 150, >= 1.8, >= 0.9x floor");
}

}  // namespace
}  // namespace cowherd::measure
