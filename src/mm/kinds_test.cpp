#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"

// Soft-dirty tracking, NUMA hints, locked and secret memory.

namespace cowherd::mm {
namespace {

constexpr PinFlags kDma = PinFlags::kWrite | PinFlags::kLongTerm;

template <class G>
class KindsTest : public testing::Test {
 protected:
  static Errno clear(TestMachine<G>& m, ProcessId process, std::uint64_t page, std::uint64_t count) {
    return m.error_of(clear_refs(*m, process, m.at(page), m.bytes(count)));
  }
  static Errno hint(TestMachine<G>& m, ProcessId process, std::uint64_t page, std::uint64_t count) {
    return m.error_of(numa_hint(*m, process, m.at(page), m.bytes(count)));
  }
  static bool soft_dirty(TestMachine<G>& m, ProcessId process, std::uint64_t page) {
    return m.view(process, page).soft_dirty;
  }
};
TYPED_TEST_SUITE(KindsTest, Geometries);

TYPED_TEST(KindsTest, ARoundSaysWhatWasWritten) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  for (const std::uint64_t page : {0u, 1u}) ASSERT_EQ(m.put(p, page, 1), Errno{0});
  EXPECT_TRUE(this->soft_dirty(m, p, 3)) << "new, though never touched";
  EXPECT_EQ(this->clear(m, p, 0, 4), Errno{0});
  for (const std::uint64_t page : {0u, 1u, 2u, 3u}) EXPECT_FALSE(this->soft_dirty(m, p, page)) << page;
  EXPECT_FALSE(m.view(p, 0).entry.writable());
  EXPECT_TRUE(m.view(p, 0).entry.dirty());
  ASSERT_EQ(m.put(p, 1, 2), Errno{0});
  ASSERT_EQ(m.put(p, 3, 2), Errno{0});
  EXPECT_EQ(m.get(p, 2), 0);
  for (const std::uint64_t page : {0u, 1u, 2u, 3u}) EXPECT_EQ(this->soft_dirty(m, p, page), page % 2 == 1) << page;
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(KindsTest, APartOfAMappingKeepsTheMappingsBit) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  ASSERT_EQ(m.put(p, 1, 1), Errno{0});
  EXPECT_EQ(this->clear(m, p, 1, 1), Errno{0});
  EXPECT_TRUE(this->soft_dirty(m, p, 1)) << "its VMA is still new: too much is said, never too little";
  EXPECT_FALSE(m.view(p, 1).entry.soft_dirty());
}

TYPED_TEST(KindsTest, SharedTablesBecomeOwnForARound) {
  for (const ForkMode mode : {ForkMode::kSharedLeaves, ForkMode::kSharedSubtrees}) {
    TestMachine<TypeParam> m;
    const ProcessId p = m.spawn();
    m.map(p, 0, 2);
    ASSERT_EQ(m.put(p, 0, 1), Errno{0});
    const ProcessId child = m.fork(p, mode);
    EXPECT_EQ(this->clear(m, p, 0, 2), Errno{0});
    EXPECT_FALSE(this->soft_dirty(m, p, 0));
    EXPECT_TRUE(this->soft_dirty(m, child, 0)) << "the child's bits are its own";
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(KindsTest, NeighboursMergeAcrossARound) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  EXPECT_EQ(this->clear(m, p, 0, 2), Errno{0});
  m.map(p, 2, 2);
  EXPECT_EQ(m.areas(p), "0-4rw");
  EXPECT_TRUE(this->soft_dirty(m, p, 3));
}

TYPED_TEST(KindsTest, AHintIsUsedUpByTheNextAccess) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  EXPECT_EQ(m.get(p, 1), 0);
  EXPECT_EQ(this->hint(m, p, 0, 3), Errno{0});
  EXPECT_FALSE(m.view(p, 0).entry.user());
  EXPECT_TRUE(m.view(p, 1).entry.user()) << "the zero page is left alone";
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.get(p, 0), 1);
  EXPECT_TRUE(m.view(p, 0).entry.user());
  EXPECT_TRUE(m.view(p, 0).entry.writable()) << "it is the owner's own: no second fault";
  EXPECT_EQ(this->hint(m, p, 0, 1), Errno{0});
  const PinId pin = m.pin(p, 0, 1, PinFlags::kLongTerm);
  EXPECT_FALSE(m.view(p, 0).entry.user()) << "a reference leaves the hint";
  ASSERT_EQ(m.put(p, 0, 2), Errno{0});
  EXPECT_EQ(m.dma_get(pin), 2);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(KindsTest, WhoSkipsWhatIsHeld) {
  struct Case {
    const char* row;
    bool skips_shared, skips_pinned;
  };
  for (const Case& c : {Case{"R7", true, false}, Case{"linux-5.17", true, true}, Case{"cowherd", true, true}}) {
    SCOPED_TRACE(c.row);
    TestMachine<TypeParam> m(find_rules(c.row)->rules);
    const ProcessId p = m.spawn();
    m.map(p, 0, 2);
    ASSERT_EQ(m.put(p, 0, 1), Errno{0});
    (void)m.fork(p, ForkMode::kClassic);
    ASSERT_EQ(m.put(p, 1, 1), Errno{0});
    (void)m.pin(p, 1, 1, kDma);
    EXPECT_EQ(this->hint(m, p, 0, 2), Errno{0});
    EXPECT_EQ(m.view(p, 0).entry.user(), c.skips_shared);
    EXPECT_EQ(m.view(p, 1).entry.user(), c.skips_pinned);
  }
}

TYPED_TEST(KindsTest, LockedMemoryIsThereAndNoMore) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  m.map(p, 4, 2, Protection::kRead);
  EXPECT_EQ(m.advise(p, 1, 4, Advice::kLock), Errno{0});
  EXPECT_EQ(m.rss(p), 3u);
  EXPECT_EQ(m.areas(p), "0-1rw 1-4rw 4-5r 5-6r");
  EXPECT_EQ(m.view(p, 2).references, 1u) << "no pin";
  const ProcessId child = m.fork(p, ForkMode::kClassic);
  EXPECT_EQ(m.view(p, 2).mapcount, 2u) << "fork shares it";
  EXPECT_EQ(m.advise(child, 0, 6, Advice::kUnlock), Errno{0});
  EXPECT_EQ(m.advise(p, 0, 6, Advice::kUnlock), Errno{0});
  EXPECT_EQ(m.areas(p), "0-4rw 4-6r");
  EXPECT_EQ(m.advise(p, 5, 2, Advice::kLock), Errno::kNoMemory) << "a hole";
  m.map(p, 8, 1, Protection::kNone);
  EXPECT_EQ(m.advise(p, 8, 1, Advice::kLock), Errno::kNoMemory);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(KindsTest, SecretMemoryIsNeverReferenced) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1, Protection::kReadWrite, MapFlags::kFixed | MapFlags::kSecret);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  for (const PinFlags flags : {PinFlags::kNone, kDma, kDma | PinFlags::kFast, PinFlags::kGet,
                               PinFlags::kGet | PinFlags::kFast, kDma | PinFlags::kForce}) {
    EXPECT_EQ(m.try_pin(p, 0, 1, flags), Errno::kFault);
  }
  EXPECT_EQ(m.peek(p, 0), minus(Errno::kFault));
  EXPECT_EQ(m.poke(p, 0, 2), Errno::kFault);
  const ProcessId child = m.fork(p);
  ASSERT_EQ(m.put(child, 0, 3), Errno{0});
  EXPECT_EQ(m.try_pin(child, 0, 1, kDma | PinFlags::kFast), Errno::kFault);
  EXPECT_EQ(m.get(p, 0), 1);
  m.map(p, 1, 1);
  EXPECT_EQ(m.areas(p), "0-1rw 1-2rw") << "a secret merges with nothing that is none";
  EXPECT_EQ(m.verify(), "");
}

}  // namespace
}  // namespace cowherd::mm
