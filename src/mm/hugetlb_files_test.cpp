#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"
#include "mm/test_must.hpp"

namespace cowherd::mm {
namespace {

/// A machine with a pool of hugetlb pages, and a file of `pages` of them that is mapped privately at kPrivate and
/// shared at kShared.
template <class G>
class HugetlbFiles : public testing::Test {
 protected:
  static constexpr std::uint64_t kPieces = Frames<G>::kHugeFrames;
  static constexpr std::uint64_t kPrivate = kPieces;
  static constexpr std::uint64_t kShared = 4 * kPieces;
  static constexpr std::size_t kRoom = 160 + 8 * kPieces;

  using M = TestMachine<G>;
  struct Made : M {
    Made(std::uint32_t pool, std::uint64_t pages, const Rules& rules = kCowherdRules)
        : M(rules, kRoom, 0, false, pool) {
      auto made = create_file(**this, FileKind::kHugetlb, PageCount{pages * kPieces});
      EXPECT_TRUE(made.ok());
      if (made) file = *made;
    }
    ~Made() {
      if (is_open) close();
    }
    void close() {
      close_file(**this, file);
      is_open = false;
    }

    Errno map_file(ProcessId p, std::uint64_t page, std::uint64_t pages, MapFlags more = MapFlags::kNone,
                   std::uint64_t first = 0, Protection protection = Protection::kReadWrite) {
      const auto mapped = mmap(**this, p, M::at(page), M::bytes(pages * kPieces), protection, MapFlags::kFixed | more,
                               {file, PageCount{first}});
      return mapped ? Errno{0} : mapped.error();
    }
    int in_file(std::uint64_t page) {
      std::byte value{};
      const Access access = read_file(**this, file, M::bytes(page), {&value, 1});
      return access.error == Errno{0} && access.done == ByteCount{1} ? static_cast<int>(value) : -1;
    }
    Errno punch_pages(std::uint64_t first, std::uint64_t pages) {
      return M::error_of(punch(**this, file, PageCount{first}, PageCount{pages}));
    }
    Errno cut(std::uint64_t pages) { return M::error_of(truncate(**this, file, PageCount{pages})); }
    [[nodiscard]] std::uint32_t free() { return (*this)->pool().free; }
    [[nodiscard]] std::uint32_t reserved() { return (*this)->pool().reserved; }

    FileId file;
    bool is_open = true;
  };
};
TYPED_TEST_SUITE(HugetlbFiles, Geometries);

TYPED_TEST(HugetlbFiles, AreOfWholePagesAndNotWritten) {
  typename TestFixture::Made m(1, 1);
  const std::uint64_t k = this->kPieces;
  EXPECT_FALSE(create_file(*m, FileKind::kHugetlb, PageCount{k + 1}).ok());
  EXPECT_EQ(file_size(*m, m.file), PageCount{k});
  const std::byte value{3};
  EXPECT_EQ(write_file(*m, m.file, ByteCount{0}, {&value, 1}).error, Errno::kInvalid);
  EXPECT_EQ(m.in_file(k - 1), 0);
  EXPECT_EQ(m.in_file(k), -1);
  EXPECT_EQ(m.cut(1), Errno::kInvalid);
  EXPECT_EQ(m.free(), 1U);
  const ProcessId p = m.spawn();
  EXPECT_EQ(m.map_file(p, this->kPrivate, 1, MapFlags::kNone, 1), Errno::kInvalid);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(HugetlbFiles, APrivateWriteCopiesWithThePromise) {
  typename TestFixture::Made m(2, 1);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_file(p, this->kShared, 1, MapFlags::kShared), Errno{0});
  ASSERT_EQ(m.put(p, this->kShared + 1, 5), Errno{0});
  ASSERT_EQ(m.map_file(p, this->kPrivate, 1), Errno{0});
  EXPECT_EQ(m.reserved(), 1U);
  EXPECT_EQ(m.get(p, this->kPrivate + 1), 5);
  EXPECT_EQ(m.view(p, this->kPrivate).mapcount, 2U);
  EXPECT_EQ(m.reserved(), 1U);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.put(p, this->kPrivate + 1, 6), Errno{0});
  EXPECT_EQ(m.reserved(), 0U);
  EXPECT_EQ(m.free(), 0U);
  EXPECT_EQ(m.in_file(1), 5);
  EXPECT_EQ(m.get(p, this->kPrivate + 1), 6);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.advise(p, this->kPrivate, this->kPieces, Advice::kDontNeed), Errno{0});
  EXPECT_EQ(m.reserved(), 1U);
  EXPECT_EQ(m.get(p, this->kPrivate + 1), 5);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(HugetlbFiles, MapcountsAloneLetAPrivateWriteReachTheFile) {
  // LTP hugemmap09.
  const Rules& old = find_rules("linux-3.2")->rules;
  typename TestFixture::Made m(3, 1, old);
  m.expect_broken();
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_file(p, this->kShared, 1, MapFlags::kShared), Errno{0});
  ASSERT_EQ(m.put(p, this->kShared, 5), Errno{0});
  m.unmap(p, this->kShared, this->kPieces);
  ASSERT_EQ(m.map_file(p, this->kPrivate, 1), Errno{0});
  EXPECT_EQ(m.put(p, this->kPrivate, 6), Errno{0});
  EXPECT_EQ(m.in_file(0), 6);
}

TYPED_TEST(HugetlbFiles, APageThatIsNotThereIsTheMappingsOwn) {
  typename TestFixture::Made m(2, 1);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_file(p, this->kPrivate, 1), Errno{0});
  EXPECT_EQ(m.get(p, this->kPrivate), 0);
  EXPECT_EQ(m.reserved(), 0U);
  ASSERT_EQ(m.map_file(p, this->kShared, 1, MapFlags::kShared), Errno{0});
  ASSERT_EQ(m.put(p, this->kShared, 5), Errno{0});
  EXPECT_EQ(m.get(p, this->kPrivate), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(HugetlbFiles, PromisesAreTheFiles) {
  typename TestFixture::Made m(3, 2);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_file(p, this->kShared, 1, MapFlags::kShared), Errno{0});
  EXPECT_EQ(m.reserved(), 1U);
  ASSERT_EQ(m.map_file(p, this->kPrivate, 2, MapFlags::kShared), Errno{0});
  EXPECT_EQ(m.reserved(), 2U);
  m.unmap(p, this->kShared, this->kPieces);
  m.unmap(p, this->kPrivate, 2 * this->kPieces);
  EXPECT_EQ(m.reserved(), 2U);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.cut(this->kPieces), Errno{0});
  EXPECT_EQ(m.reserved(), 1U);
  EXPECT_EQ(m.verify(), "");
  m.close();
  EXPECT_EQ(m.reserved(), 0U);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(HugetlbFiles, AMappingThatCannotBePromisedAllIsPromisedNothing) {
  typename TestFixture::Made m(1, 2);
  const ProcessId p = m.spawn();
  EXPECT_EQ(m.map_file(p, this->kShared, 2, MapFlags::kShared), Errno::kNoMemory);
  EXPECT_EQ(m.map_file(p, this->kPrivate, 2), Errno::kNoMemory);
  EXPECT_EQ(m.reserved(), 0U);
  EXPECT_EQ(m.map_file(p, this->kShared, 2, MapFlags::kShared | MapFlags::kNoReserve), Errno{0});
  EXPECT_EQ(m.put(p, this->kShared, 1), Errno{0});
  EXPECT_EQ(m.put(p, this->kShared + this->kPieces, 1), Errno::kSigBus);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(HugetlbFiles, AWritableMappingMakesTheFileLonger) {
  typename TestFixture::Made m(6, 1);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_file(p, this->kShared, 2, MapFlags::kShared, 0, Protection::kRead), Errno{0});
  EXPECT_EQ(file_size(*m, m.file), PageCount{this->kPieces});
  EXPECT_EQ(m.map_file(p, this->kPrivate, 2, MapFlags::kNone, 0, Protection::kRead), Errno{0});
  EXPECT_EQ(m.map_file(p, this->kPrivate, 2), Errno{0});
  EXPECT_EQ(file_size(*m, m.file), PageCount{2 * this->kPieces});
  EXPECT_EQ(m.get(p, this->kShared + this->kPieces), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(HugetlbFiles, AHoleTakesWhatEverybodyHas) {
  typename TestFixture::Made m(4, 1);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_file(p, this->kShared, 1, MapFlags::kShared), Errno{0});
  ASSERT_EQ(m.put(p, this->kShared, 5), Errno{0});
  ASSERT_EQ(m.put(p, this->kShared + 1, 6), Errno{0});
  ASSERT_EQ(m.map_file(p, this->kPrivate, 1), Errno{0});
  ASSERT_EQ(m.put(p, this->kPrivate, 7), Errno{0});
  EXPECT_EQ(m.punch_pages(0, 1), Errno{0});
  EXPECT_EQ(m.get(p, this->kShared), 0);
  EXPECT_EQ(m.get(p, this->kShared + 1), 6);
  EXPECT_EQ(m.get(p, this->kPrivate), 7);
  const PinId pin = m.pin(p, this->kShared + 1, 1, kDma);
  EXPECT_EQ(m.punch_pages(0, this->kPieces), Errno{0});
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.reserved(), 1U);
  EXPECT_EQ(m.get(p, this->kPrivate), 0);
  EXPECT_EQ(m.get(p, this->kShared + 1), 0);
  EXPECT_EQ(m.dma_get(pin), 6);
  m.unpin(pin);
  EXPECT_EQ(m.free(), 2U);
  m.unmap(p, this->kPrivate, this->kPieces);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(HugetlbFiles, BehindTheEndIsNothing) {
  typename TestFixture::Made m(4, 2);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_file(p, this->kPrivate, 2), Errno{0});
  ASSERT_EQ(m.put(p, this->kPrivate + this->kPieces, 7), Errno{0});
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.cut(this->kPieces), Errno{0});
  EXPECT_EQ(m.put(p, this->kPrivate + this->kPieces, 7), Errno::kSigBus);
  EXPECT_EQ(m.put(child, this->kPrivate + this->kPieces, 7), Errno::kSigBus);
  EXPECT_EQ(m.put(p, this->kPrivate, 7), Errno{0});
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.cut(2 * this->kPieces), Errno{0});
  EXPECT_EQ(m.get(child, this->kPrivate + this->kPieces), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(HugetlbFiles, AChildIsPromisedNothing) {
  typename TestFixture::Made m(2, 1);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_file(p, this->kShared, 1, MapFlags::kShared), Errno{0});
  ASSERT_EQ(m.put(p, this->kShared, 5), Errno{0});
  ASSERT_EQ(m.map_file(p, this->kPrivate, 1), Errno{0});
  ASSERT_EQ(m.get(p, this->kPrivate), 5);
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.put(child, this->kPrivate, 6), Errno::kSigBus);
  EXPECT_EQ(m.get(child, this->kPrivate), 5);
  EXPECT_EQ(m.put(p, this->kPrivate, 6), Errno{0});
  EXPECT_EQ(m.get(child, this->kPrivate), 5);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(HugetlbFiles, ALostPromiseIsNotCountedAgain) {
  typename TestFixture::Made m(3, 1);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_file(p, this->kShared, 1, MapFlags::kShared), Errno{0});
  ASSERT_EQ(m.put(p, this->kShared, 5), Errno{0});
  ASSERT_EQ(m.map_file(p, this->kPrivate, 1), Errno{0});
  ASSERT_EQ(m.put(p, this->kPrivate, 7), Errno{0});
  const PinId pin = m.pin(p, this->kPrivate, 1, kDma);
  EXPECT_EQ(m.advise(p, this->kPrivate, this->kPieces, Advice::kDontNeed), Errno{0});
  EXPECT_EQ(m.reserved(), 0U);
  EXPECT_EQ(m.get(p, this->kPrivate), 5);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.punch_pages(0, this->kPieces), Errno{0});
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.get(p, this->kPrivate), 0);
  m.unmap(p, this->kPrivate, this->kPieces);
  EXPECT_EQ(m.verify(), "");
  m.unpin(pin);
  EXPECT_EQ(m.free(), 3U);
}

}  // namespace
}  // namespace cowherd::mm
