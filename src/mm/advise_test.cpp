#include <gtest/gtest.h>

#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

template <class G>
class AdviseTest : public testing::Test {};
TYPED_TEST_SUITE(AdviseTest, Geometries);

TYPED_TEST(AdviseTest, DontNeedEmptiesAndKeepsTheMapping) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  for (std::uint64_t page = 0; page < 4; ++page) ASSERT_EQ(m.put(p, page, 9), Errno{0});
  ASSERT_EQ(m.advise(p, 1, 2, Advice::kDontNeed), Errno{0});
  EXPECT_EQ(m.areas(p), "0-4rw");
  EXPECT_EQ(m.rss(p), 2u);
  EXPECT_EQ(m.get(p, 0), 9);
  EXPECT_EQ(m.get(p, 1), 0);
  EXPECT_EQ(m.get(p, 3), 9);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(AdviseTest, DontNeedInTheChildLeavesTheParentAlone) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 9), Errno{0});
  const ProcessId child = m.fork(p);
  ASSERT_EQ(m.advise(child, 0, 1, Advice::kDontNeed), Errno{0});
  EXPECT_EQ(m.get(child, 0), 0);
  EXPECT_EQ(m.get(p, 0), 9);
}

TYPED_TEST(AdviseTest, NothingIsTakenFromWhatMlockKeeps) {
  for (const Advice advice : {Advice::kDontNeed, Advice::kFree, Advice::kCold, Advice::kPageOut}) {
    TestMachine<TypeParam> m;
    const ProcessId p = m.spawn();
    m.map(p, 0, 4);
    for (std::uint64_t page = 0; page < 4; ++page) ASSERT_EQ(m.put(p, page, 9), Errno{0});
    ASSERT_EQ(m.advise(p, 2, 1, Advice::kLock), Errno{0});
    EXPECT_EQ(m.advise(p, 1, 3, advice), Errno::kInvalid);
    EXPECT_EQ(m.get(p, 1), advice == Advice::kDontNeed ? 0 : 9);
    EXPECT_EQ(m.get(p, 2), 9);
    EXPECT_EQ(m.get(p, 3), 9);
    ASSERT_EQ(m.advise(p, 2, 1, Advice::kUnlock), Errno{0});
    EXPECT_EQ(m.advise(p, 1, 3, advice), Errno{0});
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(AdviseTest, OverHolesEverythingMappedIsTreated) {
  for (const Advice advice : {Advice::kDontNeed, Advice::kDontFork, Advice::kWipeOnFork}) {
    TestMachine<TypeParam> m;
    const ProcessId p = m.spawn();
    m.map(p, 1, 1);
    m.map(p, 3, 1);
    ASSERT_EQ(m.put(p, 1, 9), Errno{0});
    ASSERT_EQ(m.put(p, 3, 9), Errno{0});
    EXPECT_EQ(m.advise(p, 0, 4, advice), Errno::kNoMemory);
    const std::string mark = advice == Advice::kDontFork ? "d" : advice == Advice::kWipeOnFork ? "z" : "";
    EXPECT_EQ(m.areas(p), "1-2rw" + mark + " 3-4rw" + mark);
    EXPECT_EQ(m.get(p, 3), advice == Advice::kDontNeed ? 0 : 9);
    EXPECT_EQ(m.advise(p, 1, 1, advice), Errno{0});
    EXPECT_EQ(m.advise(p, 3, 2, advice), Errno::kNoMemory) << "a hole at the end";
    EXPECT_EQ(m.advise(p, 5, 2, advice), Errno::kNoMemory) << "nothing but a hole";
    EXPECT_EQ(m.advise(p, 5, 0, advice), Errno::kInvalid);
  }
}

TYPED_TEST(AdviseTest, FlagsSplitMergeAndCanBeTakenBack) {
  struct Pair {
    Advice on;
    Advice off;
    const char* marked;
  };
  for (const Pair& pair : {Pair{Advice::kDontFork, Advice::kDoFork, "0-2rw 2-4rwd 4-6rw"},
                           Pair{Advice::kWipeOnFork, Advice::kKeepOnFork, "0-2rw 2-4rwz 4-6rw"}}) {
    TestMachine<TypeParam> m;
    const ProcessId p = m.spawn();
    m.map(p, 0, 6);
    for (std::uint64_t page = 0; page < 6; ++page) ASSERT_EQ(m.put(p, page, 9), Errno{0});
    ASSERT_EQ(m.advise(p, 2, 2, pair.on), Errno{0});
    EXPECT_EQ(m.areas(p), pair.marked);
    ASSERT_EQ(m.advise(p, 2, 2, pair.on), Errno{0}) << "again, to no effect";
    EXPECT_EQ(m.areas(p), pair.marked);
    ASSERT_EQ(m.advise(p, 0, 6, pair.off), Errno{0});
    EXPECT_EQ(m.areas(p), "0-6rw");
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(AdviseTest, TheChildGetsWhatTheFlagsSay) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 6);
  for (std::uint64_t page = 0; page < 6; ++page) ASSERT_EQ(m.put(p, page, 9), Errno{0});
  ASSERT_EQ(m.advise(p, 0, 2, Advice::kDontFork), Errno{0});
  ASSERT_EQ(m.advise(p, 4, 2, Advice::kWipeOnFork), Errno{0});
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.areas(child), "2-4rw 4-6rwz");
  EXPECT_EQ(m.get(child, 0), minus(Errno::kSigSegv));
  EXPECT_EQ(m.get(child, 2), 9);
  EXPECT_EQ(m.get(child, 4), 0);
  EXPECT_EQ(m.rss(child), 2u);
  for (std::uint64_t page = 0; page < 6; ++page) EXPECT_EQ(m.get(p, page), 9);
  EXPECT_TRUE(m.view(p, 0).entry.writable()) << "what the child does not get stays as it was";
  EXPECT_TRUE(m.view(p, 4).entry.writable());
  ASSERT_EQ(m.put(child, 4, 1), Errno{0});
  const ProcessId grandchild = m.fork(child);
  EXPECT_EQ(m.get(grandchild, 4), 0) << "the mark is inherited";
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(AdviseTest, PopulateFaultsPagesInAsAnAccessWould) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  ASSERT_EQ(m.advise(p, 0, 3, Advice::kPopulateRead), Errno{0});
  EXPECT_EQ(m.rss(p), 0u);
  EXPECT_TRUE(m.view(p, 2).entry.present());
  ASSERT_EQ(m.advise(p, 0, 3, Advice::kPopulateWrite), Errno{0});
  EXPECT_EQ(m.rss(p), 3u);
  ASSERT_EQ(m.put(p, 0, 9), Errno{0});
  const ProcessId child = m.fork(p);
  ASSERT_EQ(m.advise(child, 0, 3, Advice::kPopulateWrite), Errno{0});
  EXPECT_NE(m.view(child, 0).frame, m.view(p, 0).frame) << "breaks the sharing";
  EXPECT_EQ(m.get(child, 0), 9);
}

TYPED_TEST(AdviseTest, PopulateStopsAtHolesAndProtections) {
  struct Case {
    Protection protection;
    Advice advice;
    Errno error;
  };
  const Case cases[] = {{Protection::kNone, Advice::kPopulateRead, Errno::kInvalid},
                        {Protection::kNone, Advice::kPopulateWrite, Errno::kInvalid},
                        {Protection::kRead, Advice::kPopulateRead, Errno{0}},
                        {Protection::kRead, Advice::kPopulateWrite, Errno::kInvalid},
                        {Protection::kWrite, Advice::kPopulateRead, Errno{0}},
                        {Protection::kWrite, Advice::kPopulateWrite, Errno{0}}};
  for (const Case& c : cases) {
    TestMachine<TypeParam> m;
    const ProcessId p = m.spawn();
    m.map(p, 0, 1);
    m.map(p, 1, 1, c.protection);
    EXPECT_EQ(m.advise(p, 0, 2, c.advice), c.error);
    EXPECT_EQ(m.advise(p, 0, 3, c.advice), c.error == Errno{0} ? Errno::kNoMemory : c.error);
    EXPECT_TRUE(m.view(p, 0).entry.present()) << "what lies before the failure is populated";
    EXPECT_EQ(m.view(p, 1).entry.present(), c.error == Errno{0});
  }
}

}  // namespace
}  // namespace cowherd::mm
