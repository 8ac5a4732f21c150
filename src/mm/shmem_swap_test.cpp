#include "mm/shmem_swap.hpp"

#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"
#include "mm/files.hpp"
#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

constexpr std::size_t kFrames = 240;
constexpr std::size_t kSlots = 16;
constexpr PinFlags kDevice = PinFlags::kWrite | PinFlags::kLongTerm;

/// A machine with swap, a file in memory of some pages, and a process that maps it at page 0.
template <class G>
class SharedMachine : public TestMachine<G> {
 public:
  explicit SharedMachine(std::uint64_t pages, const Rules& rules = kCowherdRules, std::size_t slots = kSlots)
      : TestMachine<G>(rules, kFrames, slots), file(*create_file(**this, FileKind::kMemory, PageCount{pages})) {
    process = this->spawn();
    map_file(process, 0, pages, MapFlags::kShared);
  }
  ~SharedMachine() { close_file(**this, file); }

  void map_file(ProcessId by, std::uint64_t page, std::uint64_t pages, MapFlags flags) {
    ASSERT_EQ(this->error_of(mmap(**this, by, this->at(page), this->bytes(pages), Protection::kReadWrite,
                                  MapFlags::kFixed | flags, Backing{file, PageCount{0}})),
              Errno{0});
  }
  int read_at(std::uint64_t page) {
    std::byte value{0xEE};
    return read_file<G>(**this, file, this->bytes(page), {&value, 1}).error == Errno{0} ? static_cast<int>(value) : -1;
  }
  Errno write_at(std::uint64_t page, int value) {
    const auto byte = static_cast<std::byte>(value);
    return write_file<G>(**this, file, this->bytes(page), {&byte, 1}).error;
  }
  [[nodiscard]] PageCount slots_in_use() { return (*this)->swap().block_count() - (*this)->swap().free_count(); }

  FileId file;
  ProcessId process{0};
};

template <class G>
class SharedSwap : public testing::Test {};
TYPED_TEST_SUITE(SharedSwap, Geometries);

TYPED_TEST(SharedSwap, APageGoesFromAllAndComesBackToAll) {
  SharedMachine<TypeParam> m(2);
  ASSERT_EQ(m.put(m.process, 0, 7), Errno{0});
  const ProcessId child = m.fork(m.process, ForkMode::kClassic);
  ASSERT_EQ(m.get(child, 0), 7);
  const PageCount before = m->frames().free_count();
  EXPECT_EQ(m.swap_out(child, 0), Errno{0});
  EXPECT_EQ(m->frames().free_count(), before + PageCount{1});
  EXPECT_TRUE(m.view(m.process, 0).entry.none());
  EXPECT_TRUE(m.view(m.process, 0).in_swap);
  EXPECT_TRUE(m.view(child, 0).in_swap);
  EXPECT_EQ(m.view(child, 0).swap_entries, 1U);
  EXPECT_EQ(m.rss(m.process), 0U);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.get(m.process, 0), 7);
  EXPECT_EQ(m.slots_in_use(), PageCount{0});
  EXPECT_EQ(m.put(child, 0, 8), Errno{0});
  EXPECT_EQ(m.get(m.process, 0), 8);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(SharedSwap, ReadAndWriteBringItBack) {
  SharedMachine<TypeParam> m(2);
  ASSERT_EQ(m.put(m.process, 1, 7), Errno{0});
  ASSERT_EQ(m.swap_out(m.process, 1), Errno{0});
  EXPECT_EQ(m.read_at(1), 7);
  EXPECT_EQ(m.verify(), "");
  ASSERT_EQ(m.swap_out(m.process, 1), Errno{0});
  EXPECT_EQ(m.write_at(1, 9), Errno{0});
  EXPECT_EQ(m.get(m.process, 1), 9);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(SharedSwap, WhatIsCutOffGivesItsSlotBack) {
  SharedMachine<TypeParam> m(3);
  for (std::uint64_t page = 0; page < 3; ++page) {
    ASSERT_EQ(m.put(m.process, page, 4), Errno{0});
    ASSERT_EQ(m.swap_out(m.process, page), Errno{0});
  }
  EXPECT_EQ(m.slots_in_use(), PageCount{3});
  EXPECT_TRUE(punch(*m, m.file, PageCount{0}, PageCount{1}).ok());
  EXPECT_EQ(m.slots_in_use(), PageCount{2});
  EXPECT_EQ(m.verify(), "");
  EXPECT_TRUE(truncate(*m, m.file, PageCount{2}).ok());
  EXPECT_TRUE(truncate(*m, m.file, PageCount{3}).ok());
  EXPECT_EQ(m.slots_in_use(), PageCount{1});
  EXPECT_EQ(m.get(m.process, 0), 0);
  EXPECT_EQ(m.get(m.process, 1), 4);
  EXPECT_EQ(m.get(m.process, 2), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(SharedSwap, SlotsGoWithTheLastUserOfTheFile) {
  TestMachine<TypeParam> m(kCowherdRules, kFrames, kSlots);
  const ProcessId p = m.spawn();
  m.map(p, 0, 2, Protection::kReadWrite, MapFlags::kFixed | MapFlags::kShared);
  for (std::uint64_t page = 0; page < 2; ++page) {
    ASSERT_EQ(m.put(p, page, 4), Errno{0});
    ASSERT_EQ(m.swap_out(p, page), Errno{0});
  }
  const ProcessId child = m.fork(p, ForkMode::kClassic);
  m.unmap(p, 0, 2);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.get(child, 1), 4);
  m.exit(child);
  EXPECT_EQ(m->swap().free_count(), m->swap().block_count());
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(SharedSwap, NobodyWhoHoldsThePageLosesIt) {
  for (const auto& row : all_rows()) {
    SCOPED_TRACE(row.id);
    SharedMachine<TypeParam> m(1, row.rules);
    ASSERT_EQ(m.put(m.process, 0, 1), Errno{0});
    const PinId pin = m.pin(m.process, 0, 1, kDevice);
    EXPECT_EQ(m.swap_out(m.process, 0), Errno::kBusy);
    EXPECT_EQ(m.dma_put(pin, 5), Errno{0});
    EXPECT_EQ(m.get(m.process, 0), 5);
    EXPECT_EQ(m.verify(), "");
    m.unpin(pin);
    EXPECT_EQ(m.swap_out(m.process, 0), Errno{0});
    EXPECT_EQ(m.get(m.process, 0), 5);
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(SharedSwap, WhatIsLockedForSomebodyStays) {
  SharedMachine<TypeParam> m(1);
  ASSERT_EQ(m.advise(m.process, 0, 1, Advice::kLock), Errno{0});
  const ProcessId child = m.fork(m.process, ForkMode::kClassic);
  EXPECT_EQ(m.swap_out(child, 0), Errno::kBusy);
  EXPECT_EQ(m.advise(m.process, 0, 1, Advice::kUnlock), Errno{0});
  EXPECT_EQ(m.swap_out(child, 0), Errno{0});
}

TYPED_TEST(SharedSwap, APrivateCopyIsAPageOfItsOwn) {
  SharedMachine<TypeParam> m(1);
  ASSERT_EQ(m.put(m.process, 0, 3), Errno{0});
  m.map_file(m.process, 8, 1, MapFlags::kNone);
  ASSERT_EQ(m.get(m.process, 8), 3);
  EXPECT_EQ(m.swap_out(m.process, 8), Errno{0});
  EXPECT_TRUE(m.view(m.process, 0).in_swap);
  ASSERT_EQ(m.put(m.process, 8, 4), Errno{0});
  EXPECT_EQ(m.swap_out(m.process, 8), Errno{0});
  EXPECT_TRUE(m.view(m.process, 8).entry.swap());
  EXPECT_EQ(m.swap_out(m.process, 0), Errno{0});
  EXPECT_EQ(m.slots_in_use(), PageCount{2});
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.get(m.process, 0), 3);
  EXPECT_EQ(m.get(m.process, 8), 4);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(SharedSwap, WhereSwapIsFullItStays) {
  SharedMachine<TypeParam> m(2, kCowherdRules, 1);
  ASSERT_EQ(m.put(m.process, 0, 3), Errno{0});
  ASSERT_EQ(m.put(m.process, 1, 4), Errno{0});
  EXPECT_EQ(m.swap_out(m.process, 0), Errno{0});
  EXPECT_EQ(m.swap_out(m.process, 1), Errno::kNoMemory);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.get(m.process, 1), 4);
  EXPECT_EQ(m.get(m.process, 0), 3);
}

TYPED_TEST(SharedSwap, ReclaimTakesWhatIsMappedAndWhatIsNot) {
  SharedMachine<TypeParam> m(4);
  for (std::uint64_t page = 0; page < 4; ++page) {
    ASSERT_EQ(m.write_at(page, 10 + static_cast<int>(page)), Errno{0});
  }
  ASSERT_EQ(m.get(m.process, 0), 10);
  EXPECT_EQ(reclaim(*m, PageCount{100}), PageCount{4});
  EXPECT_EQ(m.verify(), "");
  for (std::uint64_t page = 0; page < 4; ++page) EXPECT_EQ(m.get(m.process, page), 10 + static_cast<int>(page));
}

TYPED_TEST(SharedSwap, AdviceIsTaken) {
  SharedMachine<TypeParam> m(2);
  for (std::uint64_t page = 0; page < 2; ++page) ASSERT_EQ(m.put(m.process, page, 1), Errno{0});
  EXPECT_EQ(m.advise(m.process, 1, 1, Advice::kCold), Errno{0});
  EXPECT_EQ(reclaim(*m, PageCount{1}), PageCount{1});
  EXPECT_TRUE(m.view(m.process, 1).in_swap);
  EXPECT_EQ(m.advise(m.process, 0, 1, Advice::kPageOut), Errno{0});
  EXPECT_TRUE(m.view(m.process, 0).in_swap);
}

}  // namespace
}  // namespace cowherd::mm
