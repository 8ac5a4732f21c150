#include "table/walker_slots.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace cowherd {
namespace {

using Slots = WalkerSlots<ProductionGeometry>;

constexpr std::uint64_t kRegion = std::uint64_t{1} << ProductionGeometry::kTableShift;
constexpr PageRange kHere{Vpn{kRegion}, Vpn{kRegion + 1}};
constexpr std::uint32_t kMm = 7;

/// Lets somebody wait while a walker is inside; whether the wait ended before the walker left.
bool waits_not(WalkerKind kind, std::uint32_t mm, PageRange pages, bool frees_tables) {
  Slots slots;
  std::optional<Slots::Inside> inside(std::in_place, slots, kMm, kHere.begin, kind);
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
  EXPECT_FALSE(waits_not(WalkerKind::kAccess, kMm, kHere, false));
  EXPECT_FALSE(waits_not(WalkerKind::kAccess, kMm, {Vpn{0}, Vpn{4 * kRegion}}, false));
}

TEST(WalkerSlots, WhoeverFreesTablesWaitsForEveryWalker) {
  EXPECT_FALSE(waits_not(WalkerKind::kGup, kMm, kHere, true));
  EXPECT_FALSE(waits_not(WalkerKind::kAccess, kMm, kHere, true));
}

TEST(WalkerSlots, NobodyWaitsForOthers) {
  Slots slots;
  const Slots::Inside gup(slots, kMm, kHere.begin, WalkerKind::kGup);
  slots.wait(kMm, kHere, false);
  slots.wait(kMm + 1, kHere, true);
  slots.wait(kMm, {Vpn{0}, kHere.begin}, true);
  slots.wait(kMm, {Vpn{2 * kRegion}, Vpn{3 * kRegion}}, true);
}

TEST(WalkerSlots, HasRoomForMoreWalkersThanOne) {
  Slots slots;
  std::vector<std::unique_ptr<Slots::Inside>> inside;
  for (int i = 0; i < 40; ++i)
    inside.push_back(std::make_unique<Slots::Inside>(slots, kMm, kHere.begin, WalkerKind::kGup));
  inside.clear();
  slots.wait(kMm, kHere, true);
}

TEST(WalkerSlots, ReadersOfTheMmapLockAreNoWalkers) {
  Slots slots;
  std::uint64_t* reader = slots.enter_reader(kMm);
  ASSERT_NE(reader, nullptr);
  slots.wait(kMm, {Vpn{0}, Vpn{Geometry<ProductionGeometry>::kUserPages}}, true);
  slots.wait_for_readers(kMm + 1);
  EXPECT_TRUE(slots.any_reader(kMm));
  EXPECT_FALSE(slots.any_reader(kMm + 1));
  Slots::leave(*reader);
  EXPECT_FALSE(slots.any_reader(kMm));
  const Slots::Inside walker(slots, kMm, kHere.begin, WalkerKind::kAccess);
  slots.wait_for_readers(kMm);
  EXPECT_FALSE(slots.any_reader(kMm));
}

/// Pages that are given away as soon as nobody is inside: a walker never finds one that was given away behind an entry
/// that he read when he was inside already.
TEST(WalkerSlots, NobodyIsLeftBehindAnEntryThatWasCleared) {
  constexpr unsigned kRounds = 300;
  Slots slots;
  std::atomic<std::uint64_t> entry{1};
  std::vector<std::atomic<bool>> given_away(kRounds + 2);
  std::atomic<bool> over{false};
  std::atomic<unsigned> caught{0};
  std::vector<std::thread> walkers;
  for (int i = 0; i < 3; ++i) {
    walkers.emplace_back([&] {
      while (!over) {
        const Slots::Inside inside(slots, kMm, kHere.begin, WalkerKind::kAccess);
        const std::uint64_t page = entry.load();
        if (page != 0 && given_away[page].load()) ++caught;
      }
    });
  }
  for (std::uint64_t page = 1; page <= kRounds; ++page) {
    entry.store(0);
    slots.wait(kMm, kHere, false);
    given_away[page] = true;
    entry.store(page + 1);
  }
  over = true;
  for (std::thread& walker : walkers) walker.join();
  EXPECT_EQ(caught.load(), 0u);
}

}  // namespace
}  // namespace cowherd
