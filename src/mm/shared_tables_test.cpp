#include "mm/shared_tables.hpp"

#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"
#include "mm/test_must.hpp"

namespace cowherd::mm {
namespace {

/// A parent with pages in two lowest tables, and children that fork makes in one mode.
template <class G>
class SharedTablesTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kTable = Geometry<G>::kEntries;

  SharedTablesTest() : parent_(m_.spawn()) {
    m_.map(parent_, 0, 2 * kTable);
    for (const std::uint64_t page : {std::uint64_t{0}, std::uint64_t{1}, kTable}) {
      EXPECT_EQ(m_.put(parent_, page, value(page)), Errno{0});
    }
  }

  static std::uint8_t value(std::uint64_t page) { return static_cast<std::uint8_t>(page + 1); }
  ProcessId fork(ForkMode mode) { return m_.fork(parent_, mode); }
  FrameNumber table(ProcessId process, std::uint64_t page) {
    auto tables = m_->tables(mm(process));
    return tables.table_of(tables.find(Vpn{page}));
  }
  Mm& mm(ProcessId process) { return m_->at(m_->at(Ref<Process>{process.value()}).mm); }
  bool shares(ProcessId child, std::uint64_t page) { return table(parent_, page) == table(child, page); }

  TestMachine<G> m_;
  ProcessId parent_;
};
TYPED_TEST_SUITE(SharedTablesTest, Geometries);

TYPED_TEST(SharedTablesTest, ForkTouchesNoEntryBelow) {
  const ProcessId child = this->fork(ForkMode::kSharedLeaves);
  EXPECT_TRUE(this->shares(child, 0));
  EXPECT_TRUE(this->shares(child, this->kTable));
  auto& m = this->m_;
  EXPECT_EQ(m->descriptor(this->table(child, 0)).references(), 2u);
  const auto walk = m->tables(this->mm(this->parent_)).walk_to(Vpn{0});
  EXPECT_TRUE(walk.shared);
  EXPECT_TRUE(walk.slot.load().writable());
  EXPECT_FALSE(walk.load().writable());
  EXPECT_EQ(m.view(child, 0).mapcount, 2u) << "as after a classic fork";
  EXPECT_FALSE(m.view(child, 0).exclusive);
  EXPECT_EQ(m.rss(child), 3u);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(SharedTablesTest, TheHighestTableWithoutAPinIsShared) {
  auto& m = this->m_;
  const ProcessId child = this->fork(ForkMode::kSharedSubtrees);
  const auto upper = [&](ProcessId process) {
    return m->tables(this->mm(process)).walk_to(Vpn{0}, Tables<TypeParam>::kLowerLevels).slot.load();
  };
  EXPECT_EQ(upper(this->parent_), upper(child));
  EXPECT_FALSE(upper(child).writable());
  EXPECT_EQ(m->descriptor(this->table(child, 0)).references(), 1u);
  EXPECT_EQ(m.put(child, 0, 9), Errno{0});
  EXPECT_FALSE(this->shares(child, 0));
  EXPECT_TRUE(this->shares(child, this->kTable)) << "only the way to the page is copied";
  EXPECT_EQ(m.get(this->parent_, 0), this->value(0));
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(SharedTablesTest, TheWayToAPinnedPageStaysWritable) {
  auto& m = this->m_;
  const PinId pin = m.pin(this->parent_, 0, 1, kDma);
  for (const ForkMode mode : {ForkMode::kSharedLeaves, ForkMode::kSharedSubtrees}) {
    const ProcessId child = this->fork(mode);
    EXPECT_FALSE(this->shares(child, 0));
    EXPECT_TRUE(this->shares(child, this->kTable));
    EXPECT_TRUE(m->tables(this->mm(this->parent_)).get(Vpn{0}).writable());
    EXPECT_EQ(m.put(this->parent_, 0, 7), Errno{0});
    EXPECT_EQ(m.dma_get(pin), 7);
    EXPECT_EQ(m.verify(), "");
    EXPECT_EQ(m.put(this->parent_, 0, this->value(0)), Errno{0});
  }
}

TYPED_TEST(SharedTablesTest, ATableWithoutPinsIsSharedAgain) {
  auto& m = this->m_;
  m.unpin(m.pin(this->parent_, 0, 1, kDma));
  EXPECT_FALSE(this->shares(this->fork(ForkMode::kSharedSubtrees), 0)) << "the mark outlives the pin";
  EXPECT_TRUE(this->shares(this->fork(ForkMode::kSharedSubtrees), 0)) << "and fork finds that nothing is held";
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(SharedTablesTest, TheLastOwnerWritesWithoutACopy) {
  auto& m = this->m_;
  const ProcessId child = this->fork(ForkMode::kSharedSubtrees);
  const FrameNumber frame = m.view(this->parent_, 0).frame;
  m.exit(child);
  const PageCount free = m->frames().free_count();
  EXPECT_EQ(m.put(this->parent_, 0, 9), Errno{0});
  EXPECT_EQ(m.view(this->parent_, 0).frame, frame);
  EXPECT_EQ(m->frames().free_count(), free);
  EXPECT_TRUE(m.view(this->parent_, 0).exclusive);
}

TYPED_TEST(SharedTablesTest, DiscardingAWholeTableTakesNoMemory) {
  auto& m = this->m_;
  const ProcessId child = this->fork(ForkMode::kSharedLeaves);
  m->frames().injector().arm(1);
  EXPECT_EQ(m.advise(child, 0, this->kTable, Advice::kDontNeed), Errno{0});
  EXPECT_FALSE(m->frames().injector().fired());
  m->frames().injector().arm(0);
  EXPECT_EQ(m->descriptor(this->table(this->parent_, 0)).references(), 1u);
  EXPECT_EQ(m.get(this->parent_, 1), this->value(1));
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(SharedTablesTest, UnmappingPartOfATableCopiesItOrChangesNothing) {
  auto& m = this->m_;
  const ProcessId child = this->fork(ForkMode::kSharedLeaves);
  for (std::uint32_t nth = 1;; ++nth) {
    ASSERT_LT(nth, 20u);
    m->frames().injector().arm(nth);
    const auto unmapped = munmap(*m, child, m.at(1), m.bytes(1));
    const bool fired = m->frames().injector().fired();
    m->frames().injector().arm(0);
    EXPECT_EQ(m.verify(), "");
    if (!fired) {
      EXPECT_TRUE(unmapped.ok());
      break;
    }
    EXPECT_EQ(unmapped.error(), Errno::kNoMemory);
    EXPECT_EQ(m.get(child, 1), this->value(1));
  }
  EXPECT_FALSE(this->shares(child, 0));
  EXPECT_EQ(m.get(this->parent_, 1), this->value(1));
}

TYPED_TEST(SharedTablesTest, AReferenceMakesTheTablesItsOwn) {
  auto& m = this->m_;
  const ProcessId child = this->fork(ForkMode::kSharedSubtrees);
  for (const PinFlags flags : {PinFlags::kGet, PinFlags::kFast | PinFlags::kGet, PinFlags::kNone}) {
    const PinId pin = m.pin(child, 1, 1, flags);
    EXPECT_FALSE(this->shares(child, 0));
    EXPECT_TRUE(m->descriptor(this->table(child, 0)).pins_below());
    EXPECT_EQ(m.dma_get(pin), this->value(1));
    EXPECT_EQ(m.verify(), "");
    m.unpin(pin);
  }
}

TYPED_TEST(SharedTablesTest, WhatTheChildDoesNotInheritKeepsATableFromBeingShared) {
  auto& m = this->m_;
  m.advise(this->parent_, 1, 1, Advice::kDontFork);
  m.advise(this->parent_, this->kTable, 1, Advice::kWipeOnFork);
  const ProcessId child = this->fork(ForkMode::kSharedSubtrees);
  EXPECT_EQ(m.get(child, 0), this->value(0));
  EXPECT_EQ(m.get(child, this->kTable), 0);
  EXPECT_EQ(m.get(child, 1), -static_cast<int>(Errno::kSigSegv));
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(SharedTablesTest, RulesThatAskMoreThanThePageCopyEveryTable) {
  for (const char* row : {"X6", "entry"}) {
    const RuleRow* rules = find_rules(row);
    ASSERT_NE(rules, nullptr);
    TestMachine<TypeParam> m(rules->rules);
    const ProcessId parent = m.spawn();
    m.map(parent, 0, 1);
    EXPECT_EQ(m.put(parent, 0, 1), Errno{0});
    m.fork(parent, ForkMode::kSharedSubtrees);
    EXPECT_FALSE(m->tables(m->at(m->at(Ref<Process>{parent.value()}).mm)).walk_to(Vpn{0}).shared) << row;
  }
}

}  // namespace
}  // namespace cowherd::mm
