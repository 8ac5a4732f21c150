#include "check/races.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>

namespace cowherd::check {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
constexpr auto kAcqRel = std::memory_order_acq_rel;

/// Three agents, a word of data, a lock or flag, and places in a program that does not exist.
class Races : public testing::Test {
 protected:
  void SetUp() override { detector.begin(memory, 3); }

  template <class Do>
  bool step(std::size_t agent, Do&& what) {
    detector.runs(agent, 0);
    what();
    return detector.stops();
  }
  bool writes(std::size_t agent) {
    return step(agent, [&] { detector.plain(data, 8, true, &sites[agent]); });
  }
  bool reads(std::size_t agent) {
    return step(agent, [&] { detector.plain(data, 8, false, &sites[4 + agent]); });
  }
  bool writes_locked(std::size_t agent, std::memory_order take = kAcquire, std::memory_order drop = kRelease) {
    return step(agent, [&] {
      detector.atomic_change(flag, 4, take, nullptr);
      detector.plain(data, 8, true, &sites[agent]);
      detector.atomic_store(flag, 4, drop, nullptr);
    });
  }

  std::array<std::byte, 64> memory{};
  std::array<char, 8> sites{};
  const std::byte* data = &memory[8];
  const std::byte* flag = &memory[32];
  RaceDetector detector;
};

TEST_F(Races, TwoWritesThatNothingOrders) {
  EXPECT_FALSE(writes(0));
  EXPECT_TRUE(writes(1));
  ASSERT_EQ(detector.races().size(), 1u);
  const Race& race = detector.races()[0];
  EXPECT_EQ(race.offset, 8u);
  EXPECT_EQ(race.size, 8u);
  EXPECT_EQ(race.first.agent, 0);
  EXPECT_EQ(race.second.agent, 1);
  EXPECT_EQ(race.first.site, &sites[0]);
  EXPECT_EQ(race.second.site, &sites[1]);
}

TEST_F(Races, ReadAndWriteInEitherOrder) {
  EXPECT_FALSE(reads(0));
  EXPECT_FALSE(reads(1)) << "reads do not conflict";
  EXPECT_TRUE(writes(2));
  EXPECT_EQ(detector.races().size(), 2u) << "one with each reader";
}

TEST_F(Races, PartOfTheBytesIsEnough) {
  (void)step(0, [&] { detector.plain(data + 7, 1, true, &sites[0]); });
  EXPECT_FALSE(step(1, [&] { detector.plain(data, 7, true, &sites[1]); }));
  EXPECT_TRUE(step(1, [&] { detector.plain(data, 8, true, &sites[1]); }));
}

TEST_F(Races, ALockOrders) {
  EXPECT_FALSE(writes_locked(0));
  EXPECT_FALSE(writes_locked(1));
  EXPECT_FALSE(writes_locked(0));
  EXPECT_TRUE(reads(2)) << "who does not take it is not ordered";
}

TEST_F(Races, ALockThatDoesNotReleaseOrdersNothing) {
  EXPECT_FALSE(writes_locked(0, kAcquire, kRelaxed));
  EXPECT_TRUE(writes_locked(1));
}

TEST_F(Races, ALockThatDoesNotAcquireOrdersNothing) {
  EXPECT_FALSE(writes_locked(0));
  EXPECT_TRUE(writes_locked(1, kRelaxed, kRelease));
}

TEST_F(Races, WhatIsDoneAfterTheReleaseIsNotCovered) {
  (void)writes_locked(0);
  (void)writes(0);
  EXPECT_TRUE(writes_locked(1));
}

TEST_F(Races, ReadModifyWriteCarriesOnWhatWasReleased) {
  (void)step(0, [&] {
    detector.plain(data, 8, true, &sites[0]);
    detector.atomic_store(flag, 4, kRelease, nullptr);
  });
  (void)step(2, [&] { detector.atomic_change(flag, 4, kRelaxed, nullptr); });
  EXPECT_FALSE(step(1, [&] {
    detector.atomic_load(flag, 4, kAcquire, nullptr);
    detector.plain(data, 8, false, &sites[1]);
  }));
}

TEST_F(Races, APlainStoreInBetweenDoesNot) {
  (void)step(0, [&] {
    detector.plain(data, 8, true, &sites[0]);
    detector.atomic_store(flag, 4, kRelease, nullptr);
  });
  (void)step(2, [&] { detector.atomic_store(flag, 4, kRelaxed, nullptr); });
  EXPECT_TRUE(step(1, [&] {
    detector.atomic_load(flag, 4, kAcquire, nullptr);
    detector.plain(data, 8, false, &sites[1]);
  }));
}

TEST_F(Races, AtomicsDoNotRaceWithAtomics) {
  (void)step(0, [&] { detector.atomic_store(data, 8, kRelaxed, &sites[0]); });
  EXPECT_FALSE(step(1, [&] { detector.atomic_change(data, 8, kAcqRel, &sites[1]); }));
  EXPECT_TRUE(reads(2)) << "but with a plain access";
}

TEST_F(Races, WhoIsStartedOrWaitedForIsOrdered) {
  (void)writes(0);
  detector.ordered(0, 1);
  EXPECT_FALSE(writes(1));
  EXPECT_TRUE(writes(0)) << "only up to then";
}

TEST_F(Races, WhoIsToldOfAnAgentKnowsWhatItsStarterHadDone) {
  (void)writes(0);
  detector.starts(0, 1);
  detector.meets(2, 1);
  EXPECT_FALSE(reads(2));
  detector.rewind(0);
  (void)writes(0);
  detector.starts(0, 1);
  EXPECT_TRUE(reads(2)) << "nobody has told it";
}

TEST_F(Races, AFlushComesAfterAccessesThroughPageTables) {
  (void)step(0, [&] {
    detector.passes(Point::kAccess);
    detector.plain(data, 8, false, &sites[0]);
  });
  EXPECT_FALSE(step(1, [&] {
    detector.flushed();
    detector.plain(data, 8, true, &sites[1]);
  }));
}

TEST_F(Races, FreeingATableComesAfterThemToo) {
  (void)step(0, [&] {
    detector.passes(Point::kAccess);
    detector.plain(data, 8, false, &sites[0]);
  });
  EXPECT_FALSE(step(1, [&] {
    detector.passes(Point::kFreeTable);
    detector.plain(data, 8, true, &sites[1]);
  }));
}

TEST_F(Races, WhatAnAgentIsAskedIsNoAccess) {
  (void)step(0, [&] {
    detector.asks();
    EXPECT_FALSE(detector.watches());
    detector.passes(Point::kAccess);
    EXPECT_TRUE(detector.watches());
  });
}

TEST_F(Races, AFlushOrdersNothingElse) {
  (void)reads(0);
  EXPECT_TRUE(step(1, [&] {
    detector.flushed();
    detector.plain(data, 8, true, &sites[1]);
  }));
}

TEST_F(Races, APathIsTakenBack) {
  (void)writes_locked(0);
  const std::size_t mark = detector.mark();
  EXPECT_FALSE(writes_locked(1));
  detector.rewind(mark);
  EXPECT_TRUE(writes(1)) << "its lock was on the other path";
  detector.rewind(mark);
  EXPECT_FALSE(writes_locked(2)) << "what agent 1 did was on other paths";
  detector.rewind(0);
  EXPECT_FALSE(writes(1));
}

}  // namespace
}  // namespace cowherd::check
