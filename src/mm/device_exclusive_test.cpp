#include "mm/device_exclusive.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

template <class G>
class DeviceExclusiveTest : public testing::Test {
 protected:
  static Errno give(TestMachine<G>& m, ProcessId process, std::uint64_t page) {
    return m.error_of(make_exclusive(*m, process, m.at(page)));
  }
  static int device_get(TestMachine<G>& m, ProcessId process, std::uint64_t page) {
    std::byte value{};
    const Access access = device_read<G>(*m, process, m.at(page), {&value, 1});
    return access.error == Errno{0} ? static_cast<int>(value) : minus(access.error);
  }
  static Errno device_put(TestMachine<G>& m, ProcessId process, std::uint64_t page, int value) {
    const auto byte = static_cast<std::byte>(value);
    return device_write<G>(*m, process, m.at(page), {&byte, 1}).error;
  }
  static ProcessId own_pages(TestMachine<G>& m, std::uint64_t pages) {
    const ProcessId p = m.spawn();
    m.map(p, 0, pages);
    for (std::uint64_t page = 0; page < pages; ++page) EXPECT_EQ(m.put(p, page, 5), Errno{0});
    return p;
  }
};
TYPED_TEST_SUITE(DeviceExclusiveTest, Geometries);

TYPED_TEST(DeviceExclusiveTest, ThePageStaysMappedAndNoProcessorReachesIt) {
  TestMachine<TypeParam> m;
  const ProcessId p = this->own_pages(m, 1);
  const PageView before = m.view(p, 0);
  ASSERT_EQ(this->give(m, p, 0), Errno{0});
  const PageView given = m.view(p, 0);
  EXPECT_TRUE(given.entry.on_device());
  EXPECT_FALSE(given.entry.present() || given.entry.none() || given.entry.swap() || given.entry.migration());
  EXPECT_EQ(given.frame, before.frame);
  EXPECT_EQ(given.references, 1u);
  EXPECT_EQ(given.mapcount, 1u);
  EXPECT_TRUE(given.exclusive);
  EXPECT_EQ(m.rss(p), 1u);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(this->device_get(m, p, 0), 5);
  EXPECT_EQ(this->device_put(m, p, 0, 6), Errno{0});
  EXPECT_EQ(device_add(*m, p, m.at(0), 2).error, Errno{0});
  EXPECT_EQ(m.get(p, 0), 8);
  EXPECT_EQ(this->device_get(m, p, 0), minus(Errno::kNoDevice)) << "the process has taken it back";
  EXPECT_EQ(m.view(p, 0).entry, before.entry.with_dirty(true));
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(DeviceExclusiveTest, WhoeverNeedsThePageTakesItBack) {
  using M = TestMachine<TypeParam>;
  const std::function<void(M&, ProcessId)> takers[] = {
      [](M& m, ProcessId p) { EXPECT_EQ(m.get(p, 0), 6); },
      [](M& m, ProcessId p) { EXPECT_EQ(m.peek(p, 0), 6); },
      [](M& m, ProcessId p) { m.pin(p, 0, 1, PinFlags::kWrite | PinFlags::kFast); },
      [](M& m, ProcessId p) { m.pin(p, 0, 1, PinFlags::kNone); },
      [](M& m, ProcessId p) { m.fork(p, ForkMode::kClassic); },
      [](M& m, ProcessId p) { EXPECT_EQ(m.protect(p, 0, 1, Protection::kRead), Errno{0}); },
      [](M& m, ProcessId p) { EXPECT_TRUE(clear_refs(*m, p, m.at(0), m.bytes(1)).ok()); },
      [](M& m, ProcessId p) { EXPECT_TRUE(migrate(*m, p, m.at(0)).ok()); },
      [](M& m, ProcessId p) { EXPECT_EQ(m.advise(p, 0, 1, Advice::kPopulateRead), Errno{0}); },
      [](M& m, ProcessId p) { EXPECT_EQ(m.advise(p, 0, 1, Advice::kLock), Errno{0}); },
  };
  for (const auto& take : takers) {
    SCOPED_TRACE(&take - takers);
    M m;
    const ProcessId p = this->own_pages(m, 1);
    ASSERT_EQ(this->give(m, p, 0), Errno{0});
    ASSERT_EQ(this->device_put(m, p, 0, 6), Errno{0});
    take(m, p);
    EXPECT_TRUE(m.view(p, 0).entry.present());
    EXPECT_EQ(this->device_put(m, p, 0, 7), Errno::kNoDevice);
    EXPECT_EQ(m.get(p, 0), 6);
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(DeviceExclusiveTest, ForksThatShareTablesEndItToo) {
  for (const ForkMode mode : {ForkMode::kSharedLeaves, ForkMode::kSharedSubtrees}) {
    TestMachine<TypeParam> m;
    const ProcessId p = this->own_pages(m, 1);
    ASSERT_EQ(this->give(m, p, 0), Errno{0});
    const ProcessId child = m.fork(p, mode);
    EXPECT_EQ(m.verify(), "");
    EXPECT_EQ(this->device_put(m, p, 0, 7), Errno::kNoDevice);
    EXPECT_EQ(this->device_put(m, child, 0, 7), Errno::kNoDevice);
    EXPECT_EQ(m.get(child, 0), 5);
    ASSERT_EQ(m.put(child, 0, 6), Errno{0});
    EXPECT_EQ(m.get(p, 0), 5);
    EXPECT_EQ(m.verify(), "");
    ASSERT_EQ(this->give(m, p, 0), Errno{0});
    EXPECT_EQ(this->device_put(m, p, 0, 7), Errno{0});
    EXPECT_EQ(m.get(child, 0), 6);
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(DeviceExclusiveTest, ItGoesWithTheMapping) {
  TestMachine<TypeParam> m;
  const ProcessId p = this->own_pages(m, 3);
  for (const std::uint64_t page : {0u, 1u, 2u}) ASSERT_EQ(this->give(m, p, page), Errno{0});
  m.unmap(p, 0, 1);
  ASSERT_EQ(m.advise(p, 1, 1, Advice::kDontNeed), Errno{0});
  EXPECT_EQ(m.rss(p), 1u);
  EXPECT_EQ(this->device_get(m, p, 0), minus(Errno::kNoDevice));
  EXPECT_EQ(this->device_get(m, p, 1), minus(Errno::kNoDevice));
  EXPECT_EQ(this->device_get(m, p, 2), 5);
  EXPECT_EQ(m.verify(), "");
  m.exit(p);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(DeviceExclusiveTest, OnlyAnonymousPagesThatMayBeWritten) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1, Protection::kRead);
  EXPECT_EQ(this->give(m, p, 0), Errno::kFault);
  EXPECT_EQ(this->give(m, p, 1), Errno::kFault) << "not mapped";
  m.map(p, 2, 1, Protection::kReadWrite, MapFlags::kFixed | MapFlags::kShared);
  EXPECT_EQ(this->give(m, p, 2), Errno::kInvalid);
  m.map(p, 3, 1);
  EXPECT_EQ(this->give(m, p, 3), Errno{0}) << "faulted in";
  EXPECT_EQ(this->device_get(m, p, 3), 0);
  EXPECT_EQ(m.verify(), "");
}

}  // namespace
}  // namespace cowherd::mm
