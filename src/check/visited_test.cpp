#include "check/visited.hpp"

#include <gtest/gtest.h>

namespace cowherd::check {
namespace {

std::uint64_t scattered(std::uint64_t i) { return i * 0x9e3779b97f4a7c15u; }

TEST(VisitedSet, KeepsTheFirstNumberOfEachHashThroughGrowth) {
  VisitedSet set;
  constexpr std::uint32_t kStates = 10'000;
  for (std::uint32_t i = 0; i < kStates; ++i) {
    const auto [number, is_new] = set.insert(scattered(i), i);
    ASSERT_TRUE(is_new);
    ASSERT_EQ(number, i);
  }
  for (std::uint32_t i = 0; i < kStates; ++i) {
    const auto [number, is_new] = set.insert(scattered(i), kStates + i);
    ASSERT_FALSE(is_new);
    ASSERT_EQ(number, i);
  }
}

TEST(VisitedSet, HashesThatMeetInOneSlotStayApart) {
  VisitedSet set;
  const std::uint64_t high = std::uint64_t{1} << 60;
  EXPECT_TRUE(set.insert(7, 1).second);
  EXPECT_TRUE(set.insert(7 + high, 2).second);
  EXPECT_TRUE(set.insert(0, 3).second);
  EXPECT_EQ(set.insert(7 + high, 4).first, 2u);
  EXPECT_EQ(set.insert(7, 4).first, 1u);
  EXPECT_EQ(set.insert(0, 4).first, 3u);
}

TEST(VisitedSet, RenameGivesTheHashAnotherState) {
  VisitedSet set;
  set.insert(5, 1);
  set.rename(5, 9);
  EXPECT_EQ(set.insert(5, 2).first, 9u);
}

TEST(VisitedSet, ClearForgets) {
  VisitedSet set;
  for (std::uint32_t i = 0; i < 1000; ++i) set.insert(scattered(i), i);
  const std::size_t grown = set.bytes();
  set.clear();
  EXPECT_LT(set.bytes(), grown);
  EXPECT_TRUE(set.insert(scattered(3), 0).second);
}

}  // namespace
}  // namespace cowherd::check
