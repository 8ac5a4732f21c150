#include "cowherd/machine.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cow/rule_rows.hpp"
#include "mm/test_must.hpp"

namespace cowherd {
namespace {

template <class T>
Errno error_of(const Result<T>& result) {
  return result ? Errno{0} : result.error();
}

Machine machine(std::size_t mebibytes = 4, const Rules& rules = kCowherdRules) {
  return must(Machine::create(ByteCount{mebibytes << 20}, rules));
}

Errno put(AddressSpace& space, Vaddr at, int value) {
  return error_of(space.write(at, std::as_bytes(std::span(&value, 1))));
}
int get(AddressSpace& space, Vaddr at) {
  int value = 0;
  return space.read(at, std::as_writable_bytes(std::span(&value, 1))) ? value : -1;
}

std::string problem_of(const Machine& of) {
  const char* problem = of.verify();
  return problem == nullptr ? "" : problem;
}

TEST(MachineApi, MapsReadsWritesAndForks) {
  Machine m = machine();
  AddressSpace parent = must(m.create_space());
  const Vaddr at = must(parent.map(ByteCount{3 * kPageBytes + 1}));
  EXPECT_EQ(get(parent, at), 0);
  EXPECT_EQ(put(parent, at + ByteCount{3 * kPageBytes}, 7), Errno{0}) << "lengths are rounded up";
  AddressSpace child = must(parent.fork());
  EXPECT_EQ(put(child, at + ByteCount{3 * kPageBytes}, 8), Errno{0});
  EXPECT_EQ(get(parent, at + ByteCount{3 * kPageBytes}), 7);
  EXPECT_EQ(parent.resident(), PageCount{1});
  EXPECT_EQ(problem_of(m), "");
}

TEST(MachineApi, ErrorsAreLinuxs) {
  Machine m = machine();
  AddressSpace space = must(m.create_space());
  const Vaddr at = must(space.map_at(Vaddr{16 * kPageBytes}, ByteCount{2 * kPageBytes}));
  EXPECT_EQ(error_of(space.map_at(at, ByteCount{1}, Protection::kRead, MapFlags::kFixedNoReplace)), Errno::kExist);
  EXPECT_EQ(error_of(space.map(ByteCount{1}, Protection::kRead, MapFlags::kFixed)), Errno::kInvalid);
  EXPECT_EQ(error_of(space.map(ByteCount{0})), Errno::kInvalid);
  EXPECT_EQ(error_of(space.unmap(at + ByteCount{1}, ByteCount{1})), Errno::kInvalid);
  EXPECT_EQ(error_of(space.protect(at, ByteCount{4 * kPageBytes}, Protection::kRead)), Errno::kNoMemory);
  EXPECT_EQ(put(space, at, 1), Errno::kSigSegv);
  EXPECT_EQ(error_of(space.pin(at, ByteCount{1}, kDma)), Errno::kFault);
  EXPECT_EQ(error_of(space.pin(at, ByteCount{0}, PinFlags::kNone)), Errno::kInvalid);
  EXPECT_EQ(error_of(space.advise(at, ByteCount{1}, Advice::kPopulateWrite)), Errno::kInvalid);
  EXPECT_EQ(error_of(space.unmap(at, ByteCount{2 * kPageBytes})), Errno{0});
  EXPECT_EQ(put(space, at, 1), Errno::kSigSegv);
}

TEST(MachineApi, APinCoversThePagesThatItsBytesTouch) {
  Machine m = machine();
  AddressSpace space = must(m.create_space());
  const Vaddr at = must(space.map(ByteCount{4 * kPageBytes}));
  struct Case {
    std::uint64_t offset, length, pages;
  };
  for (const Case& c : {Case{0, 1, 1}, Case{0, kPageBytes, 1}, Case{1, kPageBytes, 2}, Case{kPageBytes - 1, 2, 2},
                        Case{5, 3 * kPageBytes, 4}, Case{0, 9 * kPageBytes, 4}}) {
    const Pin pin = must(space.pin(at + ByteCount{c.offset}, ByteCount{c.length}, kDma));
    EXPECT_EQ(pin.pages(), PageCount{c.pages}) << c.offset << "+" << c.length;
  }
  for (const std::uint64_t length : {~std::uint64_t{0}, ~std::uint64_t{0} - 99, std::uint64_t{1} << 47}) {
    EXPECT_EQ(error_of(space.pin(at + ByteCount{200}, ByteCount{length}, kDma)), Errno::kFault)
        << "no length wraps around to a short one";
  }
}

TEST(MachineApi, TheDeviceKeepsSeeingItsOwner) {
  Machine m = machine();
  AddressSpace parent = must(m.create_space());
  const Vaddr at = must(parent.map(ByteCount{2 * kPageBytes}));
  Pin pin = must(parent.pin(at, ByteCount{2 * kPageBytes}, kDma));
  AddressSpace child = must(parent.fork());
  ASSERT_EQ(put(parent, at + ByteCount{kPageBytes}, 5), Errno{0});
  int seen = 0;
  ASSERT_TRUE(pin.read(ByteCount{kPageBytes}, std::as_writable_bytes(std::span(&seen, 1))).ok());
  EXPECT_EQ(seen, 5);
  pin.bytes(PageCount{0})[0] = std::byte{9};
  EXPECT_EQ(get(parent, at), 9);
  EXPECT_EQ(get(child, at), 0);
  EXPECT_EQ(error_of(pin.read(ByteCount{2 * kPageBytes - 1}, std::as_writable_bytes(std::span(&seen, 1)))),
            Errno::kNoDevice);
  pin.release(true);
  EXPECT_EQ(pin.pages(), PageCount{0});
  pin.release(true);
  EXPECT_EQ(problem_of(m), "");
}

TEST(MachineApi, PinsFollowMovedMemory) {
  Machine machine = *Machine::create(ByteCount{1 << 20});
  AddressSpace space = *machine.create_space();
  const Vaddr at = *space.map(ByteCount{2 * kPageBytes});
  const std::byte one{1};
  ASSERT_TRUE(space.write(at, {&one, 1}).ok());
  Pin pin = *space.pin(at, ByteCount{kPageBytes}, PinFlags::kWrite | PinFlags::kLongTerm);
  const auto moved = space.remap(at, ByteCount{2 * kPageBytes}, ByteCount{2 * kPageBytes},
                                 RemapFlags::kMayMove | RemapFlags::kFixed, Vaddr{1 << 30});
  ASSERT_TRUE(moved.ok());
  EXPECT_EQ(*moved, Vaddr{1 << 30});
  std::byte seen{};
  EXPECT_EQ(space.read(at, {&seen, 1}).error(), Errno::kSigSegv);
  const std::byte two{2};
  ASSERT_TRUE(space.write(*moved, {&two, 1}).ok());
  EXPECT_EQ(pin.bytes(PageCount{0})[0], two);
  EXPECT_EQ(space.remap(*moved, ByteCount{2 * kPageBytes}, ByteCount{4 * kPageBytes}).value(), *moved) << "grows";
  EXPECT_EQ(space.remap(*moved, ByteCount{kPageBytes}, ByteCount{kPageBytes}, RemapFlags::kFixed).error(),
            Errno::kInvalid);
  EXPECT_EQ(machine.verify(), nullptr);
}

TEST(MachineApi, PinsOutliveTheirAddressSpace) {
  Machine m = machine();
  const PageCount before = m.memory_use().free;
  {
    std::unique_ptr<Pin> pin;
    {
      AddressSpace space = must(m.create_space());
      const Vaddr at = must(space.map(ByteCount{kPageBytes}));
      ASSERT_EQ(put(space, at, 3), Errno{0});
      pin = std::make_unique<Pin>(must(space.pin(at, ByteCount{kPageBytes}, kDma)));
    }
    EXPECT_EQ(pin->bytes(PageCount{0})[0], std::byte{3});
    EXPECT_EQ(problem_of(m), "");
  }
  EXPECT_EQ(m.memory_use().free, before);
}

TEST(MachineApi, HandlesMoveAndGiveBackWhatTheyHeld) {
  Machine m = machine();
  const PageCount empty = m.memory_use().free;
  {
    AddressSpace a = must(m.create_space());
    const Vaddr at = must(a.map(ByteCount{kPageBytes}));
    ASSERT_EQ(put(a, at, 1), Errno{0});
    AddressSpace b = std::move(a);
    EXPECT_EQ(get(b, at), 1);
    AddressSpace c = must(m.create_space());
    c = std::move(b);
    EXPECT_EQ(get(c, at), 1);
    AddressSpace& same = c;
    c = std::move(same);
    EXPECT_EQ(get(c, at), 1);

    Pin p = must(c.pin(at, ByteCount{1}, kDma));
    Pin q = std::move(p);
    EXPECT_EQ(p.pages(), PageCount{0});  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(q.pages(), PageCount{1});
    Pin r = must(c.pin(at, ByteCount{1}, PinFlags::kNone));
    r = std::move(q);
    EXPECT_EQ(r.bytes(PageCount{0})[0], std::byte{1});
    EXPECT_EQ(problem_of(m), "");
  }
  EXPECT_EQ(m.memory_use().free, empty);

  Machine n = std::move(m);
  EXPECT_EQ(n.memory_use().free, empty);
  n = machine(1);
  EXPECT_LT(n.memory_use().total, PageCount{256});
}

TEST(MachineApi, LivesInTheMemoryThatItIsGiven) {
  constexpr std::size_t kSmallest = 64 * 1024;
  std::vector<std::byte> room(kSmallest + kPageBytes);
  std::byte* aligned = room.data() + (kPageBytes - reinterpret_cast<std::uintptr_t>(room.data()) % kPageBytes);
  EXPECT_EQ(error_of(Machine::create_in({aligned, kSmallest - kPageBytes})), Errno::kInvalid);
  EXPECT_EQ(error_of(Machine::create_in({aligned + 8, kSmallest - 8})), Errno::kInvalid);
  EXPECT_EQ(error_of(Machine::create(ByteCount{kSmallest - kPageBytes})), Errno::kInvalid);
  EXPECT_EQ(error_of(Machine::create(ByteCount{~std::uint64_t{0}})), Errno::kInvalid);
  EXPECT_EQ(error_of(Machine::create(ByteCount{std::uint64_t{1} << 62})), Errno::kNoMemory);

  Machine m = must(Machine::create_in({aligned, kSmallest}));
  EXPECT_GE(m.memory_use().total, PageCount{12});
  AddressSpace space = must(m.create_space());
  const Vaddr at = must(space.map(ByteCount{kPageBytes}));
  EXPECT_EQ(put(space, at, 1), Errno{0});
  EXPECT_EQ(problem_of(m), "");
}

TEST(MachineApi, RunningOutIsAResultAndNothingIsLost) {
  Machine m = machine(1);
  AddressSpace parent = must(m.create_space());
  const Vaddr at = must(parent.map(ByteCount{1024 * kPageBytes}));
  std::uint64_t filled = 0;
  while (put(parent, at + ByteCount{filled * kPageBytes}, static_cast<int>(filled)) == Errno{0}) ++filled;
  EXPECT_EQ(put(parent, at + ByteCount{filled * kPageBytes}, 1), Errno::kSigBus);
  EXPECT_EQ(error_of(m.create_space()), Errno::kNoMemory);
  EXPECT_EQ(error_of(parent.fork()), Errno::kNoMemory);
  EXPECT_EQ(problem_of(m), "");
  for (std::uint64_t page = 0; page < filled; ++page) {
    ASSERT_EQ(get(parent, at + ByteCount{page * kPageBytes}), static_cast<int>(page));
  }
  ASSERT_TRUE(parent.advise(at, ByteCount{32 * kPageBytes}, Advice::kDontNeed).ok());
  EXPECT_TRUE(parent.fork().ok());
}

TEST(MachineApi, VerifySaysWhatIsWrongInASentence) {
  Machine m = machine(1, find_rules("sketch")->rules);
  AddressSpace parent = must(m.create_space());
  const Vaddr at = must(parent.map(ByteCount{kPageBytes}));
  const Pin pin = must(parent.pin(at, ByteCount{1}, kDma));
  EXPECT_EQ(problem_of(m), "");
  const AddressSpace child = must(parent.fork());
  EXPECT_EQ(problem_of(m), "a frame's reference count is not its mappings plus pins and gets");
}

TEST(MachineApi, WaitingComesOutAsEagain) {
  Machine refuse = machine(1, find_rules("refuse")->rules);
  Machine wait = machine(1, find_rules("wait")->rules);
  for (auto& [m, error] : {std::pair<Machine&, Errno>{refuse, Errno::kBusy}, {wait, Errno::kAgain}}) {
    AddressSpace parent = must(m.create_space());
    const Vaddr at = must(parent.map(ByteCount{kPageBytes}));
    Pin pin = must(parent.pin(at, ByteCount{1}, kDma));
    EXPECT_EQ(error_of(parent.fork()), error);
    pin.release(false);
    EXPECT_TRUE(parent.fork().ok());
  }
}

TEST(MachineApi, ThreadsMayUseOneMachine) {
  Machine m = machine(8);
  AddressSpace common = must(m.create_space());
  const Vaddr at = must(common.map(ByteCount{8 * kPageBytes}));
  std::atomic<int> wrong{0};
  const auto work = [&](int id) {
    const Vaddr mine = at + ByteCount{static_cast<std::uint64_t>(id) * kPageBytes};
    for (int round = 1; round <= 60; ++round) {
      wrong += put(common, mine, round) != Errno{0};
      auto pin = common.pin(mine, ByteCount{1}, kDma);
      auto child = common.fork();
      if (!pin || !child) {
        ++wrong;
        continue;
      }
      wrong += put(common, mine, -round) != Errno{0};
      wrong += get(*child, mine) != round;
      int seen = 0;
      wrong += !pin->read(ByteCount{0}, std::as_writable_bytes(std::span(&seen, 1))) || seen != -round;
      const Vaddr own = *child->map(ByteCount{2 * kPageBytes});
      wrong += put(*child, own, round) != Errno{0} || !child->protect(own, ByteCount{1}, Protection::kRead);
      wrong += !child->unmap(own, ByteCount{kPageBytes});
    }
  };
  std::vector<std::thread> threads;
  for (int id = 0; id < 4; ++id) threads.emplace_back(work, id);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(problem_of(m), "");
  EXPECT_EQ(common.resident(), PageCount{4});
}

TEST(MachineApi, LargeFoliosWhereTheyAreAskedFor) {
  for (const std::uint64_t bytes : {1UL, 4096UL, 12288UL, 4UL << 20}) {
    EXPECT_EQ(Machine::create(ByteCount{8 << 20}, {.largest_folio = ByteCount{bytes}}).error(), Errno::kInvalid);
  }
  Machine m = must(Machine::create(ByteCount{8 << 20}, {.largest_folio = ByteCount{64 << 10}}));
  AddressSpace space = must(m.create_space());
  const Vaddr at = must(space.map_at(Vaddr{1 << 20}, ByteCount{20 * kPageBytes}));
  ASSERT_TRUE(space.advise(at, ByteCount{20 * kPageBytes}, Advice::kHugePage).ok());
  ASSERT_EQ(put(space, at + ByteCount{5 * kPageBytes}, 1), Errno{0});
  EXPECT_EQ(space.resident(), PageCount{16});
  ASSERT_EQ(put(space, at + ByteCount{17 * kPageBytes}, 1), Errno{0});
  EXPECT_EQ(space.resident(), PageCount{20});
  EXPECT_EQ(get(space, at + ByteCount{15 * kPageBytes}), 0);
  const Pin pin = must(space.pin(at + ByteCount{kPageBytes}, ByteCount{1}, kDma));
  AddressSpace child = must(space.fork());
  ASSERT_EQ(put(space, at + ByteCount{kPageBytes}, 2), Errno{0});
  EXPECT_EQ(get(child, at + ByteCount{kPageBytes}), 0);
  EXPECT_EQ(problem_of(m), "");
}

TEST(MachineApi, MachinesNeverMeet) {
  std::atomic<int> wrong{0};
  const auto work = [&](int id) {
    Machine m = machine(1);
    AddressSpace space = must(m.create_space());
    const Vaddr at = must(space.map(ByteCount{kPageBytes}));
    for (int round = 0; round < 100; ++round) {
      wrong += put(space, at, id * 1000 + round) != Errno{0};
      AddressSpace child = must(space.fork());
      wrong += get(child, at) != id * 1000 + round;
      wrong += m.verify() != nullptr;
    }
  };
  std::vector<std::thread> threads;
  for (int id = 0; id < 3; ++id) threads.emplace_back(work, id);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace cowherd
