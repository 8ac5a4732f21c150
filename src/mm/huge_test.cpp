#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"
#include "mm/test_must.hpp"

namespace cowherd::mm {
namespace {

/// A machine with room for some huge pages; `kPieces`: what one of them spans.
template <class G>
class Huge : public testing::Test {
 protected:
  static constexpr std::uint64_t kPieces = Frames<G>::kHugeFrames;
  static constexpr std::size_t kRoom = G::kExplored ? 160 : 10 * kPieces;

  TestMachine<G> machine_{kCowherdRules, kRoom, 0, true};

  /// A process that has one huge page at the second place where one fits, and a small one behind it.
  ProcessId start() {
    const ProcessId p = machine_.spawn();
    machine_.map(p, kPieces, kPieces + 1);
    EXPECT_EQ(machine_.advise(p, kPieces, kPieces + 1, Advice::kHugePage), Errno{0});
    EXPECT_EQ(machine_.put(p, first(), 1), Errno{0});
    EXPECT_EQ(machine_.put(p, first() + kPieces, 9), Errno{0});
    return p;
  }
  static std::uint64_t first() { return kPieces; }
};
TYPED_TEST_SUITE(Huge, Geometries);

TYPED_TEST(Huge, AFirstWriteMapsTheWhole) {
  auto& m = this->machine_;
  const ProcessId p = this->start();
  EXPECT_TRUE(m.view(p, this->first() + 2).huge);
  EXPECT_FALSE(m.view(p, this->first() + this->kPieces).huge);
  EXPECT_EQ(m.rss(p), this->kPieces + 1);
  EXPECT_EQ(m.get(p, this->first()), 1);
  EXPECT_EQ(m.get(p, this->first() + this->kPieces - 1), 0);
  EXPECT_EQ(m.events.of(EventKind::kHugeMapped), 1);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Huge, ForkCountsOneEntryAndGoesBackToOneOwner) {
  auto& m = this->machine_;
  const ProcessId p = this->start();
  const PageCount before = m->frames().free_count();
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.view(p, this->first()).mapcount, 2U);
  EXPECT_TRUE(m.view(child, this->first()).huge);
  EXPECT_EQ(m.get(child, this->first()), 1);
  EXPECT_EQ(m.verify(), "");
  m.reap(p, child);
  EXPECT_EQ(m->frames().free_count(), before);
  EXPECT_EQ(m.put(p, this->first() + 1, 2), Errno{0});
  EXPECT_TRUE(m.view(p, this->first()).huge);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Huge, AWriteAfterForkCopiesOnePage) {
  auto& m = this->machine_;
  const ProcessId p = this->start();
  const ProcessId child = m.fork(p);
  const PageCount before = m->frames().free_count();
  EXPECT_EQ(m.put(p, this->first() + 1, 2), Errno{0});
  // A table for the small entries, and the copy.
  EXPECT_EQ(before - m->frames().free_count(), PageCount{2});
  EXPECT_FALSE(m.view(p, this->first()).huge);
  EXPECT_TRUE(m.view(child, this->first()).huge);
  EXPECT_EQ(m.view(p, this->first()).frame, m.view(child, this->first()).frame);
  EXPECT_EQ(m.get(child, this->first() + 1), 0);
  EXPECT_EQ(m.get(p, this->first() + 1), 2);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Huge, OnePinnedPageIsCopiedAlone) {
  auto& m = this->machine_;
  const ProcessId p = this->start();
  const PinId pin = m.pin(p, this->first() + 1, 1, kDma);
  EXPECT_TRUE(m.view(p, this->first()).huge);
  m.events.clear();
  const ProcessId child = m.fork(p, ForkMode::kClassic);
  EXPECT_EQ(m.events.of(EventKind::kForkCopied), 1);
  EXPECT_TRUE(m.view(p, this->first() + 1).entry.writable());
  EXPECT_NE(m.view(p, this->first() + 1).frame, m.view(child, this->first() + 1).frame);
  EXPECT_EQ(m.view(p, this->first() + 2).frame, m.view(child, this->first() + 2).frame);
  EXPECT_EQ(m.put(p, this->first() + 1, 5), Errno{0});
  EXPECT_EQ(m.dma_get(pin), 5);
  EXPECT_EQ(m.get(child, this->first() + 1), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Huge, PinsThatAreGoneCostTheNextForkNothing) {
  auto& m = this->machine_;
  const ProcessId p = this->start();
  for (const PinFlags flags : {kDma, kDma | PinFlags::kFast}) {
    m.unpin(m.pin(p, this->first(), this->kPieces, flags));
    const ProcessId child = m.fork(p);
    EXPECT_TRUE(m.view(p, this->first()).huge);
    EXPECT_TRUE(m.view(child, this->first()).huge);
    m.reap(p, child);
    EXPECT_EQ(m.put(p, this->first(), 3), Errno{0});
  }
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Huge, WhereLinuxCountsPerFolioForkCopiesAll) {
  TestMachine<TypeParam> m(find_rules("linux-6.15")->rules, this->kRoom, 0, true);
  const ProcessId p = m.spawn();
  m.map(p, this->first(), this->kPieces);
  ASSERT_EQ(m.advise(p, this->first(), this->kPieces, Advice::kHugePage), Errno{0});
  ASSERT_EQ(m.put(p, this->first(), 1), Errno{0});
  const PinId pin = m.pin(p, this->first() + 1, 1, kDma);
  m.fork(p, ForkMode::kClassic);
  EXPECT_EQ(static_cast<std::uint64_t>(m.events.of(EventKind::kForkCopied)), this->kPieces);
  EXPECT_EQ(m.put(p, this->first() + 1, 5), Errno{0});
  EXPECT_EQ(m.dma_get(pin), 5);
}

TYPED_TEST(Huge, PartsOfItGoAndMove) {
  auto& m = this->machine_;
  const ProcessId p = this->start();
  const PinId pin = m.pin(p, this->first() + 1, 1, kDma);
  m.unmap(p, this->first() + 2, 1);
  EXPECT_FALSE(m.view(p, this->first()).huge);
  EXPECT_EQ(m.rss(p), this->kPieces);
  EXPECT_EQ(m.verify(), "");
  ASSERT_TRUE(mremap(*m, p, m.at(this->first() + 1), m.bytes(1), m.bytes(1), RemapFlags::kMayMove | RemapFlags::kFixed,
                     m.at(this->first() + 2))
                  .ok());
  EXPECT_EQ(m.put(p, this->first() + 2, 7), Errno{0});
  EXPECT_EQ(m.dma_get(pin), 7);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Huge, CollapseTakesWhatNobodyHolds) {
  auto& m = this->machine_;
  const ProcessId p = m.spawn();
  m.map(p, this->first(), this->kPieces);
  for (std::uint64_t i = 0; i + 1 < this->kPieces; ++i) {
    ASSERT_EQ(m.put(p, this->first() + i, static_cast<int>(i % 100 + 1)), Errno{0});
  }
  const PinId pin = m.pin(p, this->first() + 1, 1, kDma);
  EXPECT_EQ(m.advise(p, this->first(), this->kPieces, Advice::kCollapse), Errno::kAgain);
  EXPECT_EQ(m.put(p, this->first() + 1, 50), Errno{0});
  EXPECT_EQ(m.dma_get(pin), 50);
  m.unpin(pin);
  EXPECT_EQ(m.advise(p, this->first(), this->kPieces, Advice::kCollapse), Errno{0});
  EXPECT_TRUE(m.view(p, this->first()).huge);
  EXPECT_EQ(m.rss(p), this->kPieces);
  EXPECT_EQ(m.get(p, this->first() + 1), 50);
  EXPECT_EQ(m.get(p, this->first() + 2), 3);
  EXPECT_EQ(m.get(p, this->first() + this->kPieces - 1), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Huge, AFirstReadMapsZerosForAll) {
  auto& m = this->machine_;
  const ProcessId p = this->start();
  const std::uint64_t far = 4 * this->kPieces;
  m.map(p, far, this->kPieces);
  ASSERT_EQ(m.advise(p, far, this->kPieces, Advice::kHugePage), Errno{0});
  EXPECT_EQ(m.get(p, far + 1), 0);
  const PageView zeros = m.view(p, far + 1);
  EXPECT_TRUE(zeros.huge);
  EXPECT_FALSE(zeros.entry.writable());
  EXPECT_EQ(zeros.mapcount, 0U);
  EXPECT_EQ(m.rss(p), this->kPieces + 1);
  EXPECT_EQ(m.events.of(EventKind::kHugeZeroMapped), 1);
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.view(child, far).frame, m.view(p, far).frame);
  EXPECT_EQ(m.verify(), "");
  // Who writes gets a huge page of his own.
  ASSERT_EQ(m.put(child, far + 1, 7), Errno{0});
  EXPECT_TRUE(m.view(child, far).huge);
  EXPECT_TRUE(m.view(child, far).exclusive);
  EXPECT_TRUE(m.view(p, far).huge);
  EXPECT_EQ(m.get(p, far + 1), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Huge, ZerosAreTakenApartByRule) {
  TestMachine<TypeParam> m(find_rules("linux-6.12")->rules, this->kRoom, 0, true);
  const ProcessId p = m.spawn();
  m.map(p, this->first(), this->kPieces);
  ASSERT_EQ(m.advise(p, this->first(), this->kPieces, Advice::kHugePage), Errno{0});
  EXPECT_EQ(m.get(p, this->first()), 0);
  ASSERT_EQ(m.put(p, this->first() + 1, 7), Errno{0});
  EXPECT_FALSE(m.view(p, this->first()).huge);
  EXPECT_EQ(m.view(p, this->first()).frame, Frames<TypeParam>::kZeroPage);
  EXPECT_EQ(m.get(p, this->first() + 2), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Huge, AReferenceToZerosIsCounted) {
  TestMachine<TypeParam> m(find_rules("linux-6.1")->rules, this->kRoom, 0, true);
  const ProcessId p = m.spawn();
  m.map(p, this->first(), this->kPieces);
  ASSERT_EQ(m.advise(p, this->first(), this->kPieces, Advice::kHugePage), Errno{0});
  EXPECT_EQ(m.get(p, this->first()), 0);
  const PinId got = m.pin(p, this->first() + 1, 1, PinFlags::kGet);
  EXPECT_TRUE(m.view(p, this->first()).huge);
  EXPECT_EQ(m.view(p, this->first() + 1).references, 1U);
  EXPECT_EQ(m.verify(), "");
  m.unpin(got);
  EXPECT_EQ(m.view(p, this->first() + 1).references, 0U);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(Huge, WithoutTheOptionThereAreNone) {
  TestMachine<TypeParam> m(kCowherdRules, this->kRoom);
  const ProcessId p = m.spawn();
  m.map(p, this->first(), this->kPieces);
  EXPECT_EQ(m.advise(p, this->first(), this->kPieces, Advice::kHugePage), Errno{0});
  EXPECT_EQ(m.put(p, this->first(), 1), Errno{0});
  EXPECT_FALSE(m.view(p, this->first()).huge);
  EXPECT_EQ(m.advise(p, this->first(), this->kPieces, Advice::kCollapse), Errno::kInvalid);
}

/// Every allocation of every operation on a huge page fails once: what can be seen is what could be seen before, and a
/// second attempt succeeds.
TYPED_TEST(Huge, EveryAllocationFailsOnce) {
  using M = TestMachine<TypeParam>;
  const std::uint64_t first = this->first();
  const std::vector<std::function<Errno(M&, ProcessId)>> operations = {
      [&](M& m, ProcessId p) { return m.try_fork(p); },
      [&](M& m, ProcessId p) { return m.put(p, first + 2, 6); },
      [&](M& m, ProcessId p) { return m.error_of(munmap(*m, p, m.at(first + 2), m.bytes(1))); },
      [&](M& m, ProcessId p) { return m.protect(p, first + 2, 1, Protection::kRead); },
      [&](M& m, ProcessId p) { return m.advise(p, first + 2, 1, Advice::kDontNeed); },
      [&](M& m, ProcessId p) { return m.advise(p, first + 2, 1, Advice::kDontFork); },
      [&](M& m, ProcessId p) { return m.try_pin(p, first + 2, 1, kDma); },
      [&](M& m, ProcessId p) {
        // Taking a pin after a fork has split it already.
        return m.view(p, first).huge ? m.error_of(split(*m, p, m.at(first))) : Errno{0};
      },
  };
  for (const bool shared : {false, true}) {
    for (std::size_t which = 0; which < operations.size(); ++which) {
      for (std::uint32_t nth = 1;; ++nth) {
        SCOPED_TRACE(testing::Message() << which << " " << shared << " " << nth);
        M m(kCowherdRules, this->kRoom, 0, true);
        const ProcessId p = m.spawn();
        m.map(p, first, this->kPieces);
        ASSERT_EQ(m.advise(p, first, this->kPieces, Advice::kHugePage), Errno{0});
        ASSERT_EQ(m.put(p, first + 1, 4), Errno{0});
        if (shared) m.fork(p);
        const PinId pin = m.pin(p, first + 1, 1, kDma);
        m->frames().injector().arm(nth);
        const Errno failed = operations[which](m, p);
        const bool fired = m->frames().injector().fired();
        m->frames().injector().arm(0);
        ASSERT_EQ(m.verify(), "");
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

}  // namespace
}  // namespace cowherd::mm
