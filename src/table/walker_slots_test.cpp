#include "table/walker_slots.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace cowherd {
namespace {

using Walkers = WalkerSlots<ProductionGeometry>;

constexpr std::uint64_t kRegion = std::uint64_t{1} << ProductionGeometry::kTableShift;
constexpr PageRange kHere{Vpn{kRegion}, Vpn{kRegion + 1}};
constexpr std::uint32_t kWalkedMm = 7;

/// Lets somebody wait while a walker is inside; whether the wait ended before the walker left.
bool waits_not(WalkerKind kind, std::uint32_t mm, PageRange pages, bool frees_tables) {
  Walkers slots;
  std::optional<Walkers::Inside> inside(std::in_place, slots, kWalkedMm, kHere.begin, kind);
  std::atomic<bool> returned{false};
  std::thread waiter([&] {
    slots.wait(mm, pages, frees_tables);
    returned = true;
  });
  // What need not wait returns by itself; what must wait is given time to do wrong.
  for (unsigned i = 0; i < 200 && !returned; ++i) std::this_thread::yield();
  const bool early = returned;
  inside.reset();
  waiter.join();
  return early;
}

TEST(WalkerSlots, WhoeverTakesPermissionsAwayWaitsForAccesses) {
  EXPECT_FALSE(waits_not(WalkerKind::kAccess, kWalkedMm, kHere, false));
  EXPECT_FALSE(waits_not(WalkerKind::kAccess, kWalkedMm, {Vpn{0}, Vpn{4 * kRegion}}, false));
}

TEST(WalkerSlots, WhoeverFreesTablesWaitsForEveryWalker) {
  EXPECT_FALSE(waits_not(WalkerKind::kGup, kWalkedMm, kHere, true));
  EXPECT_FALSE(waits_not(WalkerKind::kAccess, kWalkedMm, kHere, true));
}

TEST(WalkerSlots, NobodyWaitsForOthers) {
  Walkers slots;
  const Walkers::Inside gup(slots, kWalkedMm, kHere.begin, WalkerKind::kGup);
  slots.wait(kWalkedMm, kHere, false);
  slots.wait(kWalkedMm + 1, kHere, true);
  slots.wait(kWalkedMm, {Vpn{0}, kHere.begin}, true);
  slots.wait(kWalkedMm, {Vpn{2 * kRegion}, Vpn{3 * kRegion}}, true);
}

TEST(WalkerSlots, HasRoomForMoreWalkersThanOne) {
  Walkers slots;
  std::vector<std::unique_ptr<Walkers::Inside>> inside;
  for (int i = 0; i < 40; ++i)
    inside.push_back(std::make_unique<Walkers::Inside>(slots, kWalkedMm, kHere.begin, WalkerKind::kGup));
  inside.clear();
  slots.wait(kWalkedMm, kHere, true);
}

TEST(WalkerSlots, ReadersOfTheMmapLockAreNoWalkers) {
  Walkers slots;
  std::uint64_t* reader = slots.enter_reader(kWalkedMm);
  ASSERT_NE(reader, nullptr);
  slots.wait(kWalkedMm, {Vpn{0}, Vpn{Geometry<ProductionGeometry>::kUserPages}}, true);
  slots.wait_for_readers(kWalkedMm + 1);
  EXPECT_TRUE(slots.any_reader(kWalkedMm));
  EXPECT_FALSE(slots.any_reader(kWalkedMm + 1));
  Walkers::leave(*reader);
  EXPECT_FALSE(slots.any_reader(kWalkedMm));
  const Walkers::Inside walker(slots, kWalkedMm, kHere.begin, WalkerKind::kAccess);
  slots.wait_for_readers(kWalkedMm);
  EXPECT_FALSE(slots.any_reader(kWalkedMm));
}

/// Pages that are given away as soon as nobody is inside: a walker never finds one that was given away behind an entry
/// that he read when he was inside already.
TEST(WalkerSlots, NobodyIsLeftBehindAnEntryThatWasCleared) {
  constexpr unsigned kRounds = 300;
  Walkers slots;
  std::atomic<std::uint64_t> entry{1};
  std::vector<std::atomic<bool>> given_away(kRounds + 2);
  std::atomic<bool> over{false};
  std::atomic<unsigned> caught{0};
  std::vector<std::thread> walkers;
  for (int i = 0; i < 3; ++i) {
    walkers.emplace_back([&] {
      while (!over) {
        const Walkers::Inside inside(slots, kWalkedMm, kHere.begin, WalkerKind::kAccess);
        const std::uint64_t page = entry.load();
        if (page != 0 && given_away[page].load()) ++caught;
      }
    });
  }
  for (std::uint64_t page = 1; page <= kRounds; ++page) {
    entry.store(0);
    slots.wait(kWalkedMm, kHere, false);
    given_away[page] = true;
    entry.store(page + 1);
  }
  over = true;
  for (std::thread& walker : walkers) walker.join();
  EXPECT_EQ(caught.load(), 0u);
}

}  // namespace
}  // namespace cowherd
