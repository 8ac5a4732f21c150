#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"

// What a reference for reading sees of what its owner writes later.

namespace cowherd::mm {
namespace {

template <class G>
class UnshareTest : public testing::Test {};
TYPED_TEST_SUITE(UnshareTest, Geometries);

enum class Page : std::uint8_t { kShared, kPreviouslyShared, kExclusive, kProtected, kZero, kUntouched };
constexpr Page kPages[] = {Page::kShared, Page::kPreviouslyShared, Page::kExclusive, Page::kProtected,
                           Page::kZero,   Page::kUntouched};

template <class G>
ProcessId prepare(TestMachine<G>& m, Page page) {
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  switch (page) {
    case Page::kShared:
      EXPECT_EQ(m.put(p, 0, 1), Errno{0});
      m.fork(p);
      break;
    case Page::kPreviouslyShared:
      EXPECT_EQ(m.put(p, 0, 1), Errno{0});
      m.reap(p, m.fork(p));
      break;
    case Page::kExclusive:
      EXPECT_EQ(m.put(p, 0, 1), Errno{0});
      break;
    case Page::kProtected:
      EXPECT_EQ(m.put(p, 0, 1), Errno{0});
      EXPECT_EQ(m.protect(p, 0, 1, Protection::kRead), Errno{0});
      EXPECT_EQ(m.protect(p, 0, 1, Protection::kReadWrite), Errno{0});
      break;
    case Page::kZero:
      EXPECT_EQ(m.get(p, 0), 0);
      break;
    case Page::kUntouched:
      break;
  }
  return p;
}

template <class G>
bool coherent(const Rules& rules, Page page, PinFlags flags) {
  TestMachine<G> m(rules);
  const ProcessId p = prepare(m, page);
  const PinId pin = m.pin(p, 0, 1, flags);
  EXPECT_EQ(m.dma_get(pin), m.get(p, 0));
  EXPECT_EQ(m.put(p, 0, 2), Errno{0});
  EXPECT_EQ(m.verify(), "");
  return m.dma_get(pin) == 2;
}

TYPED_TEST(UnshareTest, CoherenceByRow) {
  struct Case {
    const char* row;
    PinFlags flags;
    /// Shared, previously shared, exclusive, protected for a while, zero page, untouched: y or n.
    const char* coherent;
  };
  constexpr PinFlags kLong = PinFlags::kLongTerm;
  constexpr PinFlags kShort = PinFlags::kNone;
  constexpr PinFlags kGet = PinFlags::kGet;
  const Case cases[] = {
      {"R1", kLong, "nyyynn"},     {"R5", kLong, "nnynnn"},       {"R4", kLong, "yyyyyy"},
      {"R4", kGet, "yyyyyy"},      {"R7", kLong, "nnynnn"},       {"R11", kShort, "yyyynn"},
      {"R11", kLong, "yyyynn"},    {"R13", kLong, "yyyyyy"},      {"R13", kShort, "yyyynn"},
      {"R16", kGet, "nnyynn"},     {"X7", kGet, "yyyyyy"},        {"cowherd", kLong, "yyyyyy"},
      {"cowherd", kGet, "yyyynn"}, {"cowherd", kShort, "yyyynn"},
  };
  for (const Case& c : cases) {
    std::string found;
    for (const Page page : kPages) found += coherent<TypeParam>(find_rules(c.row)->rules, page, c.flags) ? 'y' : 'n';
    EXPECT_EQ(found, c.coherent) << c.row << ", flags " << static_cast<int>(c.flags);
  }
}

TYPED_TEST(UnshareTest, TheUnsharedPageStaysReadOnlyAndDirty) {
  TestMachine<TypeParam> m;
  const ProcessId p = prepare(m, Page::kShared);
  const PageView before = m.view(p, 0);
  m.pin(p, 0, 1, PinFlags::kLongTerm);
  const PageView after = m.view(p, 0);
  EXPECT_NE(after.frame, before.frame);
  EXPECT_TRUE(after.exclusive && after.dirty);
  EXPECT_FALSE(after.entry.writable() || after.entry.dirty());
  EXPECT_EQ(m.events.of(EventKind::kUnshared), 1);
  EXPECT_EQ(m.rss(p), 1u);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(UnshareTest, AWritableEntryIsProofEnough) {
  TestMachine<TypeParam> m;
  const ProcessId p = prepare(m, Page::kExclusive);
  const FrameNumber frame = m.view(p, 0).frame;
  m.pin(p, 0, 1, PinFlags::kLongTerm);
  EXPECT_EQ(m.view(p, 0).frame, frame);
  EXPECT_EQ(m.events.of(EventKind::kUnshared), 0);
}

TYPED_TEST(UnshareTest, ReadingAReadOnlyMappingWhereReadersBreakTheSharing) {
  TestMachine<TypeParam> m(find_rules("R4")->rules);
  const ProcessId p = prepare(m, Page::kShared);
  ASSERT_EQ(m.protect(p, 0, 1, Protection::kRead), Errno{0});
  const PinId pin = m.pin(p, 0, 1, PinFlags::kGet);
  EXPECT_EQ(m.dma_get(pin), 1);
  EXPECT_FALSE(m.view(p, 0).entry.writable());
  EXPECT_EQ(m.view(p, 0).mapcount, 1u);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(UnshareTest, ForceWritesLandInThePrivateCopyUnderEveryRowButOne) {
  for (const RuleRow& row : all_rows()) {
    SCOPED_TRACE(row.id);
    for (const Page page : kPages) {
      TestMachine<TypeParam> m(row.rules);
      const ProcessId p = prepare(m, page);
      const ProcessId child = m.fork(p);
      const int was = m.get(child, 0);
      ASSERT_EQ(m.protect(p, 0, 1, Protection::kRead), Errno{0});
      EXPECT_EQ(m.poke(p, 0, 77), Errno{0});
      EXPECT_EQ(m.get(p, 0), 77);
      // Fork's write-protection keeps the dirty bit, which 2.6.13-rc5 took as proof of an earlier copy.
      const bool hole = row.id == "R1-rc5" && was != 0;
      EXPECT_EQ(m.get(child, 0), hole ? 77 : was);
      EXPECT_EQ(m.verify(), "");
    }
  }
}

// The leak of 2020: the child holds a reference, unmaps, and the parent goes on to write secrets into the page.
TYPED_TEST(UnshareTest, WhoSeesWhatTheParentWritesAfterTheChildUnmapped) {
  struct Case {
    const char* row;
    bool leaks;
  };
  for (const Case& c :
       {Case{"R0", false}, Case{"R1", true}, Case{"R2", true}, Case{"R3", true}, Case{"R4", false}, Case{"R5", false},
        Case{"R11", false}, Case{"R16", false}, Case{"X7", false}, Case{"cowherd", false}}) {
    SCOPED_TRACE(c.row);
    TestMachine<TypeParam> m(find_rules(c.row)->rules);
    const ProcessId p = m.spawn();
    m.map(p, 0, 1);
    ASSERT_EQ(m.put(p, 0, 1), Errno{0});
    const ProcessId child = m.fork(p);
    const PinId pin = m.pin(child, 0, 1, PinFlags::kGet);
    m.unmap(child, 0, 1);
    ASSERT_EQ(m.put(p, 0, 2), Errno{0});
    EXPECT_EQ(m.dma_get(pin), c.leaks ? 2 : 1);
  }
}

}  // namespace
}  // namespace cowherd::mm
