#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "back/anon_rmap.hpp"
#include "cow/rule_rows.hpp"
#include "mm/page.hpp"
#include "mm/test_machine.hpp"
#include "mm/test_must.hpp"

namespace cowherd::mm {
namespace {

constexpr RemapFlags kMove = RemapFlags::kMayMove | RemapFlags::kFixed;

template <class G>
class RemapTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kTableSpan = Geometry<G>::kEntries;

  /// The page where it is now, or minus the error.
  static int remap(TestMachine<G>& m, ProcessId process, std::uint64_t from, std::uint64_t count,
                   std::uint64_t new_count, RemapFlags flags, std::uint64_t to = 0) {
    auto moved = mremap(*m, process, m.at(from), m.bytes(count), m.bytes(new_count), flags, m.at(to));
    return moved ? static_cast<int>(Geometry<G>::page_of(*moved).value()) : minus(moved.error());
  }
};
TYPED_TEST_SUITE(RemapTest, Geometries);

TYPED_TEST(RemapTest, PagesKeepTheirFramesAndCounts) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  ASSERT_EQ(m.put(p, 2, 6), Errno{0});
  const PageView before = m.view(p, 2);
  EXPECT_EQ(this->remap(m, p, 0, 3, 3, kMove, 40), 40);
  const PageView after = m.view(p, 42);
  EXPECT_EQ(after.frame, before.frame);
  EXPECT_EQ(after.references, 1u);
  EXPECT_EQ(after.mapcount, 1u);
  EXPECT_TRUE(after.exclusive);
  EXPECT_TRUE(after.entry.writable());
  EXPECT_TRUE(after.entry.dirty());
  EXPECT_EQ(m.areas(p), "40-43rw");
  EXPECT_EQ(m.rss(p), 2u);
  EXPECT_EQ(m.get(p, 40), 5);
  EXPECT_EQ(m.get(p, 41), 0);
  EXPECT_EQ(m.get(p, 42), 6);
  EXPECT_EQ(m.get(p, 0), minus(Errno::kSigSegv));
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(RemapTest, WithoutAPlaceItStaysOrFindsRoom) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 40, 2);
  m.map(p, 46, 1, Protection::kRead);
  ASSERT_EQ(m.put(p, 41, 7), Errno{0});
  EXPECT_EQ(this->remap(m, p, 40, 2, 4, RemapFlags::kNone), 40) << "grows where it is";
  EXPECT_EQ(m.areas(p), "40-44rw 46-47r");
  EXPECT_EQ(this->remap(m, p, 40, 4, 7, RemapFlags::kNone), minus(Errno::kNoMemory));
  EXPECT_EQ(this->remap(m, p, 40, 2, 3, RemapFlags::kNone), minus(Errno::kNoMemory)) << "not its end";
  constexpr auto kFirst = static_cast<int>(TypeParam::kFirstMapPage);
  EXPECT_EQ(this->remap(m, p, 40, 4, 7, RemapFlags::kMayMove), kFirst) << "finds room";
  EXPECT_EQ(m.get(p, TypeParam::kFirstMapPage + 1), 7);
  EXPECT_EQ(m.get(p, TypeParam::kFirstMapPage + 6), 0);
  EXPECT_EQ(this->remap(m, p, TypeParam::kFirstMapPage, 7, 2, RemapFlags::kNone), kFirst) << "shrinks";
  EXPECT_EQ(m.areas(p).substr(m.areas(p).size() - 6), "46-47r");
  EXPECT_EQ(m.get(p, TypeParam::kFirstMapPage + 2), minus(Errno::kSigSegv));
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(RemapTest, RefusesWhatMakesNoSense) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  m.map(p, 4, 2, Protection::kRead);
  constexpr std::uint64_t kEnd = Geometry<TypeParam>::kUserPages;
  EXPECT_EQ(this->remap(m, p, 0, 1, 1, RemapFlags::kFixed, 20), minus(Errno::kInvalid));
  EXPECT_EQ(this->remap(m, p, 0, 1, 1, RemapFlags::kDontUnmap, 20), minus(Errno::kInvalid));
  EXPECT_EQ(this->remap(m, p, 0, 2, 1, kMove | RemapFlags::kDontUnmap, 20), minus(Errno::kInvalid));
  EXPECT_EQ(this->remap(m, p, 0, 2, 2, kMove, 1), minus(Errno::kInvalid)) << "overlap";
  EXPECT_EQ(this->remap(m, p, 1, 2, 2, kMove, 0), minus(Errno::kInvalid)) << "overlap";
  EXPECT_EQ(this->remap(m, p, 0, 2, 2, kMove, kEnd - 1), minus(Errno::kInvalid));
  EXPECT_EQ(this->remap(m, p, 0, 0, 1, kMove, 20), minus(Errno::kInvalid));
  EXPECT_EQ(this->remap(m, p, 0, 1, 0, kMove, 20), minus(Errno::kInvalid));
  EXPECT_EQ(this->remap(m, p, 10, 1, 1, kMove, 20), minus(Errno::kFault)) << "nothing there";
  EXPECT_EQ(this->remap(m, p, 3, 2, 3, kMove, 20), minus(Errno::kFault)) << "two VMAs cannot grow";
  EXPECT_EQ(this->remap(m, p, 5, 1, kEnd, RemapFlags::kMayMove), minus(Errno::kNoMemory));
  EXPECT_EQ(m.areas(p), "0-4rw 4-6r");
}

// Compare Linux tools/testing/selftests/mm/merge.c.
TYPED_TEST(RemapTest, MergesWhereIndexesAndAnonVmasAgree) {
  struct Case {
    const char* name;
    /// Pages that are written before, of 0 to 9.
    std::vector<std::uint64_t> written;
    std::uint64_t from, to;
    const char* areas;
  };
  // VMAs at 0 to 3 and 6 to 9; one or two pages of a third, at 20, move.
  const Case cases[] = {
      {"nobody has pages", {}, 20, 3, "0-4rw 6-9rw"},
      {"into the gap", {}, 20, 5, "0-3rw 5-9rw"},
      {"unfaulted to faulted", {0}, 20, 3, "0-4rw 6-9rw"},
      {"unfaulted before faulted", {6}, 20, 5, "0-3rw 5-9rw"},
      {"faulted to unfaulted: its index says where it was", {20}, 20, 3, "0-3rw 3-4rw 6-9rw"},
      {"faulted to faulted", {0, 20}, 20, 3, "0-3rw 3-4rw 6-9rw"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    TestMachine<TypeParam> m;
    const ProcessId p = m.spawn();
    m.map(p, 0, 3);
    m.map(p, 6, 3);
    m.map(p, 20, 1);
    for (const std::uint64_t page : c.written) ASSERT_EQ(m.put(p, page, 1), Errno{0});
    EXPECT_EQ(this->remap(m, p, c.from, 1, 1, kMove, c.to), static_cast<int>(c.to));
    EXPECT_EQ(m.areas(p), c.areas);
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(RemapTest, OutAndBackIsOneVmaAgain) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 6);
  for (std::uint64_t page = 0; page < 6; ++page) ASSERT_EQ(m.put(p, page, static_cast<int>(page) + 1), Errno{0});
  EXPECT_EQ(this->remap(m, p, 2, 2, 2, kMove, 30), 30);
  EXPECT_EQ(m.areas(p), "0-2rw 4-6rw 30-32rw");
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(this->remap(m, p, 30, 2, 2, kMove, 2), 2) << "correctly placed";
  EXPECT_EQ(m.areas(p), "0-6rw");
  for (std::uint64_t page = 0; page < 6; ++page) EXPECT_EQ(m.get(p, page), static_cast<int>(page) + 1);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(RemapTest, AForkedVmaMergesWithNobodyUnfaulted) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const ProcessId child = m.fork(p, ForkMode::kClassic);
  m.map(child, 20, 1);
  EXPECT_EQ(this->remap(m, child, 20, 1, 1, kMove, 1), 1);
  EXPECT_EQ(m.areas(child), "0-1rw 1-2rw") << "its page would stand on its ancestor's lists";
  m.map(p, 20, 1);
  EXPECT_EQ(this->remap(m, p, 20, 1, 1, kMove, 1), 1);
  EXPECT_EQ(m.areas(p), "0-2rw");
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(RemapTest, DontUnmapLeavesAnEmptyVmaWithoutReverseMap) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  EXPECT_EQ(this->remap(m, p, 0, 2, 2, kMove | RemapFlags::kDontUnmap, 30), 30);
  EXPECT_EQ(m.areas(p), "0-2rw 30-32rw");
  EXPECT_EQ(m->frames().template alive<AnonVmaChain>(), 1u);
  EXPECT_EQ(m.get(p, 0), 0);
  EXPECT_EQ(m.get(p, 30), 5);
  ASSERT_EQ(m.put(p, 0, 6), Errno{0});
  EXPECT_EQ(m.get(p, 30), 5);
  EXPECT_EQ(m.verify(), "");
  // Without MREMAP_FIXED the place is a wish.
  EXPECT_EQ(this->remap(m, p, 0, 2, 2, RemapFlags::kMayMove | RemapFlags::kDontUnmap, 40), 40);
  constexpr auto kFirst = static_cast<int>(TypeParam::kFirstMapPage == 0 ? 2 : TypeParam::kFirstMapPage);
  EXPECT_EQ(this->remap(m, p, 40, 1, 1, RemapFlags::kMayMove | RemapFlags::kDontUnmap, 31), kFirst);
}

TYPED_TEST(RemapTest, WholeTablesGoWhereTheyFit) {
  constexpr std::uint64_t kSpan = TestFixture::kTableSpan;
  TestMachine<TypeParam> m(kCowherdRules, 40 + 3 * kSpan);
  const ProcessId p = m.spawn();
  m.map(p, kSpan, 2 * kSpan);
  for (std::uint64_t page = kSpan; page < 3 * kSpan; ++page) {
    ASSERT_EQ(m.put(p, page, static_cast<int>(page % 100) + 1), Errno{0});
  }
  const FrameNumber table = m->tables(mm_of(*m, p)).table_of(m->tables(mm_of(*m, p)).find(Vpn{kSpan}));
  m.events.clear();
  EXPECT_EQ(this->remap(m, p, kSpan, 2 * kSpan, 2 * kSpan, kMove, 5 * kSpan), static_cast<int>(5 * kSpan));
  EXPECT_EQ(m.events.of(EventKind::kTableMoved), 2);
  EXPECT_EQ(m.events.of(EventKind::kMoved), 0);
  EXPECT_EQ(m->tables(mm_of(*m, p)).table_of(m->tables(mm_of(*m, p)).find(Vpn{5 * kSpan})), table);
  EXPECT_EQ(m.verify(), "");
  // One page off: entry by entry, into tables of its own.
  m.events.clear();
  EXPECT_EQ(this->remap(m, p, 5 * kSpan, 2 * kSpan, 2 * kSpan, kMove, 8 * kSpan + 1), static_cast<int>(8 * kSpan + 1));
  EXPECT_EQ(m.events.of(EventKind::kTableMoved), 0);
  EXPECT_EQ(m.events.of(EventKind::kMoved), static_cast<int>(2 * kSpan));
  for (std::uint64_t page = 0; page < 2 * kSpan; ++page) {
    EXPECT_EQ(m.get(p, 8 * kSpan + 1 + page), static_cast<int>((kSpan + page) % 100) + 1);
  }
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(RemapTest, OldKernelsMoveEntryByEntry) {
  constexpr std::uint64_t kSpan = TestFixture::kTableSpan;
  TestMachine<TypeParam> m(find_rules("linux-3.2")->rules, 40 + 3 * kSpan);
  const ProcessId p = m.spawn();
  m.map(p, kSpan, kSpan);
  ASSERT_EQ(m.put(p, kSpan, 5), Errno{0});
  EXPECT_EQ(this->remap(m, p, kSpan, kSpan, kSpan, kMove, 4 * kSpan), static_cast<int>(4 * kSpan));
  EXPECT_EQ(m.events.of(EventKind::kTableMoved), 0);
  EXPECT_EQ(m.get(p, 4 * kSpan), 5);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(RemapTest, PinsFollowAndForkKnows) {
  for (const ForkMode mode : {ForkMode::kClassic, ForkMode::kSharedLeaves, ForkMode::kSharedSubtrees}) {
    for (const bool whole : {false, true}) {
      constexpr std::uint64_t kSpan = TestFixture::kTableSpan;
      TestMachine<TypeParam> m(kCowherdRules, 80 + 2 * kSpan);
      const ProcessId p = m.spawn();
      m.map(p, 0, kSpan);
      ASSERT_EQ(m.put(p, 1, 1), Errno{0});
      const PinId pin = m.pin(p, 1, 1, kDma);
      const std::uint64_t to = 6 * kSpan + (whole ? 0 : 1);
      EXPECT_EQ(this->remap(m, p, 0, kSpan, kSpan, kMove, to), static_cast<int>(to));
      EXPECT_EQ(m.verify(), "") << "says of the new tables that pins are below";
      const ProcessId child = m.fork(p, mode);
      ASSERT_EQ(m.put(p, to + 1, 2), Errno{0});
      EXPECT_EQ(m.dma_get(pin), 2);
      ASSERT_EQ(m.dma_put(pin, 3), Errno{0});
      EXPECT_EQ(m.get(p, to + 1), 3);
      EXPECT_EQ(m.get(child, to + 1), 1);
      EXPECT_EQ(m.verify(), "");
    }
  }
}

TYPED_TEST(RemapTest, TablesOfARelativeStayTheirs) {
  for (const ForkMode mode : {ForkMode::kSharedLeaves, ForkMode::kSharedSubtrees}) {
    constexpr std::uint64_t kSpan = TestFixture::kTableSpan;
    TestMachine<TypeParam> m(kCowherdRules, 80 + 2 * kSpan);
    const ProcessId p = m.spawn();
    m.map(p, 0, 2 * kSpan);
    ASSERT_EQ(m.put(p, 1, 1), Errno{0});
    ASSERT_EQ(m.put(p, kSpan, 2), Errno{0});
    const ProcessId child = m.fork(p, mode);
    EXPECT_EQ(this->remap(m, child, 0, kSpan, kSpan, kMove, 6 * kSpan), static_cast<int>(6 * kSpan));
    EXPECT_EQ(m.verify(), "");
    EXPECT_EQ(this->remap(m, p, 1, 1, 1, kMove, 4 * kSpan), static_cast<int>(4 * kSpan));
    EXPECT_EQ(m.verify(), "");
    ASSERT_EQ(m.put(child, 6 * kSpan + 1, 3), Errno{0});
    EXPECT_EQ(m.get(p, 4 * kSpan), 1);
    EXPECT_EQ(m.get(child, 6 * kSpan + 1), 3);
    EXPECT_EQ(m.get(child, kSpan), 2);
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(RemapTest, AFailedMoveLeavesTheVmasWhole) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  m.map(p, 10, 4, Protection::kRead);
  ASSERT_EQ(m.put(p, 1, 1), Errno{0});
  for (std::uint32_t nth = 1; nth < 50; ++nth) {
    m->frames().injector().arm(nth);
    const int moved = this->remap(m, p, 1, 2, 2, kMove, 11);
    const bool fired = m->frames().injector().fired();
    m->frames().injector().arm(0);
    if (!fired) {
      EXPECT_EQ(moved, 11);
      EXPECT_GE(nth, 4u);
      break;
    }
    ASSERT_EQ(moved, minus(Errno::kNoMemory));
    ASSERT_EQ(m.areas(p), "0-4rw 10-14r");
    ASSERT_EQ(m.verify(), "");
  }
  EXPECT_EQ(m.areas(p), "0-1rw 3-4rw 10-11r 11-13rw 13-14r");
}

TYPED_TEST(RemapTest, ReverseMapsLeadToTheNewPlace) {
  // The rule that gives every other mapper a copy finds them by reverse maps.
  TestMachine<TypeParam> m(find_rules("X6")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 1, 1), Errno{0});
  const ProcessId child = m.fork(p, ForkMode::kClassic);
  EXPECT_EQ(this->remap(m, child, 1, 1, 1, kMove, 9), 9);
  EXPECT_EQ(m.verify(), "");
  ASSERT_EQ(m.put(p, 1, 2), Errno{0});
  EXPECT_EQ(m.get(child, 9), 1);
  EXPECT_NE(m.view(child, 9).frame, m.view(p, 1).frame);
  EXPECT_EQ(m.verify(), "");
}

}  // namespace
}  // namespace cowherd::mm
