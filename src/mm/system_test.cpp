#include "mm/system.hpp"

#include <gtest/gtest.h>

#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

template <class G>
class SystemTest : public testing::Test {};
TYPED_TEST_SUITE(SystemTest, Geometries);

TYPED_TEST(SystemTest, ACopyOfTheMemoryIsAnIndependentMachine) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const PinId pin = m.pin(p, 1, 1, PinFlags::kWrite);
  const ProcessId child = m.fork(p);

  const Memory copy = m.memory();
  System<TypeParam> other(copy.get());
  const auto load = [&](ProcessId process, std::uint64_t page) {
    std::byte value{};
    EXPECT_EQ(read(other, process, m.at(page), {&value, 1}).error, Errno{0});
    return static_cast<int>(value);
  };
  const std::byte nine{9};
  EXPECT_EQ(write(other, p, m.at(0), {&nine, 1}).error, Errno{0});
  EXPECT_EQ(dma_write(other, pin, ByteCount{0}, {&nine, 1}).error, Errno{0});
  EXPECT_EQ(load(p, 0), 9);
  EXPECT_EQ(load(p, 1), 9);
  EXPECT_EQ(load(child, 0), 1);
  EXPECT_EQ(m.get(p, 0), 1);
  EXPECT_EQ(m.get(p, 1), 0);
  EXPECT_TRUE(exit(other, child).ok());
  EXPECT_EQ(m.get(child, 0), 1);
  EXPECT_EQ(other.rules(), m->rules());
  EXPECT_TRUE(verify(other).none());
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(SystemTest, TheUsedPartOfTheMemoryIsAllThatASnapshotNeeds) {
  if constexpr (TypeParam::kScrubFreed) {
    TestMachine<TypeParam> m;
    const Memory fresh = m.memory();
    const ProcessId p = m.spawn();
    m.map(p, 0, 4);
    for (std::uint64_t page = 0; page < 4; ++page) ASSERT_EQ(m.put(p, page, 1), Errno{0});
    m.reap(p, m.fork(p));
    m.unmap(p, 2, 2);
    const std::size_t used = m->frames().used_frames().value();
    const std::size_t descriptors = m->descriptor_offset() + used * sizeof(FrameDescriptor);
    const std::size_t ram = m->ram_offset() + used * m.kPageBytes;
    Memory copy = fresh;
    std::memcpy(copy.get(), m.memory().get(), descriptors);
    std::memcpy(copy.get() + m->ram_offset(), m.memory().get() + m->ram_offset(), ram - m->ram_offset());
    EXPECT_EQ(std::memcmp(copy.get(), m.memory().get(), copy.bytes()), 0);
  }
}

TYPED_TEST(SystemTest, TheSameOperationsMakeTheSameMachineByteForByte) {
  const auto run = [](TestMachine<TypeParam>& m) {
    const ProcessId p = m.spawn();
    m.map(p, 0, 4);
    EXPECT_EQ(m.put(p, 0, 1), Errno{0});
    m.pin(p, 0, 2, PinFlags::kWrite);
    EXPECT_EQ(m.put(m.fork(p), 0, 2), Errno{0});
  };
  TestMachine<TypeParam> a;
  TestMachine<TypeParam> b;
  run(a);
  run(b);
  if constexpr (TypeParam::kScrubFreed) {
    EXPECT_EQ(std::memcmp(a.memory().get(), b.memory().get(), a.memory().bytes()), 0);
  }
  EXPECT_EQ(a->frames().free_count(), b->frames().free_count());
}

TYPED_TEST(SystemTest, EventsTellWhatHappenedAndCostNothingUnheard) {
  TestMachine<TypeParam> m;
  EXPECT_TRUE(m->observed());
  m->set_event_sink(nullptr);
  EXPECT_FALSE(m->observed());
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  EXPECT_EQ(m.events.of(EventKind::kZeroFilled), 0);
  m->set_event_sink(&m.events);
  m.unpin(m.pin(p, 0, 1, PinFlags::kNone));
  m.unmap(p, 0, 1);
  EXPECT_EQ(m.events.of(EventKind::kPinned), 1);
  EXPECT_EQ(m.events.of(EventKind::kUnpinned), 1);
  EXPECT_EQ(m.events.of(EventKind::kUnmapped), 1);
  EXPECT_EQ(m.events.of(EventKind::kFrameFreed), 1);
}

TEST(Violations, AreASet) {
  Violations set;
  EXPECT_TRUE(set.none());
  set.add(Violation::kRss);
  set.add(Violation::kRss);
  EXPECT_EQ(names_of(set), "rss-imbalance");
  Violations more;
  more.add(Violation::kFaultLoop);
  more.add(set);
  EXPECT_EQ(names_of(more), "rss-imbalance fault-loop");
  static_assert(kViolations.size() == static_cast<std::size_t>(Violation::kCount));
}

}  // namespace
}  // namespace cowherd::mm
