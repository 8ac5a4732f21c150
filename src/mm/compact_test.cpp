#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"

// Movable memory: who leaves it, and how it is taken out; compaction.

namespace cowherd::mm {
namespace {

constexpr PinFlags kDevice = PinFlags::kWrite | PinFlags::kLongTerm;

Rules in_place() {
  Rules rules;
  rules.longterm_movable = LongtermMovable::kInPlace;
  return rules;
}

template <class G>
class MovableTest : public testing::Test {
 protected:
  struct Machine : TestMachine<G> {
    explicit Machine(std::size_t movable, const Rules& rules = kCowherdRules, std::size_t swap = 0,
                     std::size_t frames = 200)
        : TestMachine<G>(rules, frames, swap, false, 0, movable) {}

    bool movable(ProcessId process, std::uint64_t page) {
      return (*this)->frames().is_movable(this->view(process, page).frame);
    }
    Errno offline() { return this->error_of(mm::offline(**this)); }
    void compact() { ASSERT_TRUE(mm::compact(**this).ok()); }
  };
};
TYPED_TEST_SUITE(MovableTest, Geometries);

TYPED_TEST(MovableTest, UserPagesLieThereAndNothingElse) {
  typename TestFixture::Machine m(3);
  const ProcessId p = m.spawn();
  m.map(p, 0, 5);
  for (const std::uint64_t page : {0u, 1u, 2u, 3u}) ASSERT_EQ(m.put(p, page, 1), Errno{0});
  for (const std::uint64_t page : {0u, 1u, 2u}) EXPECT_TRUE(m.movable(p, page)) << page;
  EXPECT_FALSE(m.movable(p, 3)) << "there is no more room";
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MovableTest, ALongTermPinTakesThePageOut) {
  for (const PinFlags more : {PinFlags::kNone, PinFlags::kFast}) {
    typename TestFixture::Machine m(4);
    const ProcessId p = m.spawn();
    m.map(p, 0, 3);
    for (const std::uint64_t page : {0u, 1u}) ASSERT_EQ(m.put(p, page, 1), Errno{0});
    const PinId pin = m.pin(p, 0, 3, kDevice | more);
    for (const std::uint64_t page : {0u, 1u, 2u}) {
      EXPECT_FALSE(m.movable(p, page)) << page;
      ASSERT_EQ(m.put(p, page, 7), Errno{0});
      EXPECT_EQ(m.dma_get(pin, page), 7);
    }
    EXPECT_EQ(m.view(p, 0).pins, 1u);
    EXPECT_EQ(m.view(p, 0).references, 2u);
    EXPECT_EQ(m.offline(), Errno{0});
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(MovableTest, OtherReferencesStayWhereThePageIs) {
  typename TestFixture::Machine m(4);
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  for (const std::uint64_t page : {0u, 1u, 2u}) ASSERT_EQ(m.put(p, page, 1), Errno{0});
  const PinId one = m.pin(p, 0, 1, PinFlags::kWrite);
  m.pin(p, 1, 1, PinFlags::kWrite | PinFlags::kFast);
  m.pin(p, 2, 1, PinFlags::kGet);
  for (const std::uint64_t page : {0u, 1u, 2u}) EXPECT_TRUE(m.movable(p, page)) << page;
  EXPECT_EQ(m.offline(), Errno::kBusy);
  for (const std::uint64_t page : {0u, 1u, 2u}) EXPECT_TRUE(m.movable(p, page)) << page;
  ASSERT_EQ(m.put(p, 0, 2), Errno{0});
  EXPECT_EQ(m.dma_get(one), 2);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MovableTest, OlderKernelsPinInPlace) {
  for (const PinFlags more : {PinFlags::kNone, PinFlags::kFast}) {
    typename TestFixture::Machine m(4, in_place());
    const ProcessId p = m.spawn();
    m.map(p, 0, 1);
    ASSERT_EQ(m.put(p, 0, 1), Errno{0});
    const PinId pin = m.pin(p, 0, 1, kDevice | more);
    EXPECT_TRUE(m.movable(p, 0));
    EXPECT_EQ(m.offline(), Errno::kBusy);
    EXPECT_EQ(m.verify(), "");
    m.unpin(pin);
    EXPECT_EQ(m.offline(), Errno{0});
  }
}

TYPED_TEST(MovableTest, WhatOthersHoldCannotLeave) {
  typename TestFixture::Machine m(4);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const PinId held = m.pin(p, 0, 1, PinFlags::kWrite);
  const PageView before = m.view(p, 0);
  const auto free = m->frames().free_count();
  for (const PinFlags more : {PinFlags::kNone, PinFlags::kFast}) {
    m->frames().clear_shortage();
    EXPECT_EQ(m.try_pin(p, 0, 1, kDevice | more), Errno::kNoMemory);
    EXPECT_TRUE(m->frames().shortage());
    const PageView after = m.view(p, 0);
    EXPECT_EQ(after.frame, before.frame);
    EXPECT_EQ(after.entry, before.entry);
    EXPECT_EQ(after.references, before.references);
    EXPECT_EQ(after.pins, before.pins);
    EXPECT_EQ(after.exclusive, before.exclusive);
    EXPECT_EQ(m->frames().free_count(), free);
    EXPECT_EQ(m.verify(), "");
  }
  m.unpin(held);
  m.pin(p, 0, 1, kDevice);
  EXPECT_FALSE(m.movable(p, 0));
}

TYPED_TEST(MovableTest, APinWaitsForThePageLock) {
  typename TestFixture::Machine m(4);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  if constexpr (TypeParam::kExplored) {
    const auto locked = lock_page(*m, p, m.at(0));
    ASSERT_TRUE(locked.ok());
    EXPECT_EQ(m.try_pin(p, 0, 1, kDevice), Errno::kWouldBlock);
    EXPECT_EQ(m.offline(), Errno::kBusy) << "who takes memory out does not";
    unlock_page(*m, *locked);
  }
  EXPECT_EQ(m.try_pin(p, 0, 1, kDevice), Errno{0});
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MovableTest, WithoutMemoryNothingHasChanged) {
  typename TestFixture::Machine m(4);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  const PageView before = m.view(p, 0);
  const auto free = m->frames().free_count();
  std::uint32_t failures = 0;
  for (std::uint32_t nth = 1;; ++nth) {
    m->frames().injector().arm(nth);
    const Errno error = m.try_pin(p, 0, 1, kDevice);
    m->frames().injector().arm(0);
    if (error == Errno{0}) break;
    ++failures;
    EXPECT_EQ(error, Errno::kNoMemory) << nth;
    EXPECT_EQ(m.view(p, 0).frame, before.frame) << nth;
    EXPECT_EQ(m.view(p, 0).entry, before.entry) << nth;
    EXPECT_EQ(m.view(p, 0).references, 1u) << nth;
    EXPECT_TRUE(m.view(p, 0).exclusive) << nth;
    EXPECT_EQ(m->frames().free_count(), free) << nth;
    EXPECT_EQ(m.verify(), "") << nth;
  }
  EXPECT_GE(failures, 3u) << "the record, what keeps the way to the page, the frame";
  EXPECT_FALSE(m.movable(p, 0));
  EXPECT_EQ(m.get(p, 0), 5);
}

TYPED_TEST(MovableTest, ChildrensCopiesLieThere) {
  typename TestFixture::Machine m(4);
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  ASSERT_EQ(m.put(p, 1, 6), Errno{0});
  m.pin(p, 0, 1, kDevice);
  const ProcessId child = m.fork(p, ForkMode::kClassic);
  EXPECT_TRUE(m.movable(child, 0)) << "the early copy";
  ASSERT_EQ(m.put(child, 1, 7), Errno{0});
  EXPECT_TRUE(m.movable(child, 1)) << "the copy of a write fault";
  EXPECT_EQ(m.offline(), Errno{0});
  EXPECT_FALSE(m.movable(child, 0) || m.movable(child, 1) || m.movable(p, 0) || m.movable(p, 1));
  EXPECT_EQ(m.get(child, 0), 5);
  EXPECT_EQ(m.get(child, 1), 7);
  EXPECT_EQ(m.get(p, 1), 6);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MovableTest, SecretMemoryLiesInNormalMemory) {
  typename TestFixture::Machine m(4);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1, Protection::kReadWrite, MapFlags::kFixed | MapFlags::kSecret);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  EXPECT_FALSE(m.movable(p, 0));
  const ProcessId child = m.fork(p, ForkMode::kClassic);
  ASSERT_EQ(m.put(child, 0, 6), Errno{0});
  EXPECT_FALSE(m.movable(child, 0));
  EXPECT_EQ(m.try_pin(p, 0, 1, kDevice), Errno::kFault);
  EXPECT_EQ(m.offline(), Errno{0});
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MovableTest, OnceOutNothingIsGivenOut) {
  typename TestFixture::Machine m(4, kCowherdRules, 8);
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  ASSERT_EQ(m.put(p, 1, 6), Errno{0});
  ASSERT_EQ(m.swap_out(p, 0), Errno{0});
  EXPECT_EQ(m.offline(), Errno{0});
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.get(p, 1), 6);
  ASSERT_EQ(m.put(p, 2, 7), Errno{0});
  for (const std::uint64_t page : {0u, 1u, 2u}) EXPECT_FALSE(m.movable(p, page)) << page;
  EXPECT_EQ(m.offline(), Errno{0}) << "it is out already";
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MovableTest, PagesInTheSwapCacheAloneGoToo) {
  typename TestFixture::Machine m(4, kCowherdRules, 8);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  const ProcessId child = m.fork(p, ForkMode::kClassic);
  ASSERT_EQ(m.swap_out(p, 0), Errno{0});
  ASSERT_EQ(m.swap_in(p, 0), Errno{0});
  ASSERT_TRUE(m.view(p, 0).in_swap_cache);
  m.unmap(p, 0, 1);
  EXPECT_EQ(m.offline(), Errno{0});
  EXPECT_EQ(m.get(child, 0), 5);
  EXPECT_FALSE(m.movable(child, 0));
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MovableTest, WithoutMovableMemoryThereIsNothingToTakeOut) {
  typename TestFixture::Machine m(0);
  EXPECT_EQ(m.offline(), Errno::kInvalid);
}

TYPED_TEST(MovableTest, CompactionMovesDownWhatItMay) {
  typename TestFixture::Machine m(8);
  const ProcessId p = m.spawn();
  m.map(p, 0, 6);
  for (std::uint64_t page = 0; page < 6; ++page) ASSERT_EQ(m.put(p, page, static_cast<int>(page + 1)), Errno{0});
  const FrameNumber first = m.view(p, 0).frame;
  const FrameNumber pinned = m.view(p, 3).frame;
  const PinId pin = m.pin(p, 3, 1, PinFlags::kWrite);
  m.unmap(p, 0, 2);
  m.compact();
  EXPECT_EQ(m.view(p, 2).frame, first);
  EXPECT_EQ(m.view(p, 3).frame, pinned) << "a device has it";
  EXPECT_EQ(m.view(p, 4).frame, first + PageCount{1});
  EXPECT_EQ(m.view(p, 5).frame, first + PageCount{2});
  for (std::uint64_t page = 2; page < 6; ++page) EXPECT_EQ(m.get(p, page), static_cast<int>(page + 1));
  ASSERT_EQ(m.dma_put(pin, 9), Errno{0});
  EXPECT_EQ(m.get(p, 3), 9);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MovableTest, CompactionStaysInItsZone) {
  typename TestFixture::Machine m(2);
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  for (const std::uint64_t page : {0u, 1u, 2u, 3u}) ASSERT_EQ(m.put(p, page, 5), Errno{0});
  m.unmap(p, 0, 1);
  m.compact();
  EXPECT_TRUE(m.movable(p, 1));
  EXPECT_FALSE(m.movable(p, 2) || m.movable(p, 3));
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MovableTest, VerifySeesWhatCannotBeMoved) {
  typename TestFixture::Machine m(2);
  const auto taken = m->frames().allocate(FrameUse::kPinFrames, 0, Zone::kMovable);
  ASSERT_TRUE(taken.ok());
  m->descriptor(*taken).add_references(1);
  EXPECT_NE(m.verify().find("unmovable"), std::string::npos);
  m->frames().put(*taken);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  const PinId pin = m.pin(p, 0, 1, PinFlags::kWrite);
  m->frames().template for_each<PinRecord<TypeParam>>(
      [&](Ref<PinRecord<TypeParam>> ref) { m->at(ref).flags = m->at(ref).flags | PinFlags::kLongTerm; });
  EXPECT_EQ(m.verify(), "unmovable");
  m.unpin(pin);
}

}  // namespace
}  // namespace cowherd::mm
