#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"
#include "mm/test_must.hpp"

namespace cowherd::mm {
namespace {

/// A machine with a pool of hugetlb pages; `kPieces`: what one of them spans.
template <class G>
class Hugetlb : public testing::Test {
 protected:
  static constexpr std::uint64_t kPieces = Frames<G>::kHugeFrames;
  static constexpr std::uint64_t kFirst = kPieces;
  static constexpr std::size_t kRoom = 160 + 6 * kPieces;

  using M = TestMachine<G>;
  struct Made : M {
    explicit Made(std::uint32_t pool, const Rules& rules = kCowherdRules) : M(rules, kRoom, 0, false, pool) {}

    Errno map_huge(ProcessId p, std::uint64_t page, std::uint64_t pages, MapFlags more = MapFlags::kNone) {
      const auto mapped = mmap(**this, p, M::at(page), M::bytes(pages * kPieces), Protection::kReadWrite,
                               MapFlags::kFixed | MapFlags::kHugetlb | more);
      return mapped ? Errno{0} : mapped.error();
    }
    [[nodiscard]] std::uint32_t free() { return (*this)->pool().free; }
    [[nodiscard]] std::uint32_t reserved() { return (*this)->pool().reserved; }
  };
};
TYPED_TEST_SUITE(Hugetlb, Geometries);

TYPED_TEST(Hugetlb, AMappingIsPromisedItsPages) {
  typename TestFixture::Made m(3);
  const ProcessId p = m.spawn();
  EXPECT_EQ(m.map_huge(p, this->kFirst, 2), Errno{0});
  EXPECT_EQ(m.reserved(), 2U);
  EXPECT_EQ(m.map_huge(p, 4 * this->kFirst, 2), Errno::kNoMemory);
  EXPECT_EQ(m.map_huge(p, 4 * this->kFirst, 2, MapFlags::kNoReserve), Errno{0});
  EXPECT_EQ(m.put(p, 4 * this->kFirst, 7), Errno{0});
  EXPECT_EQ(m.put(p, 5 * this->kFirst, 8), Errno::kSigBus);
  EXPECT_EQ(m.put(p, this->kFirst + 1, 1), Errno{0});
  EXPECT_EQ(m.put(p, 2 * this->kFirst + 1, 2), Errno{0});
  EXPECT_EQ(m.free(), 0U);
  EXPECT_EQ(m.reserved(), 0U);
  EXPECT_EQ(m.get(p, this->kFirst), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Hugetlb, PartsAreRefused) {
  typename TestFixture::Made m(2);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_huge(p, this->kFirst, 2), Errno{0});
  ASSERT_EQ(m.put(p, this->kFirst, 1), Errno{0});
  EXPECT_EQ(m.error_of(munmap(*m, p, m.at(this->kFirst + 1), m.bytes(1))), Errno::kInvalid);
  EXPECT_EQ(m.error_of(munmap(*m, p, m.at(this->kFirst), m.bytes(this->kPieces + 1))), Errno::kInvalid);
  EXPECT_EQ(m.protect(p, this->kFirst, 1, Protection::kRead), Errno::kInvalid);
  EXPECT_EQ(m.protect(p, this->kFirst, 1, Protection::kReadWrite), Errno{0});
  EXPECT_EQ(m.advise(p, this->kFirst + 1, this->kPieces - 1, Advice::kDontNeed), Errno::kInvalid);
  EXPECT_EQ(m.advise(p, this->kFirst, 1, Advice::kDontNeed), Errno{0});
  EXPECT_EQ(m.get(p, this->kFirst), 1);
  EXPECT_EQ(m.advise(p, this->kFirst, 1, Advice::kDontFork), Errno::kInvalid);
  EXPECT_EQ(m.advise(p, this->kFirst, 1, Advice::kDoFork), Errno{0});
  EXPECT_EQ(m.advise(p, this->kFirst + 1, 1, Advice::kLock), Errno{0});
  EXPECT_EQ(m.error_of(munmap(*m, p, m.at(this->kFirst), m.bytes(this->kPieces))), Errno{0});
  EXPECT_EQ(m.reserved(), 1U);
  EXPECT_EQ(m.free(), 2U);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Hugetlb, TheOwnerTakesThePageFromTheChild) {
  typename TestFixture::Made m(1);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_huge(p, this->kFirst, 1), Errno{0});
  ASSERT_EQ(m.put(p, this->kFirst, 1), Errno{0});
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.view(p, this->kFirst).mapcount, 2U);
  EXPECT_EQ(m.get(child, this->kFirst), 1);
  EXPECT_EQ(m.put(p, this->kFirst, 2), Errno{0});
  EXPECT_EQ(m.events.of(EventKind::kHugetlbTaken), 1);
  EXPECT_EQ(m.view(p, this->kFirst).mapcount, 1U);
  std::byte value{};
  EXPECT_EQ(read(*m, child, m.at(this->kFirst), {&value, 1}).error, Errno::kSigBus);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Hugetlb, APinOfOnePieceIsOneOfTheWhole) {
  typename TestFixture::Made m(2);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_huge(p, this->kFirst, 1), Errno{0});
  ASSERT_EQ(m.put(p, this->kFirst + 1, 1), Errno{0});
  const PinId pin = m.pin(p, this->kFirst + 1, 1, kDma);
  EXPECT_EQ(m.view(p, this->kFirst).pins, 1U);
  const ProcessId child = m.fork(p);
  EXPECT_NE(m.view(p, this->kFirst).frame, m.view(child, this->kFirst).frame);
  EXPECT_EQ(m.put(p, this->kFirst + 1, 2), Errno{0});
  EXPECT_EQ(m.dma_get(pin), 2);
  EXPECT_EQ(m.get(child, this->kFirst + 1), 1);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Hugetlb, AFastPinOfManyPiecesIsGivenBackWhole) {
  typename TestFixture::Made m(1);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_huge(p, this->kFirst, 1), Errno{0});
  ASSERT_EQ(m.put(p, this->kFirst, 1), Errno{0});
  const PinId pin = m.pin(p, this->kFirst, this->kPieces, kDma | PinFlags::kFast);
  EXPECT_EQ(m.view(p, this->kFirst + 2).pins, this->kPieces);
  EXPECT_EQ(m.error_of(munmap(*m, p, m.at(this->kFirst), m.bytes(this->kPieces))), Errno{0});
  EXPECT_EQ(m.free(), 0U);
  EXPECT_EQ(m.verify(), "");
  m.unpin(pin);
  EXPECT_EQ(m.free(), 1U);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Hugetlb, SharedMemoryIsPromisedInItsFile) {
  typename TestFixture::Made m(2);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_huge(p, this->kFirst, 2, MapFlags::kShared), Errno{0});
  EXPECT_EQ(m.reserved(), 2U);
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.put(child, this->kFirst + 1, 3), Errno{0});
  EXPECT_EQ(m.get(p, this->kFirst + 1), 3);
  EXPECT_EQ(m.view(p, this->kFirst).mapcount, 2U);
  EXPECT_EQ(m.reserved(), 1U);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.error_of(munmap(*m, p, m.at(this->kFirst), m.bytes(2 * this->kPieces))), Errno{0});
  EXPECT_EQ(m.reserved(), 1U);
  m.reap(p, child);
  EXPECT_EQ(m.reserved(), 0U);
  EXPECT_EQ(m.free(), 2U);
  EXPECT_EQ(m.verify(), "");
}

/// What fails leaves what can be observed as it was, and goes through when it is tried again.
TYPED_TEST(Hugetlb, EveryAllocationFailsOnce) {
  using Machine = typename TestFixture::Made;
  const std::uint64_t first = this->kFirst;
  const std::uint64_t behind = 2 * this->kFirst;
  const std::vector<std::function<Errno(Machine&, ProcessId)>> operations = {
      [&](Machine& m, ProcessId p) { return m.try_fork(p); },
      [&](Machine& m, ProcessId p) { return m.put(p, first + 2, 6); },
      [&](Machine& m, ProcessId p) { return m.put(p, behind + 2, 6); },
      [&](Machine& m, ProcessId p) { return m.error_of(munmap(*m, p, m.at(behind), m.bytes(this->kPieces))); },
      [&](Machine& m, ProcessId p) { return m.protect(p, behind, this->kPieces, Protection::kRead); },
      [&](Machine& m, ProcessId p) { return m.advise(p, first, this->kPieces, Advice::kDontFork); },
      [&](Machine& m, ProcessId p) { return m.try_pin(p, first + 2, 1, kDma); },
      [&](Machine& m, ProcessId p) { return m.try_pin(p, behind + 2, 1, PinFlags::kLongTerm); },
      [&](Machine& m, ProcessId p) { return m.map_huge(p, 4 * first, 1); },
  };
  for (const bool shared : {false, true}) {
    for (std::size_t which = 0; which < operations.size(); ++which) {
      for (std::uint32_t nth = 1;; ++nth) {
        SCOPED_TRACE(testing::Message() << which << " " << shared << " " << nth);
        Machine m(5);
        const ProcessId p = m.spawn();
        ASSERT_EQ(m.map_huge(p, first, 2), Errno{0});
        ASSERT_EQ(m.put(p, first + 1, 4), Errno{0});
        if (shared) m.fork(p);
        const PinId pin = m.pin(p, first + 1, 1, kDma);
        const std::uint32_t free = m.free();
        const std::uint32_t reserved = m.reserved();
        m->frames().injector().arm(nth);
        const Errno failed = operations[which](m, p);
        const bool fired = m->frames().injector().fired();
        m->frames().injector().arm(0);
        ASSERT_EQ(m.verify(), "");
        if (failed != Errno{0}) {
          EXPECT_EQ(m.free(), free);
          EXPECT_EQ(m.reserved(), reserved);
        }
        ASSERT_EQ(m.put(p, first + 1, 5), Errno{0});
        ASSERT_EQ(m.dma_get(pin), 5);
        if (!fired) {
          EXPECT_EQ(failed, Errno{0});
          break;
        }
        if (failed != Errno{0}) {
          EXPECT_EQ(operations[which](m, p), Errno{0});
        }
      }
    }
  }
}

TYPED_TEST(Hugetlb, VerifyCountsThePool) {
  typename TestFixture::Made m(2);
  const ProcessId p = m.spawn();
  ASSERT_EQ(m.map_huge(p, this->kFirst, 1), Errno{0});
  HugePool& pool = m->pool();
  ++pool.reserved;
  EXPECT_NE(m.verify().find("reserve-imbalance"), std::string::npos);
  --pool.reserved;
  --pool.free;
  EXPECT_NE(m.verify().find("pool-imbalance"), std::string::npos);
  ++pool.free;
  EXPECT_EQ(m.verify(), "");
}

}  // namespace
}  // namespace cowherd::mm
