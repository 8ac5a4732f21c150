#include "measure/spread.hpp"

#include <gtest/gtest.h>

namespace cowherd::measure {
namespace {

TEST(Spread, MedianOfAnOddNumberIsTheOneInTheMiddle) {
  EXPECT_EQ(spread_of({9, 1, 4}), (Spread{4, 1, 9}));
  EXPECT_EQ(spread_of({7}), (Spread{7, 7, 7}));
}

TEST(Spread, MedianOfAnEvenNumberIsBetweenTheTwoInTheMiddle) { EXPECT_EQ(spread_of({1, 8, 2, 4}), (Spread{3, 1, 8})); }

TEST(Spread, RatiosAreTakenRoundByRound) {
  // The rounds differ by a factor of two between them, the ratio does not: what a loaded machine does to both.
  EXPECT_EQ(ratios({10, 20}, {2, 4}), (std::vector<double>{5, 5}));
}

}  // namespace
}  // namespace cowherd::measure
