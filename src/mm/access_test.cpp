#include <gtest/gtest.h>

#include <vector>

#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

template <class G>
class AccessTest : public testing::Test {
 protected:
  static std::vector<std::byte> pattern(std::size_t size, int first) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(first + static_cast<int>(i));
    return bytes;
  }
};
TYPED_TEST_SUITE(AccessTest, Geometries);

TYPED_TEST(AccessTest, CrossesPagesAtAnyOffset) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  constexpr std::size_t kPage = Geometry<TypeParam>::kPageBytes;
  for (const std::size_t offset : {std::size_t{0}, std::size_t{1}, kPage - 1, kPage, kPage + 3}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{2}, kPage, 2 * kPage + 1}) {
      const auto sent = this->pattern(size, static_cast<int>(offset + size));
      const Access wrote = write(*m, p, Vaddr{offset}, sent);
      EXPECT_EQ(wrote.error, Errno{0});
      EXPECT_EQ(wrote.done, ByteCount{size});
      std::vector<std::byte> got(size);
      EXPECT_EQ(read(*m, p, Vaddr{offset}, got).done, ByteCount{size});
      EXPECT_EQ(got, sent) << size << " bytes at " << offset;
      std::vector<std::byte> traced(size);
      EXPECT_EQ(ptrace_read(*m, p, Vaddr{offset}, traced).done, ByteCount{size});
      EXPECT_EQ(traced, sent);
    }
  }
}

TYPED_TEST(AccessTest, StopsWhereItMayNotGoAndSaysHowFarItCame) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  constexpr std::size_t kPage = Geometry<TypeParam>::kPageBytes;
  m.map(p, 0, 2);
  m.map(p, 2, 1, Protection::kRead);
  const auto sent = this->pattern(3 * kPage, 1);
  const Access wrote = write(*m, p, Vaddr{5}, sent);
  EXPECT_EQ(wrote.error, Errno::kSigSegv);
  EXPECT_EQ(wrote.done, ByteCount{2 * kPage - 5});
  std::vector<std::byte> got(4 * kPage);
  const Access had = read(*m, p, Vaddr{5}, got);
  EXPECT_EQ(had.error, Errno::kSigSegv);
  EXPECT_EQ(had.done, ByteCount{3 * kPage - 5});
  EXPECT_TRUE(std::equal(got.begin(), got.begin() + 2 * kPage - 5, sent.begin()));
}

TYPED_TEST(AccessTest, NothingIsBeyondTheEnd) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  constexpr std::uint64_t kEnd = Geometry<TypeParam>::kUserPages;
  m.map(p, kEnd - 1, 1);
  EXPECT_EQ(m.put(p, kEnd - 1, 1), Errno{0});
  m.map(p, 0, 1);
  EXPECT_EQ(m.put(p, 0, 1), Errno{0});
  for (const Vaddr address : {m.at(kEnd), Vaddr{~std::uint64_t{0}}, m.at(kEnd + 1)}) {
    std::byte value{};
    EXPECT_EQ(read(*m, p, address, {&value, 1}).error, Errno::kSigSegv);
    EXPECT_EQ(write(*m, p, address, {&value, 1}).error, Errno::kSigSegv);
    EXPECT_EQ(ptrace_read(*m, p, address, {&value, 1}).error, Errno::kFault);
    EXPECT_EQ(ptrace_write(*m, p, address, {&value, 1}).error, Errno::kFault);
  }
  for (const std::uint64_t page : {kEnd, 2 * kEnd, 4 * kEnd}) {
    EXPECT_FALSE(m.view(p, page).entry.present()) << "an address beyond the end is no alias of the first page";
    EXPECT_EQ(lock_page(*m, p, m.at(page)).error(), Errno::kFault);
  }
  std::vector<std::byte> two(2 * Geometry<TypeParam>::kPageBytes);
  EXPECT_EQ(write(*m, p, m.at(kEnd - 1), two).done, m.bytes(1));
}

TYPED_TEST(AccessTest, WithoutMemoryAWriteIsABusErrorAndAReadNeedsNone) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 8);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  m->frames().injector().arm(1);
  EXPECT_EQ(m.put(p, 1, 1), Errno::kSigBus);
  EXPECT_TRUE(m->frames().shortage());
  m->frames().injector().arm(1);
  EXPECT_EQ(m.get(p, 1), 0) << "the zero page is there";
  m->frames().injector().arm(1);
  EXPECT_EQ(m.poke(p, 2, 1), Errno::kNoMemory);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(AccessTest, HardwareBitsFollowTheAccess) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const ProcessId child = m.fork(p);
  EXPECT_FALSE(m.view(child, 0).entry.young()) << "not used since fork";
  EXPECT_EQ(m.get(child, 0), 1);
  EXPECT_TRUE(m.view(child, 0).entry.young());
  ASSERT_EQ(m.put(child, 0, 2), Errno{0});
  EXPECT_TRUE(m.view(child, 0).entry.dirty());
}

TYPED_TEST(AccessTest, ADebuggerIgnoresProtectionAndWritesAPrivateCopy) {
  for (const Protection protection : {Protection::kNone, Protection::kRead, Protection::kReadWrite}) {
    TestMachine<TypeParam> m;
    const ProcessId p = m.spawn();
    m.map(p, 0, 2);
    ASSERT_EQ(m.put(p, 0, 7), Errno{0});
    const ProcessId child = m.fork(p);
    ASSERT_EQ(m.protect(p, 0, 2, protection), Errno{0});
    EXPECT_EQ(m.peek(p, 0), 7);
    EXPECT_EQ(m.peek(p, 1), 0);
    EXPECT_EQ(m.poke(p, 0, 8), Errno{0});
    EXPECT_EQ(m.poke(p, 1, 9), Errno{0});
    EXPECT_EQ(m.peek(p, 0), 8);
    EXPECT_EQ(m.peek(p, 1), 9);
    EXPECT_EQ(m.get(child, 0), 7) << "the child's page is not the parent's";
    EXPECT_EQ(m.get(child, 1), 0);
    EXPECT_EQ(m.verify(), "");
    ASSERT_EQ(m.protect(p, 0, 2, Protection::kReadWrite), Errno{0});
    EXPECT_EQ(m.get(p, 0), 8);
    EXPECT_EQ(m.get(p, 1), 9);
  }
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  EXPECT_EQ(m.peek(p, 0), minus(Errno::kFault)) << "nothing is mapped";
}

}  // namespace
}  // namespace cowherd::mm
