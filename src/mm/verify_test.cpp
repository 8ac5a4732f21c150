#include <gtest/gtest.h>

#include <vector>

#include "back/anon_rmap.hpp"
#include "cow/rule_rows.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

/// A parent with pages 0 (its own, pinned), 1 (shared with its child), 2 (the zero page), and the child.
template <class G>
struct Scene {
  explicit Scene(const Rules& rules = kCowherdRules) : m(rules) {
    m.expect_broken();
    parent = m.spawn();
    m.map(parent, 0, 4);
    EXPECT_EQ(m.put(parent, 0, 1), Errno{0});
    EXPECT_EQ(m.put(parent, 1, 2), Errno{0});
    EXPECT_EQ(m.get(parent, 2), 0);
    pin = m.pin(parent, 0, 1, PinFlags::kWrite | PinFlags::kLongTerm);
    child = m.fork(parent);
    EXPECT_EQ(m.verify(), "");
  }

  FrameDescriptor& page(std::uint64_t at) { return m->descriptor(m.view(parent, at).frame); }
  Mm& mm() { return m->at(m->at(Ref<Process>{parent.value()}).mm); }
  EntrySlot slot(std::uint64_t at) { return m->tables(mm()).find(Vpn{at}); }
  FrameDescriptor& page_table() { return m->descriptor(m->tables(mm()).table_of(slot(0))); }
  Vma& vma() { return m->at(m->areas(mm()).first()); }

  TestMachine<G> m;
  ProcessId parent;
  ProcessId child;
  PinId pin;
};

template <class G>
class VerifyTest : public testing::Test {};
TYPED_TEST_SUITE(VerifyTest, Geometries);

template <class G>
struct Damage {
  const char* name;
  Violation found;
  void (*hurt)(Scene<G>&);
};

template <class G>
std::vector<Damage<G>> damages() {
  using S = Scene<G>;
  return {
      {"a reference too many", Violation::kReferences, [](S& s) { s.page(1).add_references(1); }},
      {"a reference too few", Violation::kReferences, [](S& s) { s.page(1).drop_references(1); }},
      {"references wrapped", Violation::kReferences, [](S& s) { s.page(0).drop_references(2); }},
      {"a reference to the zero page", Violation::kReferences, [](S& s) { s.page(2).add_references(1); }},
      {"a mapcount too many", Violation::kMapcount, [](S& s) { s.page(1).add_mapcount(); }},
      {"a mapcount too few", Violation::kMapcount, [](S& s) { s.page(1).drop_mapcount(); }},
      {"a pin too many", Violation::kPins, [](S& s) { s.page(0).add_pins(1); }},
      {"a pin too few", Violation::kPins, [](S& s) { s.page(0).drop_pins(1); }},
      {"exclusive and shared", Violation::kExclusiveShared, [](S& s) { s.page(1).set_exclusive(true); }},
      {"exclusive and shared, mapcount lost", Violation::kExclusiveShared,
       [](S& s) {
         s.page(1).set_exclusive(true);
         s.page(1).drop_mapcount();
       }},
      {"writable and shared", Violation::kWritableShared,
       [](S& s) { s.slot(1).store(s.slot(1).load().with_writable(true)); }},
      {"writable zero page", Violation::kWritableShared,
       [](S& s) { s.slot(2).store(s.slot(2).load().with_writable(true)); }},
      {"pinned and no longer exclusive", Violation::kPinnedShared, [](S& s) { s.page(0).set_exclusive(false); }},
      {"no owner", Violation::kNoRmap, [](S& s) { s.page(1).set_owner(0, s.page(1).index()); }},
      {"wrong owner", Violation::kNoRmap, [](S& s) { s.page(1).set_owner(s.page(1).owner() + 1, s.page(1).index()); }},
      {"wrong index", Violation::kNoRmap, [](S& s) { s.page(1).set_owner(s.page(1).owner(), Vpn{3}); }},
      {"nowhere dirty", Violation::kNotDirty,
       [](S& s) {
         s.page(0).set_dirty(false);
         s.slot(0).store(s.slot(0).load().with_dirty(false));
       }},
      {"rss", Violation::kRss, [](S& s) { s.page_table().add_pages(RssClass::kAnon, 1); }},
      {"freed while mapped", Violation::kFreedInUse, [](S& s) { s.m->frames().free(s.m.view(s.parent, 1).frame); }},
      {"mapped from outside RAM", Violation::kFreedInUse,
       [](S& s) { s.slot(1).store(Entry::of(FrameNumber{1000000}).with_dirty(true)); }},
      {"freed while pinned", Violation::kFreedInUse,
       [](S& s) {
         const FrameNumber frame = s.m.view(s.parent, 0).frame;
         s.m.unmap(s.parent, 0, 1);
         s.m->frames().free(frame);
       }},
      {"a page that nobody has", Violation::kFrameLost, [](S& s) { (void)s.m->frames().allocate(FrameUse::kAnon); }},
      {"a table that nobody has", Violation::kFrameLost, [](S& s) { (void)s.m->frames().allocate(FrameUse::kTable); }},
      {"a frame that says it is free and is not", Violation::kFrameLost,
       [](S& s) { (void)s.m->frames().allocate(FrameUse::kFree); }},
      {"an object that nobody has", Violation::kFrameLost, [](S& s) { (void)s.m->frames().template make<Vma>(); }},
      {"a pin record that nobody has", Violation::kFrameLost,
       [](S& s) { (void)s.m->frames().template make<PinRecord<G>>(); }},
      {"frames of a pin that nobody has", Violation::kFrameLost,
       [](S& s) { (void)s.m->frames().allocate(FrameUse::kPinFrames); }},
      {"a table's count", Violation::kTable, [](S& s) { s.m->descriptor(s.mm().root).add_mapcount(); }},
      {"an empty table", Violation::kTable,
       [](S& s) { (void)s.m->tables(s.mm()).obtain(Vpn{3 * Geometry<G>::kEntries}); }},
      {"a table twice", Violation::kWritableShared,
       [](S& s) { s.m->at(s.m->at(Ref<Process>{s.child.value()}).mm).root = s.mm().root; }},
      {"an entry beyond its VMA", Violation::kOutsideVma, [](S& s) { s.vma().pages.end = Vpn{1}; }},
      {"an entry before its VMA", Violation::kOutsideVma,
       [](S& s) {
         s.vma().pages.begin = Vpn{1};
         s.vma().index = Vpn{1};
       }},
      {"an entry that allows more than its VMA", Violation::kOutsideVma,
       [](S& s) { s.vma().flags.protection = Protection::kRead; }},
      {"an entry of a VMA that allows nothing", Violation::kOutsideVma,
       [](S& s) { s.vma().flags.protection = Protection::kNone; }},
      {"VMAs that overlap", Violation::kVma,
       [](S& s) {
         s.m.map(s.parent, 6, 2, Protection::kRead);
         s.m->at(s.m->areas(s.mm()).find(Vpn{6})).pages.begin = Vpn{3};
       }},
      {"a VMA beyond the end", Violation::kVma, [](S& s) { s.vma().pages.end = Vpn{Geometry<G>::kUserPages + 1}; }},
      {"a VMA of another address space", Violation::kVma, [](S& s) { s.vma().mm = {}; }},
      {"a VMA without its anon_vma", Violation::kVma, [](S& s) { s.vma().anon_vma = {}; }},
      {"a chain of another VMA", Violation::kVma, [](S& s) { s.m->at(s.vma().chain).vma = {}; }},
      {"a chain off its list", Violation::kVma, [](S& s) { s.m->at(s.m->at(s.vma().chain).anon_vma).first = {}; }},
      {"the zero page written", Violation::kZeroPage,
       [](S& s) { s.m->frames().bytes(FrameNumber{0})[Geometry<G>::kPageBytes - 1] = std::byte{1}; }},
      {"a lock held", Violation::kLockHeld, [](S& s) { (void)s.mm().mmap_lock.try_lock(); }},
      {"an upper table lock held", Violation::kLockHeld, [](S& s) { (void)s.mm().upper_lock.try_lock(); }},
      {"a lock abandoned", Violation::kLockHeld, [](S& s) { s.mm().upper_lock.abandon(); }},
      {"a table lock held", Violation::kLockHeld, [](S& s) { (void)s.page_table().try_lock(); }},
  };
}

TYPED_TEST(VerifyTest, EveryDamageIsFoundAndNothingIsTouched) {
  for (const Damage<TypeParam>& damage : damages<TypeParam>()) {
    SCOPED_TRACE(damage.name);
    Scene<TypeParam> scene;
    damage.hurt(scene);
    const Memory before = scene.m.memory();
    const Violations found = verify(*scene.m);
    EXPECT_TRUE(found.has(damage.found)) << "found only: " << names_of(found);
    EXPECT_EQ(std::memcmp(before.get(), scene.m.memory().get(), before.bytes()), 0);
    EXPECT_EQ(verify(*scene.m), found);
  }
}

TYPED_TEST(VerifyTest, ReportsOfOperationsAreHandedOutOnce) {
  Scene<TypeParam> scene;
  scene.m->report(Violation::kFaultLoop);
  EXPECT_EQ(scene.m.verify(), "fault-loop");
  EXPECT_EQ(scene.m.verify(), "");
}

TYPED_TEST(VerifyTest, PutPageReportsWhatItCannotDo) {
  Scene<TypeParam> scene;
  FrameDescriptor& page = scene.page(0);
  page.drop_references(2);
  put_page(*scene.m, scene.m.view(scene.parent, 0).frame);
  EXPECT_TRUE(scene.m->take_violations().has(Violation::kBadPage));
  put_page(*scene.m, scene.mm().root);
  EXPECT_TRUE(scene.m->take_violations().has(Violation::kFreedInUse));
}

TYPED_TEST(VerifyTest, RulesThatPromiseNoMarkAreNotHeldToIt) {
  Scene<TypeParam> scene(find_rules("R7")->rules);
  scene.page(0).set_exclusive(false);
  (void)protect_entry<TypeParam>(scene.slot(0), scene.slot(0).load());
  EXPECT_EQ(scene.m.verify(), "");
}

/// The analysis at compile time would not let this pass.
template <class G>
void take_in_the_wrong_order(Scene<G>& scene) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
  const PageTableGuard<G> inner(*scene.m, scene.mm(), scene.slot(0));
  const MmapReadGuard<G> outer(*scene.m, scene.mm());
  EXPECT_FALSE(outer.blocked());
}

TYPED_TEST(VerifyTest, LocksTakenOutOfOrderAreReported) {
  if constexpr (!System<TypeParam>::kChecksLocks) GTEST_SKIP() << "optimized native builds do not check";
  Scene<TypeParam> scene;
  take_in_the_wrong_order(scene);
  EXPECT_EQ(scene.m.verify(), "lock-order");
  EXPECT_FALSE(scene.m->held_locks().any());
  const MmapReadGuard<TypeParam> again(*scene.m, scene.mm());
  EXPECT_FALSE(again.blocked());
}

}  // namespace
}  // namespace cowherd::mm
