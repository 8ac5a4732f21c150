#include "frame/descriptor.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace cowherd {
namespace {

/// Every field at a value of its own.
FrameDescriptor full() {
  FrameDescriptor d;
  d.start_use(FrameUse::kAnon);
  d.add_references(5);
  d.add_pins(3);
  d.set_mapcount(2);
  d.set_exclusive(true);
  d.set_dirty(true);
  EXPECT_TRUE(d.try_lock());
  d.set_gup_mark(true);
  d.set_owner(FrameDescriptor::kMaxOwner, Vpn{(std::uint64_t{1} << FrameDescriptor::kIndexBits) - 1});
  return d;
}

void expect_equal(const FrameDescriptor& a, const FrameDescriptor& b) {
  EXPECT_EQ(a.use(), b.use());
  EXPECT_EQ(a.references(), b.references());
  EXPECT_EQ(a.pins(), b.pins());
  EXPECT_EQ(a.mapcount(), b.mapcount());
  EXPECT_EQ(a.exclusive(), b.exclusive());
  EXPECT_EQ(a.dirty(), b.dirty());
  EXPECT_EQ(a.locked(), b.locked());
  EXPECT_EQ(a.gup_mark(), b.gup_mark());
  EXPECT_EQ(a.owner(), b.owner());
  EXPECT_EQ(a.index(), b.index());
}

TEST(FrameDescriptor, StartsAsAFrameThatWasNeverUsed) {
  FrameDescriptor d = full();
  d.clear();
  expect_equal(d, FrameDescriptor{});
  EXPECT_EQ(d.use(), FrameUse::kFree);
  EXPECT_EQ(d.references(), 0u);
  EXPECT_EQ(d.owner(), 0u);
}

TEST(FrameDescriptor, HoldsTheExtremesOfEveryField) {
  const FrameDescriptor d = full();
  EXPECT_EQ(d.use(), FrameUse::kAnon);
  EXPECT_EQ(d.references(), 5u);
  EXPECT_EQ(d.pins(), 3u);
  EXPECT_EQ(d.mapcount(), 2u);
  EXPECT_TRUE(d.exclusive() && d.dirty() && d.locked() && d.gup_mark());
  EXPECT_EQ(d.owner(), FrameDescriptor::kMaxOwner);
  EXPECT_EQ(d.index().value(), (std::uint64_t{1} << FrameDescriptor::kIndexBits) - 1);
}

TEST(FrameDescriptor, ChangingOneFieldChangesNoOther) {
  struct Change {
    const char* name;
    void (*there)(FrameDescriptor&);
    void (*back)(FrameDescriptor&);
  };
  using D = FrameDescriptor;
  const Change changes[] = {
      {"references", [](D& d) { d.add_references(1000); }, [](D& d) { d.drop_references(1000); }},
      {"pins", [](D& d) { d.add_pins(100); }, [](D& d) { d.drop_pins(100); }},
      {"mapcount", [](D& d) { d.add_mapcount(); }, [](D& d) { d.drop_mapcount(); }},
      {"exclusive", [](D& d) { d.set_exclusive(false); }, [](D& d) { d.set_exclusive(true); }},
      {"dirty", [](D& d) { d.set_dirty(false); }, [](D& d) { d.set_dirty(true); }},
      {"locked", [](D& d) { d.unlock(); }, [](D& d) { EXPECT_TRUE(d.try_lock()); }},
      {"gup mark", [](D& d) { d.set_gup_mark(false); }, [](D& d) { d.set_gup_mark(true); }},
      {"owner", [](D& d) { d.set_owner(1, d.index()); }, [](D& d) { d.set_owner(D::kMaxOwner, d.index()); }},
      {"index", [](D& d) { d.set_owner(d.owner(), Vpn{0}); },
       [](D& d) { d.set_owner(d.owner(), Vpn{(std::uint64_t{1} << D::kIndexBits) - 1}); }},
  };
  for (const Change& change : changes) {
    SCOPED_TRACE(change.name);
    FrameDescriptor d = full();
    change.there(d);
    change.back(d);
    expect_equal(d, full());
  }
}

TEST(FrameDescriptor, CountsWrapWithinTheirFields) {
  FrameDescriptor d = full();
  d.drop_references(5);
  d.drop_references(1);
  EXPECT_EQ(d.references(), FrameDescriptor::kMaxReferences);
  EXPECT_EQ(d.pins(), 3u) << "a reference too few must not borrow from the pins";
  d.add_references(1);
  EXPECT_EQ(d.references(), 0u);
  EXPECT_EQ(d.pins(), 3u) << "a reference too many must not carry into the pins";

  d.add_references(7);
  d.add_pins(FrameDescriptor::kMaxPins);
  EXPECT_EQ(d.pins(), 2u);
  EXPECT_EQ(d.references(), 7u);

  d.set_mapcount(0);
  d.drop_mapcount();
  EXPECT_EQ(d.mapcount(), FrameDescriptor::kMaxMapcount);
  EXPECT_EQ(d.use(), FrameUse::kAnon);
  d.add_mapcount();
  EXPECT_EQ(d.mapcount(), 0u);
}

TEST(FrameDescriptor, NobodyGetsAReferenceToAFreeFrame) {
  FrameDescriptor d;
  EXPECT_FALSE(d.try_add_references(1, 0, FrameDescriptor::kMaxReferences));
  EXPECT_EQ(d.references(), 0u);
  d.add_references(1);
  EXPECT_TRUE(d.try_add_references(2, 1, 3));
  EXPECT_EQ(d.references(), 3u);
  EXPECT_EQ(d.pins(), 1u);
}

TEST(FrameDescriptor, LimitsAreKeptExactly) {
  FrameDescriptor d;
  d.add_references(1);
  EXPECT_FALSE(d.try_add_references(3, 3, 3));
  EXPECT_EQ(d.references(), 1u);
  EXPECT_EQ(d.pins(), 0u);
  EXPECT_TRUE(d.try_add_references(2, 2, 3));
  EXPECT_FALSE(d.try_add_references(1, FrameDescriptor::kMaxPins, FrameDescriptor::kMaxReferences));
  EXPECT_EQ(d.pins(), 2u);
}

/// Threads take and give back, and one of them drops the last reference now and then: from that moment on nobody may
/// get another, until somebody who knows that the frame is free gives it one.
TEST(FrameDescriptor, NoReferenceIsTakenOrLostBehindTheLastOne) {
  constexpr unsigned kRounds = 30'000;
  FrameDescriptor d;
  d.add_references(1);
  std::atomic<unsigned> frees{0};
  std::atomic<bool> over{false};
  const auto drop = [&] {
    if (d.drop_references(1, 1).references == 0) ++frees;
  };
  std::vector<std::thread> takers;
  for (int i = 0; i < 3; ++i) {
    takers.emplace_back([&] {
      while (!over) {
        if (d.try_add_references(1, 1, FrameDescriptor::kMaxReferences)) drop();
      }
    });
  }
  unsigned lives = 1;
  for (unsigned round = 0; round < kRounds; ++round) {
    if (d.drop_references(1).references == 0) ++frees;
    while (frees < lives) std::this_thread::yield();
    ASSERT_FALSE(d.try_add_references(1, 1, FrameDescriptor::kMaxReferences));
    ++lives;
    d.add_references(1);
  }
  over = true;
  for (std::thread& taker : takers) taker.join();
  EXPECT_EQ(frees, kRounds);
  EXPECT_EQ(d.references(), 1u);
  EXPECT_EQ(d.pins(), 0u);
}

TEST(FrameDescriptor, FlagsOfOneWordDoNotDisturbEachOther) {
  constexpr unsigned kRounds = 20'000;
  FrameDescriptor d;
  unsigned guarded = 0;
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (unsigned i = 0; i < kRounds; ++i) {
        d.add_mapcount();
        d.lock(thread % 2 == 0);
        ++guarded;
        d.set_dirty(i % 2 == 0);
        d.unlock();
        d.drop_mapcount();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(guarded, 4 * kRounds);
  EXPECT_EQ(d.mapcount(), 0u);
  EXPECT_FALSE(d.locked());
}

TEST(FrameDescriptor, AFreshFrameBecomesAnAnonymousPageAtOnce) {
  FrameDescriptor d;
  d.start_anon(FrameDescriptor::kMaxOwner, Vpn{7}, true);
  FrameDescriptor expected;
  expected.start_use(FrameUse::kAnon);
  expected.add_references(1);
  expected.add_mapcount();
  expected.set_exclusive(true);
  expected.set_owner(FrameDescriptor::kMaxOwner, Vpn{7});
  expect_equal(d, expected);
}

TEST(FrameDescriptor, BecomingExclusiveGivesTheOwnerAndMayGiveUpTheLock) {
  for (const bool unlocks : {false, true}) {
    FrameDescriptor d = full();
    d.set_exclusive(false);
    d.become_exclusive(5, Vpn{9}, true, unlocks);
    FrameDescriptor expected = full();
    expected.set_owner(5, Vpn{9});
    if (unlocks) expected.unlock();
    expect_equal(d, expected);
  }
}

TEST(FrameDescriptor, ATableIsUnlockedAndCountedInOneAccess) {
  FrameDescriptor d = full();
  FrameDescriptor expected = full();
  d.unlock_table(3);
  expected.unlock();
  expected.change_mapcount(3);
  expect_equal(d, expected);
}

}  // namespace
}  // namespace cowherd
