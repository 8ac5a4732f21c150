#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"
#include "mm/page.hpp"
#include "mm/test_machine.hpp"
#include "mm/test_scheduler.hpp"

namespace cowherd::mm {
namespace {

constexpr PinFlags kDevice = PinFlags::kWrite | PinFlags::kLongTerm;

template <class G>
class MigrateTest : public testing::Test {
 protected:
  static Errno migrate_page(TestMachine<G>& m, ProcessId process, std::uint64_t page) {
    return m.error_of(migrate(*m, process, m.at(page)));
  }
};
TYPED_TEST_SUITE(MigrateTest, Geometries);

TYPED_TEST(MigrateTest, AnOwnPageArrivesAsItWas) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  const PageView before = m.view(p, 0);
  const auto free = m->frames().free_count();
  ASSERT_EQ(this->migrate_page(m, p, 0), Errno{0});
  const PageView after = m.view(p, 0);
  EXPECT_NE(after.frame, before.frame);
  EXPECT_TRUE(after.exclusive);
  EXPECT_TRUE(after.entry.writable());
  EXPECT_TRUE(after.entry.soft_dirty());
  EXPECT_EQ(after.references, 1u);
  EXPECT_EQ(after.mapcount, 1u);
  EXPECT_EQ(m->frames().free_count(), free) << "the old frame is free";
  EXPECT_EQ(m.rss(p), 1u);
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MigrateTest, WhatSeveralMapMovesForAll) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  const ProcessId a = m.fork(p, ForkMode::kClassic);
  const ProcessId b = m.fork(a, ForkMode::kClassic);
  const FrameNumber before = m.view(p, 0).frame;
  ASSERT_EQ(this->migrate_page(m, a, 0), Errno{0});
  const FrameNumber after = m.view(p, 0).frame;
  EXPECT_NE(after, before);
  EXPECT_EQ(m.view(a, 0).frame, after);
  EXPECT_EQ(m.view(b, 0).frame, after);
  EXPECT_EQ(m.view(b, 0).mapcount, 3u);
  EXPECT_EQ(m.view(b, 0).references, 3u);
  EXPECT_FALSE(m.view(b, 0).exclusive);
  ASSERT_EQ(m.put(a, 0, 6), Errno{0});
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.get(b, 0), 5);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MigrateTest, WhatHangsInATableOfSeveralStays) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  const ProcessId a = m.fork(p, ForkMode::kSharedLeaves);
  const ProcessId b = m.fork(a, ForkMode::kSharedLeaves);
  // The tables of `a` are its own then, those of the others still one.
  EXPECT_EQ(this->migrate_page(m, a, 0), Errno::kBusy);
  EXPECT_EQ(m.get(a, 0), 5);
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.get(b, 0), 5);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MigrateTest, WhatSomebodyHoldsStaysUnderEveryRow) {
  for (const RuleRow& row : all_rows()) {
    for (const PinFlags flags : {kDevice, PinFlags::kGet | PinFlags::kWrite, PinFlags::kLongTerm}) {
      SCOPED_TRACE(row.id);
      TestMachine<TypeParam> m(row.rules);
      const ProcessId p = m.spawn();
      m.map(p, 0, 1);
      ASSERT_EQ(m.put(p, 0, 5), Errno{0});
      const PageView before = m.view(p, 0);
      const PinId pin = m.pin(p, 0, 1, flags);
      EXPECT_EQ(this->migrate_page(m, p, 0), Errno::kBusy);
      EXPECT_EQ(m.view(p, 0).entry.frame(), before.frame);
      EXPECT_EQ(m.view(p, 0).entry.writable(), before.entry.writable());
      EXPECT_EQ(m.view(p, 0).exclusive, before.exclusive);
      ASSERT_EQ(m.put(p, 0, 6), Errno{0});
      EXPECT_EQ(m.dma_get(pin), 6);
      m.unpin(pin);
      EXPECT_EQ(this->migrate_page(m, p, 0), Errno{0});
      EXPECT_EQ(m.get(p, 0), 6);
      EXPECT_EQ(m.verify(), "");
    }
  }
}

TYPED_TEST(MigrateTest, SaysWhyNot) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  EXPECT_EQ(m.get(p, 0), 0);
  EXPECT_EQ(this->migrate_page(m, p, 0), Errno::kFault) << "the zero page";
  EXPECT_EQ(this->migrate_page(m, p, 1), Errno::kFault) << "never touched";
  EXPECT_EQ(this->migrate_page(m, p, 9), Errno::kFault) << "not mapped";
  EXPECT_EQ(m.error_of(migrate(*m, p, Vaddr{~std::uint64_t{0}})), Errno::kFault);
  ASSERT_EQ(m.put(p, 2, 1), Errno{0});
  const auto locked = lock_page(*m, p, m.at(2));
  ASSERT_TRUE(locked.ok());
  EXPECT_EQ(this->migrate_page(m, p, 2), Errno::kBusy);
  unlock_page(*m, *locked);
  EXPECT_EQ(this->migrate_page(m, p, 2), Errno{0});
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MigrateTest, ItsSlotLeadsToWhereItIsNow) {
  TestMachine<TypeParam> m(kCowherdRules, 200, 8);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  const ProcessId child = m.fork(p, ForkMode::kClassic);
  ASSERT_EQ(m.swap_out(p, 0), Errno{0});
  ASSERT_EQ(m.swap_in(p, 0), Errno{0});
  ASSERT_TRUE(m.view(p, 0).in_swap_cache);
  ASSERT_EQ(this->migrate_page(m, p, 0), Errno{0});
  EXPECT_TRUE(m.view(p, 0).in_swap_cache);
  EXPECT_EQ(m.verify(), "");
  ASSERT_EQ(m.swap_in(child, 0), Errno{0});
  EXPECT_EQ(m.view(child, 0).frame, m.view(p, 0).frame);
  EXPECT_EQ(m.get(child, 0), 5);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MigrateTest, AMoveIsNoWrite) {
  TestMachine<TypeParam> m(kCowherdRules, 200, 8);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  ASSERT_EQ(m.advise(p, 0, 1, Advice::kFree), Errno{0});
  ASSERT_EQ(this->migrate_page(m, p, 0), Errno{0});
  EXPECT_FALSE(m.view(p, 0).dirty || m.view(p, 0).entry.dirty());
  ASSERT_EQ(m.swap_out(p, 0), Errno{0});
  EXPECT_EQ(m.get(p, 0), 0) << "thrown away, as its owner has said";
  ASSERT_EQ(m.put(p, 0, 6), Errno{0});
  ASSERT_EQ(this->migrate_page(m, p, 0), Errno{0});
  EXPECT_EQ(m.get(p, 0), 6);
  EXPECT_EQ(m.verify(), "");
}

// Inside a move, where what else happens meets migration entries.

class MigrationEntryTest : public testing::Test {
 protected:
  using Machine = TestMachine<CheckedGeometry>;

  /// Moves page 0 of `process`, and calls `inside` while nobody maps it.
  template <class Inside>
  static Errno move(Machine& m, ProcessId process, Inside&& inside) {
    OneAgent agent;
    bool done = false;
    agent.at_point = [&](Point point) {
      if (point != Point::kCopyPage || done) return;
      done = true;
      m->set_scheduler(nullptr);
      inside(m->tables(mm_of(*m, process)).get(Vpn{0}));
      m->set_scheduler(&agent);
    };
    m->set_scheduler(&agent);
    const Errno error = m.error_of(migrate(*m, process, m.at(0)));
    m->set_scheduler(nullptr);
    EXPECT_TRUE(done);
    EXPECT_EQ(m.verify(), "");
    return error;
  }
  static ProcessId own_page(Machine& m) {
    const ProcessId p = m.spawn();
    m.map(p, 0, 1);
    EXPECT_EQ(m.put(p, 0, 5), Errno{0});
    return p;
  }
};

TEST_F(MigrationEntryTest, SaysWhatTheEntryWas) {
  Machine m;
  const ProcessId p = own_page(m);
  EXPECT_EQ(move(m, p,
                 [&](Entry entry) {
                   EXPECT_TRUE(entry.migration() && entry.migration_writable() && entry.migration_exclusive());
                   EXPECT_TRUE(entry.soft_dirty());
                   EXPECT_FALSE(entry.present() || entry.swap() || entry.writable() || entry.none());
                 }),
            Errno{0});
  const ProcessId child = m.fork(p, ForkMode::kClassic);
  EXPECT_EQ(move(m, child,
                 [&](Entry entry) {
                   EXPECT_TRUE(entry.migration());
                   EXPECT_FALSE(entry.migration_writable() || entry.migration_exclusive());
                 }),
            Errno{0});
}

TEST_F(MigrationEntryTest, ForkMakesTwoOfIt) {
  Machine m;
  const ProcessId p = own_page(m);
  ProcessId child{};
  EXPECT_EQ(move(m, p, [&](Entry) { child = m.fork(p, ForkMode::kClassic); }), Errno{0});
  EXPECT_EQ(m.view(child, 0).frame, m.view(p, 0).frame);
  EXPECT_FALSE(m.view(p, 0).exclusive || m.view(p, 0).entry.writable() || m.view(child, 0).entry.writable());
  EXPECT_EQ(m.view(p, 0).mapcount, 2u);
  ASSERT_EQ(m.put(child, 0, 6), Errno{0});
  EXPECT_EQ(m.get(p, 0), 5);
}

TEST_F(MigrationEntryTest, MprotectMakesItReadable) {
  Machine m;
  const ProcessId p = own_page(m);
  EXPECT_EQ(move(m, p, [&](Entry) { EXPECT_EQ(m.protect(p, 0, 1, Protection::kRead), Errno{0}); }), Errno{0});
  EXPECT_FALSE(m.view(p, 0).entry.writable());
  EXPECT_TRUE(m.view(p, 0).exclusive);
}

TEST_F(MigrationEntryTest, WhatIsUnmappedDoesNotArrive) {
  Machine m;
  const ProcessId p = own_page(m);
  EXPECT_EQ(move(m, p, [&](Entry) { EXPECT_EQ(m.advise(p, 0, 1, Advice::kDontNeed), Errno{0}); }), Errno{0});
  EXPECT_EQ(m.get(p, 0), 0);
  EXPECT_EQ(m.rss(p), 0u);
}

TEST_F(MigrationEntryTest, TrackingClosesIt) {
  Machine m;
  const ProcessId p = own_page(m);
  EXPECT_EQ(move(m, p, [&](Entry) { EXPECT_TRUE(clear_refs(*m, p, m.at(0), m.bytes(1)).ok()); }), Errno{0});
  EXPECT_FALSE(m.view(p, 0).entry.writable() || m.view(p, 0).entry.soft_dirty());
  ASSERT_EQ(m.put(p, 0, 6), Errno{0});
  EXPECT_TRUE(m.view(p, 0).entry.soft_dirty());
}

TEST_F(MigrationEntryTest, AccessesWait) {
  Machine m;
  const ProcessId p = own_page(m);
  EXPECT_EQ(move(m, p,
                 [&](Entry) {
                   EXPECT_EQ(m.put(p, 0, 6), Errno::kWouldBlock);
                   EXPECT_FALSE(pin(*m, p, m.at(0), PageCount{1}, kDevice).ok());
                   EXPECT_FALSE(pin(*m, p, m.at(0), PageCount{1}, kDevice | PinFlags::kFast).ok());
                 }),
            Errno{0});
  EXPECT_EQ(m.get(p, 0), 5);
}

}  // namespace
}  // namespace cowherd::mm
