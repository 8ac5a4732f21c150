#include "mm/reclaim_folio.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "cow/rule_rows.hpp"
#include "mm/operations.hpp"
#include "mm/test_machine.hpp"
#include "mm/test_must.hpp"

namespace cowherd::mm {
namespace {

/// A machine with swap, folios of four pages and, where it is told so, huge pages.
template <class G>
class ReclaimFolio : public testing::Test {
 protected:
  using Machine = TestMachine<G>;
  static constexpr std::uint64_t kPieces = Frames<G>::kHugeFrames;
  static constexpr std::uint64_t kFirst = kPieces;

  static MachineSize folios(std::size_t swap) {
    return {.frames = PageCount{200}, .swap = PageCount{swap}, .huge = true, .folio_order = 2};
  }
  static MachineSize huge(std::size_t swap) {
    return {.frames = PageCount{G::kExplored ? 160 : 10 * kPieces}, .swap = PageCount{swap}, .huge = true};
  }
  /// A process with `pages` pages, each of which was written, in folios or huge pages.
  static ProcessId start(Machine& m, std::uint64_t pages) {
    const ProcessId p = m.spawn();
    m.map(p, kFirst, pages);
    EXPECT_EQ(m.advise(p, kFirst, pages, Advice::kHugePage), Errno{0});
    for (std::uint64_t i = 0; i < pages; ++i) EXPECT_EQ(m.put(p, kFirst + i, 1 + static_cast<int>(i % 100)), Errno{0});
    return p;
  }
};
using Geometries = testing::Types<ProductionGeometry, CheckedGeometry>;
TYPED_TEST_SUITE(ReclaimFolio, Geometries);

TYPED_TEST(ReclaimFolio, AllOfItGoesToSlotsSideBySide) {
  typename TestFixture::Machine m(kCowherdRules, this->folios(12));
  const ProcessId p = this->start(m, 4);
  EXPECT_EQ(m.swap_out(p, this->kFirst + 2), Errno{0});
  EXPECT_EQ(m.swapped(p), 4U);
  EXPECT_EQ(m.events.of(EventKind::kFolioReclaimed), 1);
  EXPECT_EQ(m.verify(), "");
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(m.get(p, this->kFirst + i), 1 + static_cast<int>(i));
  EXPECT_TRUE(m.view(p, this->kFirst + 3).exclusive);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(ReclaimFolio, WithoutSlotsSideBySideOnePageGoes) {
  typename TestFixture::Machine m(kCowherdRules, this->folios(7));
  const ProcessId other = m.spawn();
  m.map(other, 0, 1);
  ASSERT_EQ(m.put(other, 0, 9), Errno{0});
  ASSERT_EQ(m.swap_out(other, 0), Errno{0});
  const ProcessId p = this->start(m, 4);
  EXPECT_EQ(m.swap_out(p, this->kFirst + 2), Errno{0});
  EXPECT_EQ(m.swapped(p), 1U);
  EXPECT_EQ(m.get(p, this->kFirst + 2), 3);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(ReclaimFolio, APinnedPageStaysAndTheOthersGoOneByOne) {
  typename TestFixture::Machine m(kCowherdRules, this->folios(12));
  const ProcessId p = this->start(m, 4);
  const PinId pin = m.pin(p, this->kFirst + 1, 1, PinFlags::kWrite);
  EXPECT_EQ(m.swap_out(p, this->kFirst + 1), Errno::kBusy);
  EXPECT_EQ(m.swap_out(p, this->kFirst), Errno{0});
  EXPECT_EQ(m.swapped(p), 1U);
  ASSERT_EQ(m.dma_put(pin, 50), Errno{0});
  EXPECT_EQ(m.get(p, this->kFirst + 1), 50);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(ReclaimFolio, WherePinsAreCountedPerFolioItKeepsAll) {
  typename TestFixture::Machine m(find_rules("linux-6.15")->rules, this->folios(12));
  const ProcessId p = this->start(m, 4);
  const PinId pin = m.pin(p, this->kFirst + 1, 1, PinFlags::kWrite);
  EXPECT_EQ(m.swap_out(p, this->kFirst), Errno::kBusy);
  EXPECT_EQ(m.swapped(p), 0U);
  m.unpin(pin);
  EXPECT_EQ(m.swap_out(p, this->kFirst), Errno{0});
  EXPECT_EQ(m.swapped(p), 4U);
}

TYPED_TEST(ReclaimFolio, OthersWhoMapItLoseItToo) {
  typename TestFixture::Machine m(kCowherdRules, this->folios(12));
  const ProcessId p = this->start(m, 4);
  const ProcessId child = m.fork(p, ForkMode::kClassic);
  EXPECT_EQ(m.swap_out(p, this->kFirst), Errno{0});
  EXPECT_EQ(m.swapped(p), 4U);
  EXPECT_EQ(m.swapped(child), 4U);
  ASSERT_EQ(m.put(p, this->kFirst, 7), Errno{0});
  EXPECT_EQ(m.get(child, this->kFirst), 1);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(ReclaimFolio, AHugePageGoesWhole) {
  typename TestFixture::Machine m(kCowherdRules, this->huge(2 * this->kPieces));
  const ProcessId p = this->start(m, this->kPieces);
  ASSERT_TRUE(m.view(p, this->kFirst).huge);
  const PageCount before = m->frames().free_count();
  EXPECT_EQ(m.swap_out(p, this->kFirst + 2), Errno{0});
  EXPECT_EQ(m.swapped(p), this->kPieces);
  EXPECT_EQ(m->frames().free_count() + PageCount{1}, before + PageCount{this->kPieces}) << "a table came";
  for (std::uint64_t i = 0; i < this->kPieces; ++i)
    EXPECT_EQ(m.get(p, this->kFirst + i), 1 + static_cast<int>(i % 100));
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(ReclaimFolio, ReclaimTakesHugePagesThatNobodyUses) {
  typename TestFixture::Machine m(kCowherdRules, this->huge(2 * this->kPieces));
  const ProcessId p = this->start(m, this->kPieces);
  const PageCount freed = reclaim(*m, PageCount{1});
  EXPECT_EQ(freed, PageCount{this->kPieces});
  EXPECT_EQ(m.swapped(p), this->kPieces);
  EXPECT_EQ(m.get(p, this->kFirst), 1);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(ReclaimFolio, WhatOthersMapWholeStays) {
  typename TestFixture::Machine m(kCowherdRules, this->huge(2 * this->kPieces));
  const ProcessId p = this->start(m, this->kPieces);
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.swap_out(p, this->kFirst), Errno::kBusy);
  EXPECT_EQ(m.swapped(p), 1U);
  EXPECT_EQ(m.get(child, this->kFirst), 1);
  ASSERT_EQ(m.put(child, this->kFirst, 8), Errno{0});
  EXPECT_EQ(m.get(p, this->kFirst), 1);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(ReclaimFolio, UnderMadvFreeAllOfItIsLostOrNone) {
  for (const int writes : {0, 1}) {
    typename TestFixture::Machine m(kCowherdRules, this->folios(12));
    const ProcessId p = this->start(m, 5);
    ASSERT_EQ(m.advise(p, this->kFirst, 4, Advice::kFree), Errno{0});
    ASSERT_EQ(m.put(p, this->kFirst + (writes != 0 ? 3 : 4), 9), Errno{0});
    EXPECT_EQ(m.swap_out(p, this->kFirst), writes != 0 ? Errno::kBusy : Errno{0});
    EXPECT_EQ(m.swapped(p), 0U);
    EXPECT_EQ(m.get(p, this->kFirst), writes);
    EXPECT_EQ(m.get(p, this->kFirst + 3), writes * 9);
    EXPECT_EQ(m.verify(), "");
  }
}

/// The child has the last page only, so that the entries differ.
TYPED_TEST(ReclaimFolio, WhatComesBackPermitsWhatItDid) {
  for (const LazyRestore restore : {LazyRestore::kEach, LazyRestore::kFirst}) {
    Rules rules = kCowherdRules;
    rules.lazy_restore = restore;
    typename TestFixture::Machine m(rules, this->folios(12));
    const ProcessId p = this->start(m, 4);
    ASSERT_EQ(m.advise(p, this->kFirst, 4, Advice::kFree), Errno{0});
    ASSERT_EQ(m.advise(p, this->kFirst, 3, Advice::kDontFork), Errno{0});
    const ProcessId child = m.fork(p, ForkMode::kClassic);
    ASSERT_EQ(m.advise(p, this->kFirst, 3, Advice::kDoFork), Errno{0});
    ASSERT_EQ(m.put(p, this->kFirst, 9), Errno{0});
    EXPECT_EQ(m.swap_out(p, this->kFirst), Errno::kBusy);
    const bool wrong = restore == LazyRestore::kFirst;
    EXPECT_EQ(m.view(p, this->kFirst + 3).entry.writable(), wrong);
    EXPECT_EQ(m.verify().empty(), !wrong);
    EXPECT_EQ(m.get(child, this->kFirst + 3), 4);
    if (wrong) m.expect_broken();
  }
}

/// Every allocation of a swap-out fails once: it fails, or does as much as it can, and nothing is lost.
TYPED_TEST(ReclaimFolio, EveryAllocationFailsOnce) {
  for (std::uint32_t nth = 1;; ++nth) {
    typename TestFixture::Machine m(kCowherdRules, this->huge(2 * this->kPieces));
    const ProcessId p = this->start(m, this->kPieces);
    m->frames().injector().arm(nth);
    const Errno outcome = m.swap_out(p, this->kFirst);
    const bool failed = m->frames().injector().fired();
    m->frames().injector().arm(0);
    EXPECT_EQ(outcome, failed ? Errno::kNoMemory : Errno{0});
    EXPECT_EQ(m.view(p, this->kFirst).huge, failed);
    EXPECT_EQ(m.verify(), "");
    EXPECT_EQ(m.get(p, this->kFirst + 1), 2);
    if (!failed) break;
    ASSERT_LT(nth, 20U);
  }
}

}  // namespace
}  // namespace cowherd::mm
