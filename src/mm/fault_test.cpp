#include "mm/fault.hpp"

#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

template <class G>
class FaultTest : public testing::Test {};
TYPED_TEST_SUITE(FaultTest, Geometries);

TYPED_TEST(FaultTest, AReadMapsTheZeroPageAndAWriteAPageOfItsOwn) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  EXPECT_EQ(m.get(p, 0), 0);
  PageView view = m.view(p, 0);
  EXPECT_EQ(view.frame, Frames<TypeParam>::kZeroPage);
  EXPECT_FALSE(view.entry.writable());
  EXPECT_EQ(m.rss(p), 0u);
  EXPECT_EQ(view.references, 0u);

  ASSERT_EQ(m.put(p, 1, 3), Errno{0});
  view = m.view(p, 1);
  EXPECT_TRUE(view.entry.writable() && view.entry.dirty() && view.exclusive);
  EXPECT_EQ(view.references, 1u);
  EXPECT_EQ(view.mapcount, 1u);
  EXPECT_EQ(m.rss(p), 1u);
  EXPECT_EQ(m.events.of(EventKind::kZeroFilled), 1);

  ASSERT_EQ(m.put(p, 0, 4), Errno{0});
  EXPECT_NE(m.view(p, 0).frame, Frames<TypeParam>::kZeroPage);
  EXPECT_EQ(m.events.of(EventKind::kCopiedOnWrite), 1);
  EXPECT_FALSE(m.events.last.unneeded);
  EXPECT_EQ(m.rss(p), 2u);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FaultTest, ANewPageIsEmptyWhateverTheFrameHeldBefore) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  std::vector<std::byte> all(m.kPageBytes, std::byte{0xAB});
  ASSERT_EQ(write(*m, p, Vaddr{0}, all).error, Errno{0});
  const FrameNumber frame = m.view(p, 0).frame;
  ASSERT_EQ(m.advise(p, 0, 1, Advice::kDontNeed), Errno{0});
  ASSERT_EQ(m.put(p, 0, 0), Errno{0});
  ASSERT_EQ(m.view(p, 0).frame, frame);
  ASSERT_EQ(read(*m, p, Vaddr{0}, all).error, Errno{0});
  for (const std::byte byte : all) EXPECT_EQ(byte, std::byte{0});
}

TYPED_TEST(FaultTest, ManyNewPagesAtOnceAreEmptyToo) {
  // Natively so many that they go past the caches.
  constexpr std::uint64_t kMany = TypeParam::kExplored ? 16 : 96;
  TestMachine<TypeParam> m(kCowherdRules, 3 * kMany);
  const ProcessId p = m.spawn();
  m.map(p, 0, kMany);
  std::vector<std::byte> all(kMany * m.kPageBytes, std::byte{0xAB});
  ASSERT_EQ(write(*m, p, Vaddr{0}, all).error, Errno{0});
  ASSERT_EQ(m.advise(p, 0, kMany, Advice::kDontNeed), Errno{0});
  ASSERT_EQ(m.advise(p, 0, kMany, Advice::kPopulateWrite), Errno{0});
  EXPECT_EQ(m.rss(p), kMany);
  ASSERT_EQ(read(*m, p, Vaddr{0}, all).error, Errno{0});
  for (const std::byte byte : all) ASSERT_EQ(byte, std::byte{0});
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FaultTest, TheWriterOfASharedPageGetsACopyAndTheLastOneThePage) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const ProcessId child = m.fork(p);
  const FrameNumber shared = m.view(p, 0).frame;
  EXPECT_EQ(m.view(child, 0).frame, shared);
  EXPECT_EQ(m.view(p, 0).mapcount, 2u);
  EXPECT_FALSE(m.view(p, 0).exclusive);

  ASSERT_EQ(m.put(p, 0, 2), Errno{0});
  EXPECT_EQ(m.events.of(EventKind::kCopiedOnWrite), 1);
  EXPECT_FALSE(m.events.last.unneeded);
  EXPECT_NE(m.view(p, 0).frame, shared);
  EXPECT_TRUE(m.view(p, 0).exclusive);
  EXPECT_EQ(m.get(child, 0), 1);

  ASSERT_EQ(m.put(child, 0, 3), Errno{0});
  EXPECT_EQ(m.view(child, 0).frame, shared) << "nobody else has it any more";
  EXPECT_TRUE(m.view(child, 0).exclusive);
  EXPECT_EQ(m.events.of(EventKind::kReused), 1);
  EXPECT_EQ(m.get(p, 0), 2);
  EXPECT_EQ(m.rss(p) + m.rss(child), 2u);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FaultTest, TheReusedPageIsFoundByTheReverseMapOfItsNewOwner) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const ProcessId child = m.fork(p);
  m.exit(p);
  ASSERT_EQ(m.put(child, 0, 2), Errno{0});
  EXPECT_EQ(m.events.of(EventKind::kReused), 1);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FaultTest, AReaderOfTheCountSeesAnUnneededCopy) {
  TestMachine<TypeParam> m(find_rules("sv6")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  m.reap(p, m.fork(p));
  ASSERT_EQ(m.put(p, 0, 2), Errno{0});
  EXPECT_EQ(m.events.of(EventKind::kCopiedOnWrite), 1);
  EXPECT_EQ(m.get(p, 0), 2);
}

// What becomes of the page when the owner writes after its child is gone, while somebody holds an ordinary reference
// or the page lock.
struct Reuser {
  const char* row;
  bool referenced;
  bool locked;
  EventKind event;
  Errno error;
};
constexpr EventKind kReused = EventKind::kReused;
constexpr EventKind kCopied = EventKind::kCopiedOnWrite;
constexpr Errno kFine = Errno{0};
constexpr Reuser kReusers[] = {
    {"R0", false, false, kReused, kFine},
    {"R0", true, false, kCopied, kFine},
    {"R0", false, true, kCopied, kFine},
    {"R1", true, false, kReused, kFine},
    {"R1", false, true, kCopied, kFine},
    {"R2", true, false, kReused, kFine},
    {"R2", false, true, kReused, Errno::kWouldBlock},
    {"R5", false, false, kReused, kFine},
    {"R5", true, false, kCopied, kFine},
    {"R5", false, true, kCopied, kFine},
    {"R10", true, false, kCopied, kFine},
    {"R16", true, false, kCopied, kFine},
    {"cowherd", false, false, kReused, kFine},
    {"cowherd", false, true, kCopied, kFine},
    {"sv6", false, false, kCopied, kFine},
};

TYPED_TEST(FaultTest, ReuseByRow) {
  for (const Reuser& c : kReusers) {
    SCOPED_TRACE(testing::Message() << c.row << (c.referenced ? " referenced" : "") << (c.locked ? " locked" : ""));
    TestMachine<TypeParam> m(find_rules(c.row)->rules);
    const ProcessId p = m.spawn();
    m.map(p, 0, 1);
    ASSERT_EQ(m.put(p, 0, 1), Errno{0});
    const ProcessId child = m.fork(p);
    if (c.referenced) m.pin(child, 0, 1, PinFlags::kGet);
    m.reap(p, child);
    if (c.referenced && m.view(p, 0).references == 1) continue;  // the reference made a copy of its own
    // A thread of the host would wait for the lock, and nobody gives it back.
    if (!TypeParam::kExplored && c.error == Errno::kWouldBlock) continue;
    FrameNumber locked{};
    if (c.locked) locked = *lock_page(*m, p, m.at(0));
    m.events.clear();
    EXPECT_EQ(m.put(p, 0, 2), c.error);
    EXPECT_EQ(m.events.of(c.event), c.error == kFine ? 1 : 0);
    if (c.locked) unlock_page(*m, locked);
    EXPECT_EQ(m.put(p, 0, 3), Errno{0});
    EXPECT_EQ(m.get(p, 0), 3);
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(FaultTest, AnExclusivePageIsReusedWithoutALookAtItsLockOrCount) {
  TestMachine<TypeParam> m(find_rules("R16")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  const PinId pin = m.pin(p, 0, 1, PinFlags::kWrite | PinFlags::kGet);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const FrameNumber locked = *lock_page(*m, p, m.at(0));
  EXPECT_FALSE(lock_page(*m, p, m.at(0)).ok());
  ASSERT_EQ(m.protect(p, 0, 1, Protection::kRead), Errno{0});
  ASSERT_EQ(m.protect(p, 0, 1, Protection::kReadWrite), Errno{0});
  ASSERT_EQ(m.put(p, 0, 2), Errno{0});
  EXPECT_EQ(m.dma_get(pin), 2);
  unlock_page(*m, locked);
}

TYPED_TEST(FaultTest, LockingNeedsAPage) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  EXPECT_EQ(lock_page(*m, p, m.at(0)).error(), Errno::kFault);
  EXPECT_EQ(m.get(p, 1), 0);
  EXPECT_EQ(lock_page(*m, p, m.at(1)).error(), Errno::kFault) << "the zero page";
  EXPECT_EQ(lock_page(*m, p, m.at(5)).error(), Errno::kFault);
}

TYPED_TEST(FaultTest, DirectedReuseKeepsThePageWithItsFirstOwner) {
  TestMachine<TypeParam> m(find_rules("X6")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const PinId pin = m.pin(p, 0, 1, PinFlags::kWrite | PinFlags::kGet);
  const FrameNumber first = m.view(p, 0).frame;
  const ProcessId a = m.fork(p);
  const ProcessId b = m.fork(a);

  ASSERT_EQ(m.put(b, 0, 3), Errno{0}) << "another writer gets a copy";
  EXPECT_EQ(m.view(p, 0).frame, first);
  EXPECT_EQ(m.view(a, 0).frame, first);

  const ProcessId c = m.fork(a);
  ASSERT_EQ(m.put(p, 0, 2), Errno{0});
  EXPECT_EQ(m.view(p, 0).frame, first) << "the owner keeps the page";
  EXPECT_EQ(m.events.of(EventKind::kCopiedToOther), 2);
  EXPECT_EQ(m.dma_get(pin), 2);
  EXPECT_EQ(m.get(a, 0), 1);
  EXPECT_EQ(m.get(c, 0), 1);
  EXPECT_EQ(m.get(b, 0), 3);
  EXPECT_NE(m.view(a, 0).frame, m.view(c, 0).frame);
  EXPECT_EQ(m.verify(), "");
  ASSERT_EQ(m.dma_put(pin, 5), Errno{0});
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.get(a, 0), 1);
}

TYPED_TEST(FaultTest, WhoIsLeftAloneWithAPageBecomesItsFirstOwner) {
  TestMachine<TypeParam> m(find_rules("X6")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const ProcessId heir = m.fork(p);
  m.exit(p);
  const PinId pin = m.pin(heir, 0, 1, PinFlags::kWrite | PinFlags::kGet);
  const ProcessId child = m.fork(heir);
  ASSERT_EQ(m.put(heir, 0, 2), Errno{0});
  EXPECT_EQ(m.events.of(EventKind::kCopiedToOther), 1);
  EXPECT_EQ(m.dma_get(pin), 2);
  EXPECT_EQ(m.get(child, 0), 1);
}

TYPED_TEST(FaultTest, DirectedReuseFindsMappersInEveryPartOfASplitVma) {
  TestMachine<TypeParam> m(find_rules("X6")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 6);
  for (std::uint64_t page = 0; page < 6; ++page) ASSERT_EQ(m.put(p, page, 1), Errno{0});
  const ProcessId child = m.fork(p);
  ASSERT_EQ(m.protect(child, 2, 2, Protection::kRead), Errno{0});
  m.unmap(child, 5, 1);
  for (std::uint64_t page = 0; page < 6; ++page) ASSERT_EQ(m.put(p, page, 2), Errno{0});
  EXPECT_EQ(m.events.of(EventKind::kCopiedToOther), 5);
  EXPECT_EQ(m.events.of(EventKind::kCopiedOnWrite), 0);
  for (std::uint64_t page = 0; page < 5; ++page) EXPECT_EQ(m.get(child, page), 1);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FaultTest, ABlockedWriterGoesOnWhenTheReaderHasLetGo) {
  TestMachine<TypeParam> m(find_rules("haiku")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const ProcessId child = m.fork(p);
  const PinId pin = m.pin(child, 0, 1, PinFlags::kLongTerm);
  EXPECT_EQ(m.put(child, 0, 2), Errno::kWouldBlock) << "a copy would part the reader from its owner";
  EXPECT_EQ(m.put(p, 0, 2), Errno::kWouldBlock) << "nobody knows whose reader it is";
  EXPECT_EQ(m.dma_get(pin), 1);
  m.unpin(pin);
  EXPECT_EQ(m.put(child, 0, 2), Errno{0});
  EXPECT_EQ(m.put(p, 0, 3), Errno{0});
  EXPECT_EQ(m.get(child, 0), 2);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FaultTest, HandlingAFaultThatIsNoneDoesNothing) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const Entry before = m.view(p, 0).entry;
  EXPECT_EQ(m.advise(p, 0, 1, Advice::kPopulateRead), Errno{0});
  EXPECT_EQ(m.advise(p, 0, 1, Advice::kPopulateWrite), Errno{0});
  EXPECT_EQ(m.view(p, 0).entry, before);
}

}  // namespace
}  // namespace cowherd::mm
