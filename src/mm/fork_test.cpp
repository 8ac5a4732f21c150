#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"
#include "mm/test_must.hpp"

namespace cowherd::mm {
namespace {

template <class G>
class ForkTest : public testing::Test {};
TYPED_TEST_SUITE(ForkTest, Geometries);

TYPED_TEST(ForkTest, ParentAndChildSeeTheSameAndThenTheirOwn) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  ASSERT_EQ(m.get(p, 1), 0);
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.areas(child), "0-3rw");
  EXPECT_EQ(m.rss(child), 1u);
  EXPECT_FALSE(m.view(p, 0).entry.writable() || m.view(child, 0).entry.writable());
  for (std::uint64_t page = 0; page < 3; ++page) EXPECT_EQ(m.get(child, page), m.get(p, page));
  for (std::uint64_t page = 0; page < 3; ++page) {
    ASSERT_EQ(m.put(child, page, 10), Errno{0});
    ASSERT_EQ(m.put(p, page, 20), Errno{0});
    EXPECT_EQ(m.get(child, page), 10);
    EXPECT_EQ(m.get(p, page), 20);
  }
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(ForkTest, AChainOfForksKeepsEveryGenerationApart) {
  TestMachine<TypeParam> m(kCowherdRules, 400);
  std::vector<ProcessId> line = {m.spawn()};
  m.map(line[0], 0, 4);
  ASSERT_EQ(m.put(line[0], 0, 100), Errno{0});
  for (int generation = 1; generation < 6; ++generation) {
    line.push_back(m.fork(line.back()));
    ASSERT_EQ(m.put(line.back(), 1, generation), Errno{0});
  }
  for (int generation = 1; generation < 6; ++generation) {
    EXPECT_EQ(m.get(line[static_cast<std::size_t>(generation)], 1), generation);
    EXPECT_EQ(m.get(line[static_cast<std::size_t>(generation)], 0), 100);
  }
  EXPECT_EQ(m.view(line[3], 0).mapcount, 6u);
  EXPECT_EQ(m.verify(), "");
  for (std::size_t i = 0; i < 5; ++i) m.exit(line[i]);
  EXPECT_EQ(m.get(line[5], 0), 100);
  ASSERT_EQ(m.put(line[5], 0, 7), Errno{0});
  EXPECT_EQ(m.view(line[5], 0).references, 1u);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(ForkTest, ManyGenerationsCostNoMoreThanOne) {
  TestMachine<TypeParam> m;
  ProcessId last = m.spawn();
  m.map(last, 0, 2);
  ASSERT_EQ(m.put(last, 0, 1), Errno{0});
  for (int generation = 0; generation < 300; ++generation) {
    const ProcessId next = m.fork(last);
    m.exit(last);
    ASSERT_EQ(m.put(next, 1, generation % 100), Errno{0});
    last = next;
  }
  EXPECT_EQ(m.get(last, 0), 1);
  EXPECT_EQ(m.verify(), "");
}

// The failing test of 2020: pin, fork, the child goes, the parent writes; the device must see it.
TYPED_TEST(ForkTest, WhoKeepsAPinnedPageByRow) {
  struct Case {
    const char* row;
    /// For a counted pin: the device still sees what the parent writes while the child lives, and after.
    bool pin_alive, pin_gone;
    /// The same for an ordinary reference.
    bool get_alive, get_gone;
  };
  const Case cases[] = {
      {"R0", false, false, false, false},   {"R1", false, true, false, true},   {"R2", false, true, false, true},
      {"R4", false, true, false, true},     {"R5", false, false, false, false}, {"R6", true, true, false, false},
      {"R7", true, true, false, false},     {"R11", true, true, false, false},  {"R16", true, true, false, false},
      {"X2", true, true, false, false},     {"X4", true, true, true, true},     {"X5", true, true, true, true},
      {"X6", true, true, true, true},       {"X7", true, true, false, true},    {"X9", true, true, true, true},
      {"none", false, false, false, false}, {"entry", true, true, false, true}, {"page", true, true, true, true},
      {"cowherd", true, true, true, true},
  };
  for (const Case& c : cases) {
    for (const bool counted : {true, false}) {
      for (const bool child_goes : {true, false}) {
        SCOPED_TRACE(testing::Message() << c.row << (counted ? " pin" : " get") << (child_goes ? ", child gone" : ""));
        TestMachine<TypeParam> m(find_rules(c.row)->rules);
        const ProcessId p = m.spawn();
        m.map(p, 0, 2);
        ASSERT_EQ(m.put(p, 0, 1), Errno{0});
        const PinId pin = m.pin(p, 0, 1, counted ? kDma : PinFlags::kWrite | PinFlags::kGet);
        const ProcessId child = m.fork(p);
        if (child_goes) m.reap(p, child);
        ASSERT_EQ(m.put(p, 0, 2), Errno{0});
        const bool kept = m.dma_get(pin) == 2;
        EXPECT_EQ(kept, child_goes ? (counted ? c.pin_gone : c.get_gone) : (counted ? c.pin_alive : c.get_alive));
        if (!child_goes) {
          EXPECT_EQ(m.get(child, 0), 1) << "whatever the rules, the child's memory is its own";
        }
        EXPECT_EQ(m.verify(), "");
      }
    }
  }
}

TYPED_TEST(ForkTest, APinnedPageIsNeverWriteProtected) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  for (std::uint64_t page = 0; page < 3; ++page) ASSERT_EQ(m.put(p, page, 1), Errno{0});
  const PinId pin = m.pin(p, 1, 1, kDma);
  const Entry before = m.view(p, 1).entry;
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.view(p, 1).entry, before);
  EXPECT_TRUE(m.view(p, 1).exclusive);
  EXPECT_FALSE(m.view(p, 0).entry.writable());
  EXPECT_EQ(m.events.of(EventKind::kForkCopied), 1);
  EXPECT_EQ(m.events.of(EventKind::kForkShared), 2);
  const PageView copy = m.view(child, 1);
  EXPECT_TRUE(copy.entry.writable() && copy.entry.dirty() && copy.exclusive);
  EXPECT_EQ(copy.references, 1u);
  EXPECT_EQ(copy.pins, 0u);
  ASSERT_EQ(m.dma_put(pin, 9), Errno{0});
  EXPECT_EQ(m.get(p, 1), 9);
  EXPECT_EQ(m.get(child, 1), 1);
  EXPECT_EQ(m.verify(), "");
  m.unpin(pin, true);
  m.fork(p);
  EXPECT_EQ(m.events.of(EventKind::kForkCopied), 1) << "nothing is pinned any more";
}

TYPED_TEST(ForkTest, TheCopyTakesTheProtectionOfTheMapping) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  m.pin(p, 0, 2, kDma);
  ASSERT_EQ(m.protect(p, 0, 1, Protection::kRead), Errno{0});
  ASSERT_EQ(m.protect(p, 1, 1, Protection::kNone), Errno{0});
  const ProcessId child = m.fork(p);
  EXPECT_FALSE(m.view(child, 0).entry.writable());
  EXPECT_EQ(m.put(child, 0, 1), Errno::kSigSegv);
  EXPECT_EQ(m.get(child, 1), minus(Errno::kSigSegv));
  EXPECT_EQ(m.verify(), "") << "copied dirty all the same";
}

TYPED_TEST(ForkTest, ThatItOncePinnedIsNotInherited) {
  TestMachine<TypeParam> m(find_rules("R7")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  m.pin(p, 0, 1, kDma);
  const ProcessId child = m.fork(p);
  m.events.clear();
  m.fork(child);
  EXPECT_EQ(m.events.of(EventKind::kForkCopied), 0);
  EXPECT_EQ(m.events.of(EventKind::kForkShared), 1);
}

TYPED_TEST(ForkTest, ABiasedCountTakesManyReferencesForAPin) {
  TestMachine<TypeParam> m(find_rules("R7")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  m.pin(p, 0, 1, PinFlags::kWrite | PinFlags::kGet, 1100);
  m.fork(p);
  EXPECT_EQ(m.events.of(EventKind::kForkCopied), 0) << "nothing was ever pinned here, so fork does not look";
  ASSERT_EQ(m.put(p, 1, 1), Errno{0});
  m.pin(p, 1, 1, kDma);
  m.pin(p, 0, 1, PinFlags::kWrite | PinFlags::kGet, 1100);
  m.events.clear();
  m.fork(p);
  EXPECT_EQ(m.events.of(EventKind::kForkCopied), 2);
}

TYPED_TEST(ForkTest, TheEntryRowCopiesTheWholeMapping) {
  TestMachine<TypeParam> m(find_rules("entry")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  m.map(p, 5, 2);
  for (const std::uint64_t page : {0u, 1u, 2u, 5u, 6u}) ASSERT_EQ(m.put(p, page, 1), Errno{0});
  m.pin(p, 1, 1, kDma);
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.events.of(EventKind::kForkCopied), 3);
  EXPECT_EQ(m.events.of(EventKind::kForkShared), 2);
  EXPECT_TRUE(m.view(p, 0).entry.writable() && m.view(child, 2).entry.writable());
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(ForkTest, CopyAllSharesOnlyTheZeroPage) {
  TestMachine<TypeParam> m(find_rules("X9")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  ASSERT_EQ(m.put(p, 1, 1), Errno{0});
  ASSERT_EQ(m.get(p, 2), 0);
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.events.of(EventKind::kForkCopied), 2);
  EXPECT_TRUE(m.events.last.unneeded);
  EXPECT_EQ(m.view(child, 2).frame, Frames<TypeParam>::kZeroPage);
}

TYPED_TEST(ForkTest, TheRefuseRowFailsWhileAPageThatItWouldShareIsPinned) {
  TestMachine<TypeParam> m(find_rules("refuse")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  const PinId pin = m.pin(p, 0, 1, kDma);
  const PageCount before = m->frames().free_count();
  EXPECT_EQ(m.try_fork(p), Errno::kBusy);
  EXPECT_EQ(m.events.of(EventKind::kForkRefused), 1);
  EXPECT_EQ(m->frames().free_count(), before);
  ASSERT_EQ(m.advise(p, 0, 1, Advice::kDontFork), Errno{0});
  EXPECT_EQ(m.try_fork(p), Errno{0}) << "the child does not get the pinned page";
  ASSERT_EQ(m.advise(p, 0, 1, Advice::kDoFork), Errno{0});
  ASSERT_EQ(m.advise(p, 0, 1, Advice::kWipeOnFork), Errno{0});
  EXPECT_EQ(m.try_fork(p), Errno{0}) << "the child gets an empty page";
  ASSERT_EQ(m.advise(p, 0, 1, Advice::kKeepOnFork), Errno{0});
  EXPECT_EQ(m.try_fork(p), Errno::kBusy);
  m.unpin(pin);
  EXPECT_EQ(m.try_fork(p), Errno{0});
}

TYPED_TEST(ForkTest, TheWaitRowWaits) {
  TestMachine<TypeParam> m(find_rules("wait")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  const PinId pin = m.pin(p, 0, 1, kDma);
  EXPECT_EQ(m.try_fork(p), Errno::kWouldBlock);
  EXPECT_EQ(m.events.of(EventKind::kForkWaits), 1);
  m.unpin(pin);
  EXPECT_EQ(m.try_fork(p), Errno{0});
}

TYPED_TEST(ForkTest, ProtectThenRestoreLeavesTheSourceAsItWas) {
  TestMachine<TypeParam> m(find_rules("R6")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  m.pin(p, 0, 1, kDma);
  const Entry before = m.view(p, 0).entry;
  m.fork(p);
  EXPECT_EQ(m.view(p, 0).entry, before);
}

TYPED_TEST(ForkTest, TheDraftOfSeptember25CopiesOnlyWhatIsMappedOnceAndDirty) {
  TestMachine<TypeParam> m(find_rules("X3")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  m.pin(p, 0, 1, kDma);
  m.fork(p);
  EXPECT_EQ(m.events.of(EventKind::kForkCopied), 1);
  EXPECT_EQ(m.verify(), "") << "its allocation under the lock does not sleep";
  const ProcessId q = m.spawn();
  m.map(q, 0, 1);
  ASSERT_EQ(m.put(q, 0, 1), Errno{0});
  m.fork(q);
  m.pin(q, 0, 1, PinFlags::kNone);
  m.events.clear();
  m.fork(q);
  EXPECT_EQ(m.events.of(EventKind::kForkCopied), 0) << "mapped twice";
}

TYPED_TEST(ForkTest, AReferenceTooManyFailsTheFork) {
  TestMachine<TypeParam> m(find_rules("R14")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  // A count that only mappings can reach.
  m->descriptor(m.view(p, 0).frame).add_references(FrameDescriptor::kMaxReferences - 1);
  EXPECT_EQ(m.try_fork(p), Errno::kNoMemory);
  m->descriptor(m.view(p, 0).frame).drop_references(FrameDescriptor::kMaxReferences - 1);
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.get(p, 0), 1);
}

// What the patch of 17 September 2020 did wrong, one decision at a time, on top of the rules of 5.9.
TYPED_TEST(ForkTest, EachDefectOfTheSketchIsFound) {
  struct Case {
    const char* name;
    void (*spoil)(Rules&);
    Violation found;
    bool after_exit;
  };
  const Case cases[] = {
      {"accounting", [](Rules& r) { r.copy_accounting = CopyAccounting::kSourcePage; }, Violation::kReferences, false},
      {"accounting, mapcount", [](Rules& r) { r.copy_accounting = CopyAccounting::kSourcePage; }, Violation::kMapcount,
       false},
      {"accounting, exit", [](Rules& r) { r.copy_accounting = CopyAccounting::kSourcePage; }, Violation::kBadPage,
       true},
      {"no rmap", [](Rules& r) { r.copy_rmap = CopyRmap::kNone; }, Violation::kNoRmap, false},
      {"clean entry", [](Rules& r) { r.copy_entry = CopyEntry::kProtectionOnly; }, Violation::kNotDirty, false},
      {"sleeps", [](Rules& r) { r.copy_alloc = CopyAlloc::kUnderLock; }, Violation::kSleepInAtomic, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    if (c.found == Violation::kSleepInAtomic && !System<TypeParam>::kChecksLocks) continue;
    Rules rules = find_rules("R7")->rules;
    c.spoil(rules);
    TestMachine<TypeParam> m(rules);
    m.expect_broken();
    const ProcessId p = m.spawn();
    m.map(p, 0, 1);
    m.pin(p, 0, 1, kDma);
    ASSERT_EQ(m.verify(), "");
    const ProcessId child = m.fork(p);
    if (c.after_exit) m.exit(child);
    EXPECT_TRUE(mm::verify(*m).has(c.found));
  }
}

TYPED_TEST(ForkTest, AReturnWithLocksHeldStopsEverybody) {
  Rules rules = find_rules("R7")->rules;
  rules.copy_alloc = CopyAlloc::kAtomic;
  rules.copy_failure = CopyFailure::kReturnLocked;
  TestMachine<TypeParam> m(rules);
  m.expect_broken();
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  m.pin(p, 0, 1, kDma);
  bool failed = false;
  for (std::uint32_t nth = 1; !failed && nth < 20; ++nth) {
    m->frames().injector().arm(nth);
    const Errno error = m.try_fork(p);
    failed = mm::verify(*m).has(Violation::kLockHeld);
    EXPECT_TRUE(error == Errno::kNoMemory || !m->frames().injector().fired());
  }
  m->frames().injector().arm(0);
  ASSERT_TRUE(failed);
  EXPECT_EQ(m.try_fork(p), Errno::kWouldBlock);
  EXPECT_EQ(m.put(p, 1, 1), Errno::kWouldBlock);
  EXPECT_EQ(m.error_of(munmap(*m, p, m.at(0), m.bytes(1))), Errno::kWouldBlock);
  EXPECT_EQ(m.protect(p, 0, 1, Protection::kRead), Errno::kWouldBlock);
  EXPECT_EQ(m.advise(p, 0, 1, Advice::kDontNeed), Errno::kWouldBlock);
  EXPECT_EQ(m.error_of(mmap(*m, p, m.at(0), m.bytes(1), Protection::kRead, MapFlags::kFixed)), Errno::kWouldBlock);
  EXPECT_EQ(m.error_of(mm::exit(*m, p)), Errno::kWouldBlock);
  EXPECT_EQ(m.error_of(mm::exec(*m, p)), Errno::kWouldBlock);
}

TYPED_TEST(ForkTest, TheSketchAsPostedIsFoundOut) {
  TestMachine<TypeParam> m(find_rules("sketch")->rules);
  m.expect_broken();
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  m.pin(p, 0, 1, kDma);
  m.fork(p);
  const Violations found = mm::verify(*m);
  for (const Violation expected : {Violation::kReferences, Violation::kMapcount, Violation::kNoRmap,
                                   Violation::kNotDirty, Violation::kSleepInAtomic}) {
    if (expected == Violation::kSleepInAtomic && !System<TypeParam>::kChecksLocks) continue;
    EXPECT_TRUE(found.has(expected)) << kViolations[static_cast<std::size_t>(expected)].name;
  }
}

}  // namespace
}  // namespace cowherd::mm
