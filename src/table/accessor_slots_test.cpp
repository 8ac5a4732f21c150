#include "table/accessor_slots.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

namespace cowherd {
namespace {

using Slots = AccessorSlots<ProductionGeometry>;

constexpr std::uint32_t kMm = 7;

struct Waits {
  bool flush;
  bool walks;
};

/// Which of the two waits for an accessor of `kMm` whose slot says `state`, until it says "outside".
Waits waits_for(std::uint64_t state, std::uint32_t mm) {
  Waits waits{};
  for (bool* const which : {&waits.flush, &waits.walks}) {
    const auto slots = std::make_unique<Slots>();
    AccessorSlot& slot = *slots->claim(kMm, true);
    std::atomic_ref(slot.state).store(state);
    std::atomic<bool> returned{false};
    std::thread waiter([&] {
      which == &waits.flush ? slots->flush(mm) : slots->wait_for_walks(mm);
      returned = true;
    });
    // What need not wait returns by itself; what must wait is given time to do wrong.
    for (unsigned i = 0; i < 200 && !returned; ++i) std::this_thread::yield();
    if (!returned) {
      *which = true;
      std::atomic_ref(slot.state).store(AccessorSlot::kOutside);
    }
    waiter.join();
  }
  return waits;
}

TEST(AccessorSlots, WhoeverIsInsideIsWaitedFor) {
  EXPECT_TRUE(waits_for(AccessorSlot::kInside, kMm).flush);
  const Waits walking = waits_for(std::uint64_t{5} << AccessorSlot::kVisitShift | AccessorSlot::kWalking, kMm);
  EXPECT_TRUE(walking.flush);
  EXPECT_TRUE(walking.walks);
}

TEST(AccessorSlots, NobodyWaitsForOthers) {
  Slots slots;
  AccessorSlot& slot = *slots.claim(kMm, true);
  for (const std::uint64_t state : {AccessorSlot::kOutside, AccessorSlot::kAway}) {
    std::atomic_ref(slot.state).store(state);
    slots.flush(kMm);
    slots.wait_for_walks(kMm);
  }
  std::atomic_ref(slot.state).store(AccessorSlot::kInside);
  slots.wait_for_walks(kMm);
  slots.flush(kMm + 1);
}

TEST(AccessorSlots, WhoHeedsTheGenerationIsNotWaitedFor) {
  Slots slots;
  AccessorSlot& slot = *slots.claim(kMm, true);
  std::atomic_ref(slot.state).store(AccessorSlot::kInside);
  std::atomic_ref(slot.heeded).store(1);
  slots.flush(kMm);
  EXPECT_EQ(slot.generation, 1u);
}

TEST(AccessorSlots, AreGivenBack) {
  Slots slots;
  EXPECT_FALSE(slots.any(kMm));
  AccessorSlot* const first = slots.claim(kMm, false);
  EXPECT_TRUE(slots.any(kMm));
  EXPECT_FALSE(slots.any(kMm + 1));
  std::size_t more = 0;
  while (slots.claim(kMm + 1, false) != nullptr) ++more;
  EXPECT_EQ(more, Slots::kSlots - 1);
  slots.release(*first);
  EXPECT_FALSE(slots.any(kMm));
  EXPECT_EQ(slots.claim(kMm, false), first);
}

}  // namespace
}  // namespace cowherd
