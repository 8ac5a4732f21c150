#include "cowherd/snapshot.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "cowherd/accessor.hpp"
#include "mm/test_must.hpp"

namespace cowherd {
namespace {

std::string problem_of(const Machine& machine) {
  const char* found = machine.verify();
  return found == nullptr ? "" : found;
}

Vaddr page(Vaddr at, int number) { return at + ByteCount{static_cast<std::uint64_t>(number) * kPageBytes}; }

TEST(Snapshot, TakeRunRestoreDrop) {
  Machine machine = must(Machine::create(ByteCount{8 << 20}));
  const PageCount empty = machine.memory_use().free;
  {
    AddressSpace space = must(machine.create_space());
    const Vaddr at = must(space.map(ByteCount{64 * kPageBytes}));
    Accessor accessor = must(space.accessor());
    for (int i = 0; i < 64; ++i) ASSERT_TRUE(accessor.store(page(at, i), i).ok());
    std::optional<Snapshot> snapshot(must(space.snapshot()));
    EXPECT_EQ(snapshot->resident(), PageCount{64});
    const PageCount taken = machine.memory_use().free;
    for (int run = 1; run <= 50; ++run) {
      for (int i = run % 8; i < 64; i += 8) {
        ASSERT_TRUE(accessor.store(page(at, i), -run).ok());
      }
      ASSERT_TRUE(space.restore(*snapshot).ok());
      for (int i = 0; i < 64; ++i) {
        ASSERT_EQ(must(accessor.load<int>(page(at, i))), i) << "the accessor heeds it, run " << run;
      }
      EXPECT_EQ(machine.memory_use().free, taken) << "a run leaves nothing behind";
    }
    EXPECT_EQ(problem_of(machine), "");
    Snapshot moved = *std::move(snapshot);
    snapshot.reset();
    ASSERT_TRUE(space.restore(moved).ok());
    EXPECT_EQ(must(accessor.load<int>(at)), 0);
  }
  EXPECT_EQ(machine.memory_use().free, empty);
}

TEST(Snapshot, BelongsToItsMachine) {
  Machine one = must(Machine::create(ByteCount{1 << 20}));
  Machine two = must(Machine::create(ByteCount{1 << 20}));
  AddressSpace here = must(one.create_space());
  AddressSpace there = must(two.create_space());
  const Snapshot snapshot = must(here.snapshot());
  EXPECT_EQ(there.restore(snapshot).error(), Errno::kInvalid);
  EXPECT_TRUE(here.restore(snapshot).ok());
}

TEST(Snapshot, WithoutMemoryNothingChanges) {
  Machine machine = must(Machine::create(ByteCount{1 << 20}));
  AddressSpace space = must(machine.create_space());
  const Vaddr at = must(space.map(ByteCount{1024 * kPageBytes}));
  const int one = 1;
  ASSERT_TRUE(space.write(at, std::as_bytes(std::span(&one, 1))).ok());
  const Snapshot snapshot = must(space.snapshot());
  Accessor accessor = must(space.accessor());
  int filled = 0;
  while (accessor.store(at + ByteCount{static_cast<std::uint64_t>(filled) * kPageBytes}, filled + 2)) ++filled;
  ASSERT_EQ(space.restore(snapshot).error(), Errno::kNoMemory);
  for (int i = 0; i < filled; ++i) {
    ASSERT_EQ(must(accessor.load<int>(at + ByteCount{static_cast<std::uint64_t>(i) * kPageBytes})), i + 2);
  }
  EXPECT_EQ(problem_of(machine), "");
  ASSERT_TRUE(space.unmap(at + ByteCount{8 * kPageBytes}, ByteCount{1016 * kPageBytes}).ok());
  ASSERT_TRUE(space.restore(snapshot).ok());
  EXPECT_EQ(must(accessor.load<int>(at)), 1);
}

}  // namespace
}  // namespace cowherd
