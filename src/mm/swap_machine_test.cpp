#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <thread>
#include <vector>

#include "cowherd/accessor.hpp"
#include "cowherd/machine.hpp"

// Swap through the public interface: more memory than frames.

namespace cowherd {
namespace {

constexpr ByteCount kMemory{4 << 20};
constexpr MachineOptions kWithSwap{.swap = ByteCount{2 << 20}};
constexpr std::uint64_t kPages = 700;

Vaddr page_at(Vaddr base, std::uint64_t page) { return base + ByteCount{page * kPageBytes}; }

void put(AddressSpace& space, Vaddr at, std::uint64_t value) {
  ASSERT_TRUE(space.write(at, std::as_bytes(std::span(&value, 1))).ok());
}

std::uint64_t get(AddressSpace& space, Vaddr at) {
  std::uint64_t value = 0;
  EXPECT_TRUE(space.read(at, std::as_writable_bytes(std::span(&value, 1))).ok());
  return value;
}

TEST(MachineWithSwap, HoldsMoreThanItsFrames) {
  Machine machine = *Machine::create(kMemory, kWithSwap);
  ASSERT_LT(machine.memory_use().total.value(), kPages);
  EXPECT_EQ(machine.memory_use().swap_total, PageCount{512});
  {
    AddressSpace space = *machine.create_space();
    const Vaddr base = *space.map(ByteCount{kPages * kPageBytes});
    for (std::uint64_t page = 0; page < kPages; ++page) put(space, page_at(base, page), page + 1);
    EXPECT_GT(space.swapped(), PageCount{0});
    for (std::uint64_t page = 0; page < kPages; ++page) ASSERT_EQ(get(space, page_at(base, page)), page + 1);
    EXPECT_EQ(machine.verify(), nullptr);
  }
  EXPECT_EQ(machine.memory_use().swap_free, machine.memory_use().swap_total);
  EXPECT_EQ(machine.verify(), nullptr);
}

TEST(MachineWithSwap, RunsOutInTheEnd) {
  Machine machine = *Machine::create(kMemory, kWithSwap);
  AddressSpace space = *machine.create_space();
  const Vaddr base = *space.map(ByteCount{4000 * kPageBytes});
  std::uint64_t page = 0;
  const std::uint64_t value = 1;
  while (page < 4000 && space.write(page_at(base, page), std::as_bytes(std::span(&value, 1))).ok()) ++page;
  EXPECT_LT(page, 4000U);
  EXPECT_GT(page, machine.memory_use().total.value());
  EXPECT_EQ(machine.verify(), nullptr);
  EXPECT_TRUE(space.advise(base, ByteCount{100 * kPageBytes}, Advice::kDontNeed).ok());
  put(space, page_at(base, page), 7);
  EXPECT_EQ(get(space, page_at(base, page)), 7U);
}

TEST(MachineWithSwap, PinnedPagesStay) {
  Machine machine = *Machine::create(kMemory, kWithSwap);
  AddressSpace space = *machine.create_space();
  const Vaddr base = *space.map(ByteCount{kPages * kPageBytes});
  Pin pin = *space.pin(base, ByteCount{8 * kPageBytes}, PinFlags::kWrite | PinFlags::kLongTerm);
  for (std::uint64_t page = 8; page < kPages; ++page) put(space, page_at(base, page), page);
  pin.bytes(PageCount{3})[0] = std::byte{42};
  EXPECT_EQ(get(space, page_at(base, 3)), 42U);
  put(space, page_at(base, 5), 9);
  EXPECT_EQ(pin.bytes(PageCount{5})[0], std::byte{9});
  EXPECT_EQ(machine.verify(), nullptr);
}

TEST(MachineWithSwap, ForksAndAccessorsToo) {
  Machine machine = *Machine::create(kMemory, kWithSwap);
  AddressSpace space = *machine.create_space();
  const Vaddr base = *space.map(ByteCount{300 * kPageBytes});
  Accessor memory = *space.accessor();
  for (std::uint64_t page = 0; page < 300; ++page) ASSERT_TRUE(memory.store(page_at(base, page), page).ok());
  EXPECT_GT(machine.reclaim(PageCount{100}), PageCount{0});
  AddressSpace child = *space.fork(ForkMode::kSharedSubtrees);
  for (std::uint64_t page = 0; page < 300; ++page) ASSERT_TRUE(memory.store(page_at(base, page), page + 1000).ok());
  for (std::uint64_t page = 0; page < 300; ++page) ASSERT_EQ(get(child, page_at(base, page)), page);
  for (std::uint64_t page = 0; page < 300; ++page) ASSERT_EQ(get(space, page_at(base, page)), page + 1000);
  EXPECT_EQ(machine.verify(), nullptr);
}

TEST(MachineWithSwap, ThreadsShareWhatThereIs) {
  Machine machine = *Machine::create(kMemory, kWithSwap);
  AddressSpace space = *machine.create_space();
  const Vaddr base = *space.map(ByteCount{kPages * kPageBytes});
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 3; ++round) {
        for (std::uint64_t page = t; page < kPages; page += 3) {
          const std::uint64_t value = page * 10 + static_cast<std::uint64_t>(round);
          EXPECT_TRUE(space.write(page_at(base, page), std::as_bytes(std::span(&value, 1))).ok());
        }
        for (std::uint64_t page = t; page < kPages; page += 3) {
          EXPECT_EQ(get(space, page_at(base, page)), page * 10 + static_cast<std::uint64_t>(round));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(machine.verify(), nullptr);
}

TEST(MachineWithSwap, SoMuchSwapLeavesNothing) {
  EXPECT_EQ(Machine::create(kMemory, MachineOptions{.swap = kMemory}).error(), Errno::kInvalid);
  EXPECT_EQ(Machine::create(kMemory, MachineOptions{.swap = ByteCount{1 << 30}}).error(), Errno::kInvalid);
}

}  // namespace
}  // namespace cowherd
