#include "measure/arrangement.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace cowherd::measure {
namespace {

TEST(Arrangement, ShuffledIsEveryPageOnceAndNotInOrder) {
  const auto order = order_of(1000, true);
  EXPECT_EQ(std::set(order.begin(), order.end()).size(), 1000u);
  EXPECT_EQ(*std::max_element(order.begin(), order.end()), 999u);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(order, order_of(1000, true)) << "both sides have to get the same";
  EXPECT_TRUE(std::ranges::is_sorted(order_of(1000, false)));
}

TEST(Arrangement, ScatteredPagesAreDifferentAndWithinBounds) {
  for (const std::uint64_t count : {0u, 1u, 17u, 99u, 100u}) {
    const auto pages = scattered(count, 100);
    EXPECT_EQ(std::set(pages.begin(), pages.end()).size(), count);
    EXPECT_TRUE(pages.empty() || pages.back() < 100);
    EXPECT_TRUE(std::ranges::is_sorted(pages));
  }
}

TEST(Arrangement, AStampIsNeverZeroAndNeighboursDiffer) {
  for (std::uint64_t page = 0; page < 600; ++page) {
    EXPECT_NE(stamp(page), 0);
    EXPECT_NE(stamp(page), stamp(page + 1));
  }
}

}  // namespace
}  // namespace cowherd::measure
