#include "check/livelock.hpp"

#include <gtest/gtest.h>

#include <map>

namespace cowherd::check {
namespace {

constexpr BlockSet kBoth = bit_of(0) | bit_of(1);

std::optional<Livelock> find(const std::vector<Circling>& steps, const std::map<std::uint32_t, BlockSet>& runnable) {
  return find_livelock(steps, 8, [&](std::uint32_t state) {
    const auto found = runnable.find(state);
    return found == runnable.end() ? BlockSet{0} : found->second;
  });
}

TEST(Livelock, NeedsACycle) {
  EXPECT_FALSE(find({}, {}));
  EXPECT_FALSE(find({{0, 1, 0}, {0, 2, 1}, {1, 3, 1}, {2, 3, 0}}, {{0, kBoth}, {1, kBoth}, {2, kBoth}, {3, kBoth}}));
}

TEST(Livelock, OneBlockAloneGoesRound) {
  const auto found = find({{0, 1, 0}, {1, 2, 0}, {2, 1, 0}}, {{0, 1}, {1, 1}, {2, 1}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state, 1u);
  EXPECT_EQ(found->round, (std::vector<Move>{0, 0}));
}

TEST(Livelock, AStepToItselfIsACycle) {
  const auto found = find({{3, 3, 0}}, {{3, 1}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->round, (std::vector<Move>{0}));
}

TEST(Livelock, WhoCouldAlwaysGoOnMustHaveATurn) {
  // Block 0 retries for as long as block 1 is kept from running: an unfair schedule, not a livelock.
  const std::vector<Circling> retry = {{1, 2, 0}, {2, 1, 0}};
  EXPECT_FALSE(find(retry, {{1, kBoth}, {2, kBoth}}));
  // In state 2 block 1 has to wait; nothing says that it ever goes on.
  EXPECT_TRUE(find(retry, {{1, kBoth}, {2, bit_of(0)}}));
  // Two blocks that answer each other for ever.
  const auto found = find({{1, 2, 0}, {2, 1, 1}}, {{1, kBoth}, {2, kBoth}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->round, (std::vector<Move>{0, 1}));
}

TEST(Livelock, AllOfAComponentCounts) {
  // Block 1 has its turn in another loop of the same component.
  const std::vector<Circling> steps = {{1, 2, 0}, {2, 1, 0}, {2, 3, 1}, {3, 2, 0}};
  EXPECT_TRUE(find(steps, {{1, kBoth}, {2, kBoth}, {3, kBoth}}));
}

TEST(Livelock, SecondMovesBelongToTheirBlock) {
  EXPECT_TRUE(find({{1, 2, move_of(1, 1)}, {2, 1, 0}}, {{1, kBoth}, {2, kBoth}}));
}

}  // namespace
}  // namespace cowherd::check
