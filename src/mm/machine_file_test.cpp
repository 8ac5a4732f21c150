#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

#include "cowherd/machine.hpp"

namespace cowherd {
namespace {

constexpr ByteCount kPage{kPageBytes};

std::byte byte(int value) { return static_cast<std::byte>(value); }

int load(AddressSpace& space, Vaddr at) {
  std::byte value{};
  const auto done = space.read(at, {&value, 1});
  return done ? static_cast<int>(value) : -static_cast<int>(done.error());
}

bool store(AddressSpace& space, Vaddr at, int value) {
  const std::byte stored = byte(value);
  return space.write(at, {&stored, 1}).ok();
}

TEST(MachineFile, TwoAddressSpacesMeetInAFile) {
  Machine machine = *Machine::create(ByteCount{4 << 20});
  FileHandle file = *machine.create_file(ByteCount{3 * kPageBytes});
  AddressSpace a = *machine.create_space();
  AddressSpace b = *machine.create_space();
  const Vaddr in_a =
      *a.map_file(file, ByteCount{0}, ByteCount{3 * kPageBytes}, Protection::kReadWrite, MapFlags::kShared);
  const Vaddr in_b = *b.map_file(file, kPage, kPage);
  ASSERT_TRUE(store(a, in_a + kPage, 7));
  EXPECT_EQ(load(b, in_b), 7);
  ASSERT_TRUE(store(b, in_b, 8));
  EXPECT_EQ(load(a, in_a + kPage), 7) << "a private copy";
  std::byte seen{};
  EXPECT_EQ(*file.read(kPage, {&seen, 1}), ByteCount{1});
  EXPECT_EQ(seen, byte(7));
  EXPECT_EQ(a.resident(), PageCount{1});
  EXPECT_EQ(machine.verify(), nullptr);
  ASSERT_TRUE(file.resize(kPage).ok());
  EXPECT_EQ(file.size(), kPage);
  EXPECT_EQ(load(a, in_a + kPage), -static_cast<int>(Errno::kSigBus));
  EXPECT_EQ(load(b, in_b), -static_cast<int>(Errno::kSigBus));
  EXPECT_EQ(machine.verify(), nullptr);
}

TEST(MachineFile, SharedMemoryGoesThroughFork) {
  Machine machine = *Machine::create(ByteCount{4 << 20});
  AddressSpace parent = *machine.create_space();
  const Vaddr at = *parent.map(ByteCount{8 * kPageBytes}, Protection::kReadWrite, MapFlags::kShared);
  ASSERT_TRUE(store(parent, at, 1));
  for (const ForkMode mode : {ForkMode::kClassic, ForkMode::kSharedLeaves, ForkMode::kSharedSubtrees}) {
    AddressSpace child = *parent.fork(mode);
    ASSERT_TRUE(store(child, at, 2));
    EXPECT_EQ(load(parent, at), 2);
    ASSERT_TRUE(store(parent, at + kPage, 3));
    EXPECT_EQ(load(child, at + kPage), 3);
    EXPECT_EQ(machine.verify(), nullptr);
  }
}

TEST(MachineFile, ArgumentsAreLookedAt) {
  Machine machine = *Machine::create(ByteCount{1 << 20});
  Machine other = *Machine::create(ByteCount{1 << 20});
  FileHandle file = *machine.create_file(kPage);
  AddressSpace space = *machine.create_space();
  AddressSpace stranger = *other.create_space();
  EXPECT_EQ(space.map_file(file, ByteCount{1}, kPage).error(), Errno::kInvalid);
  EXPECT_EQ(stranger.map_file(file, ByteCount{0}, kPage).error(), Errno::kInvalid);
  EXPECT_EQ(file.punch(ByteCount{1}, kPage).error(), Errno::kInvalid);
  FileHandle moved = std::move(file);
  EXPECT_EQ(moved.size(), kPage);
}

TEST(MachineFile, ManyThreadsFaultWhileTheFileIsCutAndGrows) {
  Machine machine = *Machine::create(ByteCount{8 << 20});
  FileHandle file = *machine.create_file(ByteCount{16 * kPageBytes});
  AddressSpace parent = *machine.create_space();
  const Vaddr at =
      *parent.map_file(file, ByteCount{0}, ByteCount{16 * kPageBytes}, Protection::kReadWrite, MapFlags::kShared);
  const Vaddr copies = *parent.map_file(file, ByteCount{0}, ByteCount{16 * kPageBytes});
  AddressSpace child = *parent.fork(ForkMode::kSharedSubtrees);
  std::vector<std::thread> threads;
  for (AddressSpace* space : {&parent, &child}) {
    for (int worker = 0; worker < 2; ++worker) {
      threads.emplace_back([space, at, copies, worker] {
        for (int i = 0; i < 4000; ++i) {
          const ByteCount offset{static_cast<std::uint64_t>((i * 7 + worker) % 16) * kPageBytes};
          (void)store(*space, at + offset, i);
          (void)load(*space, copies + offset);
          if (i % 3 == 0) (void)store(*space, copies + offset, i);
          if (i % 500 == 0) (void)space->advise(copies, ByteCount{16 * kPageBytes}, Advice::kDontNeed);
        }
      });
    }
  }
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(file.resize(ByteCount{static_cast<std::uint64_t>(i * 5 % 17) * kPageBytes}).ok());
    ASSERT_TRUE(file.punch(ByteCount{0}, kPage).ok());
    std::array<std::byte, 16> some{};
    ASSERT_TRUE(file.write(ByteCount{4 * kPageBytes}, some).ok());
    auto pin = parent.pin(at, kPage, PinFlags::kWrite);
    AddressSpace brief = *parent.fork();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(machine.verify(), nullptr);
}

}  // namespace
}  // namespace cowherd
