#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

constexpr int kWaits = -static_cast<int>(Errno::kWouldBlock);
constexpr UffdFlags kMissing = UffdFlags::kMissing;
constexpr UffdFlags kWp = UffdFlags::kWriteProtect;

template <class G>
class UserfaultTest : public testing::Test {
 protected:
  using Machine = TestMachine<G>;

  static Errno do_register(Machine& m, ProcessId process, std::uint64_t page, std::uint64_t pages, UffdFlags modes) {
    return Machine::error_of(uffd_register(*m, process, m.at(page), m.bytes(pages), modes));
  }
  static Errno unregister(Machine& m, ProcessId process, std::uint64_t page, std::uint64_t pages) {
    return Machine::error_of(uffd_unregister(*m, process, m.at(page), m.bytes(pages)));
  }
  static Errno fill(Machine& m, ProcessId process, std::uint64_t page, int value) {
    std::array<std::byte, Machine::kPageBytes> bytes{};
    bytes[0] = static_cast<std::byte>(value);
    return Machine::error_of(uffd_copy<G>(*m, process, m.at(page), bytes));
  }
  static Errno protect(Machine& m, ProcessId process, std::uint64_t page, std::uint64_t pages, bool on) {
    return Machine::error_of(uffd_write_protect(*m, process, m.at(page), m.bytes(pages), on));
  }
  static Errno move(Machine& m, ProcessId process, std::uint64_t to, std::uint64_t from) {
    return Machine::error_of(uffd_move(*m, process, m.at(to), m.at(from)));
  }
};

TYPED_TEST_SUITE(UserfaultTest, Geometries);

TYPED_TEST(UserfaultTest, WhoMeetsAMissingPageWaits) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  ASSERT_EQ(this->do_register(m, p, 1, 2, kMissing), Errno{0});
  EXPECT_EQ(m.get(p, 0), 0);
  EXPECT_EQ(m.get(p, 1), kWaits);
  EXPECT_EQ(m.put(p, 1, 3), Errno::kWouldBlock);
  // Who keeps the mmap lock all the while cannot wait.
  EXPECT_EQ(m.peek(p, 1), -static_cast<std::int64_t>(Errno::kFault));
  EXPECT_EQ(m.try_pin(p, 1, 1, PinFlags::kWrite), Errno::kWouldBlock);
  EXPECT_EQ(m.advise(p, 0, 4, Advice::kPopulateWrite), Errno::kWouldBlock);
  EXPECT_EQ(m.events.of(EventKind::kUserfault), 4);
  EXPECT_EQ(this->fill(m, p, 1, 7), Errno{0});
  EXPECT_EQ(m.get(p, 1), 7);
  EXPECT_EQ(this->fill(m, p, 1, 8), Errno::kExist);
  EXPECT_TRUE(uffd_zeropage(*m, p, m.at(2)).ok());
  EXPECT_EQ(m.get(p, 2), 0);
  EXPECT_EQ(m.put(p, 2, 5), Errno{0});
  EXPECT_EQ(m.advise(p, 1, 1, Advice::kDontNeed), Errno{0});
  EXPECT_EQ(m.get(p, 1), kWaits);
  EXPECT_EQ(this->unregister(m, p, 0, 4), Errno{0});
  EXPECT_EQ(m.get(p, 1), 0);
  EXPECT_EQ(this->fill(m, p, 3, 1), Errno::kNoEntry);
}

TYPED_TEST(UserfaultTest, NeighboursThatAreRegisteredAlikeAreOneMapping) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 6);
  ASSERT_EQ(this->do_register(m, p, 2, 2, kMissing), Errno{0});
  EXPECT_EQ(m.areas(p), "0-2rw 2-4rw 4-6rw");
  ASSERT_EQ(this->do_register(m, p, 0, 2, kMissing), Errno{0});
  EXPECT_EQ(m.areas(p), "0-4rw 4-6rw");
  ASSERT_EQ(this->unregister(m, p, 0, 6), Errno{0});
  EXPECT_EQ(m.areas(p), "0-6rw");
  EXPECT_EQ(this->do_register(m, p, 8, 2, kMissing), Errno::kInvalid);
  EXPECT_EQ(this->do_register(m, p, 0, 2, UffdFlags::kEventFork), Errno::kInvalid);
  EXPECT_EQ(this->do_register(m, p, 0, 2, UffdFlags::kMinor), Errno::kInvalid);
}

TYPED_TEST(UserfaultTest, AMarkKeepsWritersOut) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  EXPECT_EQ(this->protect(m, p, 0, 1, true), Errno::kNoEntry);
  ASSERT_EQ(this->do_register(m, p, 0, 2, kWp), Errno{0});
  ASSERT_EQ(this->protect(m, p, 0, 2, true), Errno{0});
  EXPECT_TRUE(m.view(p, 0).entry.uffd_wp());
  EXPECT_FALSE(m.view(p, 0).entry.writable());
  EXPECT_EQ(m.get(p, 0), 1);
  EXPECT_EQ(m.put(p, 0, 2), Errno::kWouldBlock);
  EXPECT_EQ(m.poke(p, 0, 2), Errno::kFault);
  EXPECT_EQ(m.protect(p, 0, 2, Protection::kRead), Errno{0});
  EXPECT_EQ(m.protect(p, 0, 2, Protection::kReadWrite), Errno{0});
  EXPECT_EQ(m.put(p, 0, 2), Errno::kWouldBlock);
  EXPECT_EQ(m.verify(), "");
  // Nothing was there to protect.
  EXPECT_EQ(m.put(p, 1, 4), Errno{0});
  ASSERT_EQ(this->protect(m, p, 0, 2, false), Errno{0});
  EXPECT_EQ(m.put(p, 0, 2), Errno{0});
  EXPECT_EQ(m.get(p, 0), 2);
}

TYPED_TEST(UserfaultTest, ForkHandsOnWhatItIsToldOf) {
  for (const bool told : {false, true}) {
    TestMachine<TypeParam> m;
    const ProcessId p = m.spawn();
    m.map(p, 0, 4);
    for (std::uint64_t page = 0; page < 3; ++page) ASSERT_EQ(m.put(p, page, 1), Errno{0});
    ASSERT_EQ(this->do_register(m, p, 0, 4, told ? kWp | kMissing | UffdFlags::kEventFork : kWp | kMissing), Errno{0});
    (void)m.pin(p, 1, 1, PinFlags::kWrite | PinFlags::kLongTerm);
    ASSERT_EQ(this->protect(m, p, 0, 2, true), Errno{0});
    const ProcessId child = m.fork(p);
    EXPECT_EQ(m.put(child, 0, 2), told ? Errno::kWouldBlock : Errno{0});
    EXPECT_EQ(m.put(child, 1, 2), told ? Errno::kWouldBlock : Errno{0});
    EXPECT_EQ(m.put(child, 2, 2), Errno{0});
    EXPECT_EQ(m.get(child, 3), told ? kWaits : 0);
    EXPECT_EQ(m.put(p, 0, 3), Errno::kWouldBlock);
    EXPECT_EQ(m.put(p, 1, 3), Errno::kWouldBlock);
    EXPECT_EQ(m.get(p, 3), kWaits);
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(UserfaultTest, RulesOfOldMarkAChildThatIsNotRegistered) {
  TestMachine<TypeParam> m(find_rules("linux-5.13")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  ASSERT_EQ(this->do_register(m, p, 0, 1, kWp), Errno{0});
  ASSERT_EQ(this->protect(m, p, 0, 1, true), Errno{0});
  (void)m.fork(p);
  EXPECT_EQ(m.verify(), "uffd-mark");
  m.expect_broken();
}

TYPED_TEST(UserfaultTest, AMarkGoesWhereThePageGoes) {
  TestMachine<TypeParam> m(kCowherdRules, 200, 16);
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  ASSERT_EQ(m.put(p, 1, 2), Errno{0});
  ASSERT_EQ(this->do_register(m, p, 0, 3, kWp), Errno{0});
  ASSERT_EQ(this->protect(m, p, 0, 3, true), Errno{0});
  ASSERT_EQ(m.swap_out(p, 0), Errno{0});
  EXPECT_TRUE(m.view(p, 0).entry.uffd_wp());
  EXPECT_EQ(m.put(p, 0, 9), Errno::kWouldBlock);
  EXPECT_EQ(m.get(p, 0), 1);
  ASSERT_TRUE(migrate(*m, p, m.at(1)).ok());
  EXPECT_TRUE(m.view(p, 1).entry.uffd_wp());
  EXPECT_EQ(m.put(p, 1, 9), Errno::kWouldBlock);
  // At a new address nobody decides.
  m.map(p, 6, 1);
  ASSERT_TRUE(mremap(*m, p, m.at(1), m.bytes(1), m.bytes(1), RemapFlags::kMayMove | RemapFlags::kFixed, m.at(6)).ok());
  EXPECT_FALSE(m.view(p, 6).entry.uffd_wp());
  EXPECT_EQ(m.put(p, 6, 9), Errno{0});
}

TYPED_TEST(UserfaultTest, OnlyAPageThatIsItsOwnersAloneMoves) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 8);
  ASSERT_EQ(m.put(p, 4, 7), Errno{0});
  ASSERT_EQ(m.put(p, 5, 8), Errno{0});
  ASSERT_EQ(m.put(p, 6, 9), Errno{0});
  EXPECT_EQ(this->move(m, p, 0, 4), Errno::kInvalid);
  ASSERT_EQ(this->do_register(m, p, 0, 4, kMissing), Errno{0});
  const FrameNumber frame = m.view(p, 4).frame;
  ASSERT_EQ(this->move(m, p, 0, 4), Errno{0});
  EXPECT_EQ(m.view(p, 0).frame, frame);
  EXPECT_TRUE(m.view(p, 0).exclusive);
  EXPECT_EQ(m.get(p, 0), 7);
  EXPECT_EQ(m.get(p, 4), 0);
  EXPECT_EQ(this->move(m, p, 0, 5), Errno::kExist);
  EXPECT_EQ(this->move(m, p, 1, 9), Errno::kNoEntry);
  EXPECT_EQ(this->move(m, p, 1, 7), Errno::kNoEntry);
  const PinId pin = m.pin(p, 5, 1, PinFlags::kWrite | PinFlags::kLongTerm);
  EXPECT_EQ(this->move(m, p, 1, 5), Errno::kBusy);
  m.unpin(pin, true);
  EXPECT_EQ(this->move(m, p, 1, 5), Errno{0});
  EXPECT_EQ(m.get(p, 1), 8);
  (void)m.fork(p);
  EXPECT_EQ(this->move(m, p, 2, 6), Errno::kBusy);
  EXPECT_EQ(m.get(p, 2), kWaits);
}

TYPED_TEST(UserfaultTest, WhatAFileHasIsMappedWhenTheHandlerSaysSo) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  const auto file = create_file(*m, FileKind::kMemory, PageCount{2});
  ASSERT_TRUE(file.ok());
  const auto byte = std::byte{5};
  ASSERT_EQ(write_file(*m, *file, ByteCount{0}, {&byte, 1}).error, Errno{0});
  ASSERT_TRUE(mmap(*m, p, m.at(0), m.bytes(2), Protection::kReadWrite, MapFlags::kFixed | MapFlags::kShared,
                   Backing{*file, PageCount{0}})
                  .ok());
  ASSERT_EQ(this->do_register(m, p, 0, 2, UffdFlags::kMinor | kMissing), Errno{0});
  EXPECT_EQ(m.get(p, 0), kWaits);
  EXPECT_EQ(m.get(p, 1), kWaits);
  EXPECT_EQ(this->fill(m, p, 0, 1), Errno::kExist);
  EXPECT_TRUE(uffd_continue(*m, p, m.at(0)).ok());
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(TestMachine<TypeParam>::error_of(uffd_continue(*m, p, m.at(1))), Errno::kFault);
  EXPECT_EQ(this->fill(m, p, 1, 6), Errno{0});
  EXPECT_EQ(m.get(p, 1), 6);
  close_file(*m, *file);
}

/// Every allocation of everything that the handler does fails once; nothing has changed then, and once more it
/// succeeds.
TYPED_TEST(UserfaultTest, WhatFailsForWantOfMemoryChangesNothing) {
  using M = TestMachine<TypeParam>;
  struct Case {
    const char* name;
    std::function<Errno(M&, ProcessId)> act;
    /// At least so many allocations may fail.
    std::uint32_t least;
  };
  // Page 0 is there, and page 1; 2 and what follows never was; a child has all that the parent has.
  const Case cases[] = {
      {"register", [&](M& m, ProcessId p) { return this->do_register(m, p, 1, 1, kMissing | kWp); }, 0},
      {"unregister", [&](M& m, ProcessId p) { return this->unregister(m, p, 17, 1); }, 0},
      {"copy", [&](M& m, ProcessId p) { return this->fill(m, p, 18, 7); }, 1},
      {"copy far", [&](M& m, ProcessId p) { return this->fill(m, p, 40, 7); }, 1},
      {"zeropage", [&](M& m, ProcessId p) { return M::error_of(uffd_zeropage(*m, p, m.at(40))); }, 0},
      {"move", [&](M& m, ProcessId p) { return this->move(m, p, 40, 24); }, 0},
      {"poison", [&](M& m, ProcessId p) { return M::error_of(uffd_poison(*m, p, m.at(40))); }, 0},
      {"protect", [&](M& m, ProcessId p) { return this->protect(m, p, 16, 2, true); }, 0},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::uint32_t fired = 0;
    for (std::uint32_t nth = 1;; ++nth) {
      ASSERT_LT(nth, 40u);
      M m;
      const ProcessId p = m.spawn();
      m.map(p, 0, 2);
      m.map(p, 16, 4);
      m.map(p, 40, 1);
      for (const std::uint64_t page : {0u, 1u, 16u, 17u}) ASSERT_EQ(m.put(p, page, 3), Errno{0});
      ASSERT_EQ(this->do_register(m, p, 16, 4, kMissing | kWp), Errno{0});
      ASSERT_EQ(this->do_register(m, p, 40, 1, kMissing), Errno{0});
      (void)m.fork(p);
      m.map(p, 24, 1);
      ASSERT_EQ(m.put(p, 24, 9), Errno{0});
      const std::string areas = m.areas(p);
      const std::uint64_t pages = m.rss(p);
      m->frames().injector().arm(nth);
      const Errno first = c.act(m, p);
      const bool failed = m->frames().injector().fired();
      m->frames().injector().arm(0);
      EXPECT_EQ(m.verify(), "");
      if (!failed) {
        EXPECT_EQ(first, Errno{0});
        break;
      }
      ++fired;
      if (first == Errno{0}) continue;
      EXPECT_EQ(first, Errno::kNoMemory);
      EXPECT_EQ(m.areas(p), areas);
      EXPECT_EQ(m.rss(p), pages);
      EXPECT_EQ(c.act(m, p), Errno{0});
    }
    EXPECT_GE(fired, c.least);
  }
}

TYPED_TEST(UserfaultTest, NothingIsDoneUntilWhatIsToldWasRead) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  ASSERT_EQ(m.put(p, 1, 3), Errno{0});
  const UffdFlags events = UffdFlags::kEventFork | UffdFlags::kEventRemap;
  ASSERT_EQ(this->do_register(m, p, 0, 2, kMissing | kWp | events), Errno{0});
  // Somebody reads at once.
  const ProcessId heard = m.fork(p);
  EXPECT_FALSE(has_unread_event(*m, p));
  ASSERT_EQ(this->do_register(m, p, 0, 2, kMissing | kWp | events | UffdFlags::kReadsEvents), Errno{0});
  EXPECT_EQ(uffd_read(*m, p).error(), Errno::kAgain);
  const ProcessId child = m.fork(p);
  EXPECT_TRUE(has_unread_event(*m, p));
  EXPECT_FALSE(has_unread_event(*m, child));
  claim_events(*m, p, 3);
  EXPECT_TRUE(waits_to_be_read(*m, p, 3));
  EXPECT_FALSE(waits_to_be_read(*m, p, 2));
  EXPECT_EQ(this->fill(m, p, 0, 7), Errno::kAgain);
  EXPECT_EQ(this->protect(m, p, 1, 1, true), Errno::kAgain);
  EXPECT_EQ(this->move(m, p, 0, 1), Errno::kAgain);
  EXPECT_EQ(this->fill(m, child, 0, 7), Errno{0});
  ASSERT_TRUE(mremap(*m, p, m.at(1), m.bytes(1), m.bytes(1), RemapFlags::kMayMove | RemapFlags::kFixed, m.at(8)).ok());
  EXPECT_EQ(m.verify(), "");
  const auto first = uffd_read(*m, p);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*first, UffdEvent::kFork);
  EXPECT_FALSE(waits_to_be_read(*m, p, 3));
  EXPECT_EQ(this->fill(m, p, 0, 7), Errno::kAgain);
  const auto second = uffd_read(*m, p);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(*second, UffdEvent::kRemap);
  EXPECT_EQ(this->fill(m, p, 0, 7), Errno{0});
  EXPECT_EQ(m.get(p, 8), 3);
  (void)heard;
}

TYPED_TEST(UserfaultTest, WhatIsForbiddenIsABusErrorUntilItIsBrought) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  const auto forbid = [&](std::uint64_t page) {
    return TestMachine<TypeParam>::error_of(uffd_poison(*m, p, m.at(page)));
  };
  EXPECT_EQ(forbid(0), Errno::kNoEntry);
  ASSERT_EQ(this->do_register(m, p, 0, 3, kMissing | kWp), Errno{0});
  const std::uint64_t pages = m.rss(p);
  EXPECT_EQ(forbid(0), Errno{0});
  EXPECT_EQ(forbid(0), Errno::kExist);
  EXPECT_EQ(m.rss(p), pages);
  EXPECT_EQ(m.get(p, 0), -static_cast<int>(Errno::kSigBus));
  EXPECT_EQ(m.put(p, 0, 1), Errno::kSigBus);
  EXPECT_EQ(m.peek(p, 0), -static_cast<std::int64_t>(Errno::kFault));
  EXPECT_EQ(this->protect(m, p, 0, 1, true), Errno{0});
  EXPECT_EQ(m.verify(), "");
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.get(child, 0), -static_cast<int>(Errno::kSigBus));
  EXPECT_EQ(TestMachine<TypeParam>::error_of(uffd_zeropage(*m, p, m.at(0))), Errno::kExist);
  EXPECT_EQ(this->fill(m, p, 0, 7), Errno{0});
  EXPECT_EQ(m.get(p, 0), 7);
  EXPECT_EQ(m.get(child, 0), -static_cast<int>(Errno::kSigBus));
  EXPECT_EQ(forbid(0), Errno::kExist);
  EXPECT_EQ(forbid(1), Errno{0});
  EXPECT_EQ(m.advise(p, 1, 1, Advice::kDontNeed), Errno{0});
  EXPECT_EQ(m.get(p, 1), kWaits);
  EXPECT_EQ(forbid(2), Errno{0});
  EXPECT_EQ(this->unregister(m, p, 0, 4), Errno{0});
  EXPECT_EQ(m.get(p, 2), -static_cast<int>(Errno::kSigBus));
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(UserfaultTest, AWriteThatNobodyIsAskedAboutTakesTheMarkAway) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  for (const std::uint64_t page : {0u, 1u, 2u}) ASSERT_EQ(m.put(p, page, 3), Errno{0});
  ASSERT_EQ(this->do_register(m, p, 0, 3, kWp | UffdFlags::kWpAsync), Errno{0});
  const ProcessId child = m.fork(p);
  ASSERT_EQ(this->protect(m, p, 0, 3, true), Errno{0});
  EXPECT_EQ(m.get(p, 0), 3);
  EXPECT_TRUE(m.view(p, 0).entry.uffd_wp());
  EXPECT_EQ(m.put(p, 0, 4), Errno{0});
  EXPECT_FALSE(m.view(p, 0).entry.uffd_wp());
  EXPECT_EQ(m.get(child, 0), 3);
  EXPECT_TRUE(m.try_pin(p, 1, 1, PinFlags::kWrite) == Errno{0});
  EXPECT_FALSE(m.view(p, 1).entry.uffd_wp());
  EXPECT_TRUE(m.view(p, 2).entry.uffd_wp());
  EXPECT_EQ(m.events.of(EventKind::kUserfault), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(UserfaultTest, WhatIsUnmappedIsTold) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 6);
  const UffdFlags modes = kWp | UffdFlags::kEventRemap | UffdFlags::kEventUnmap | UffdFlags::kReadsEvents;
  ASSERT_EQ(this->do_register(m, p, 0, 3, modes), Errno{0});
  const auto read = [&] {
    const auto event = uffd_read(*m, p);
    return event ? static_cast<int>(*event) : -static_cast<int>(event.error());
  };
  // Nobody is registered there.
  ASSERT_TRUE(munmap(*m, p, m.at(5), m.bytes(1)).ok());
  EXPECT_EQ(read(), -static_cast<int>(Errno::kAgain));
  ASSERT_TRUE(munmap(*m, p, m.at(2), m.bytes(1)).ok());
  EXPECT_EQ(read(), 0x16);
  const RemapFlags fixed = RemapFlags::kMayMove | RemapFlags::kFixed;
  ASSERT_TRUE(mremap(*m, p, m.at(1), m.bytes(1), m.bytes(1), fixed, m.at(0)).ok());
  // That is all that there is room for.
  EXPECT_EQ(mremap(*m, p, m.at(0), m.bytes(1), m.bytes(1), fixed, m.at(8)).error(), Errno::kNoMemory);
  EXPECT_EQ(munmap(*m, p, m.at(0), m.bytes(1)).error(), Errno::kNoMemory);
  EXPECT_EQ(read(), 0x16);
  EXPECT_EQ(read(), 0x14);
  EXPECT_EQ(read(), 0x16);
  EXPECT_EQ(m.verify(), "");
  m.map(p, 0, 1);
  EXPECT_EQ(read(), 0x16);
  EXPECT_EQ(read(), -static_cast<int>(Errno::kAgain));
}

TYPED_TEST(UserfaultTest, WhatIsAboutToGoIsTold) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 6);
  for (const std::uint64_t page : {0u, 1u, 2u, 3u}) ASSERT_EQ(m.put(p, page, 3), Errno{0});
  const UffdFlags modes = kWp | UffdFlags::kEventRemove | UffdFlags::kReadsEvents;
  ASSERT_EQ(this->do_register(m, p, 1, 2, modes), Errno{0});
  const auto tell = [&](std::uint64_t page, std::uint64_t pages, Advice advice = Advice::kDontNeed) {
    const auto said = tell_of_removal(*m, p, m.at(page), m.bytes(pages), advice);
    return std::pair(said ? said->pages.value() : 0, said && said->told);
  };
  // What lies before goes first, and without a word.
  EXPECT_EQ(tell(0, 4), std::pair(std::uint64_t{1}, false));
  EXPECT_EQ(tell(1, 3), std::pair(std::uint64_t{2}, true));
  EXPECT_EQ(m.get(p, 1), 3);
  EXPECT_EQ(this->protect(m, p, 1, 1, true), Errno::kAgain);
  EXPECT_EQ(m.verify(), "");
  const auto event = uffd_read(*m, p);
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(*event, UffdEvent::kRemove);
  EXPECT_EQ(m.advise(p, 1, 2, Advice::kDontNeed), Errno{0});
  EXPECT_EQ(m.get(p, 1), 0);
  EXPECT_EQ(tell(3, 3), std::pair(std::uint64_t{3}, false));
  // A private mapping of no file has no hole made in it; and what mlock keeps does not go.
  EXPECT_EQ(tell(1, 2, Advice::kRemove), std::pair(std::uint64_t{2}, false));
  EXPECT_EQ(m.advise(p, 1, 1, Advice::kLock), Errno{0});
  EXPECT_EQ(tell(1, 2, Advice::kFree), std::pair(std::uint64_t{2}, false));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(tell(2, 1).second);
  EXPECT_EQ(tell_of_removal(*m, p, m.at(2), m.bytes(1), Advice::kDontNeed).error(), Errno::kNoMemory);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(UserfaultTest, WhatIsBroughtBeforeAFileIsTheOwners) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  const auto file = create_file(*m, FileKind::kMemory, PageCount{4});
  ASSERT_TRUE(file.ok());
  const auto byte = std::byte{5};
  for (const std::uint64_t page : {0u, 1u, 2u, 3u}) {
    ASSERT_EQ(write_file(*m, *file, ByteCount{page * m.bytes(1).value()}, {&byte, 1}).error, Errno{0});
  }
  ASSERT_TRUE(
      mmap(*m, p, m.at(0), m.bytes(4), Protection::kReadWrite, MapFlags::kFixed, Backing{*file, PageCount{0}}).ok());
  ASSERT_EQ(this->do_register(m, p, 0, 4, UffdFlags::kMinor), Errno{0});
  EXPECT_EQ(this->fill(m, p, 0, 7), Errno{0});
  EXPECT_TRUE(uffd_zeropage(*m, p, m.at(1)).ok());
  EXPECT_TRUE(uffd_poison(*m, p, m.at(2)).ok());
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.get(child, 0), 7);
  EXPECT_EQ(m.get(child, 1), 0);
  EXPECT_EQ(m.get(child, 2), -static_cast<int>(Errno::kSigBus));
  EXPECT_TRUE(uffd_continue(*m, p, m.at(2)).ok());
  EXPECT_EQ(m.get(p, 2), 5);
  EXPECT_EQ(m.verify(), "");
  ASSERT_TRUE(truncate(*m, *file, PageCount{0}).ok());
  for (const std::uint64_t page : {0u, 1u, 2u, 3u}) {
    EXPECT_EQ(m.get(p, page), -static_cast<int>(Errno::kSigBus));
    EXPECT_EQ(m.get(child, page), -static_cast<int>(Errno::kSigBus));
  }
  EXPECT_EQ(this->fill(m, p, 0, 7), Errno::kFault);
  EXPECT_EQ(m.verify(), "");
  close_file(*m, *file);
}

TYPED_TEST(UserfaultTest, MadvFreeTakesWhatNobodyCanHave) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(this->do_register(m, p, 0, 1, kWp), Errno{0});
  ASSERT_TRUE(uffd_poison(*m, p, m.at(0)).ok());
  EXPECT_EQ(m.advise(p, 0, 2, Advice::kFree), Errno{0});
  EXPECT_EQ(m.get(p, 0), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(UserfaultTest, WhatCannotBeToldIsNotDone) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 3), Errno{0});
  const UffdFlags modes = kWp | UffdFlags::kEventFork | UffdFlags::kEventRemap | UffdFlags::kReadsEvents;
  ASSERT_EQ(this->do_register(m, p, 0, 2, modes), Errno{0});
  for (int i = 0; i < 3; ++i) (void)m.fork(p);
  const auto one_too_many = fork(*m, p);
  ASSERT_FALSE(one_too_many.ok());
  EXPECT_EQ(one_too_many.error(), Errno::kNoMemory);
  const auto moved = mremap(*m, p, m.at(0), m.bytes(1), m.bytes(1), RemapFlags::kMayMove | RemapFlags::kFixed, m.at(8));
  ASSERT_FALSE(moved.ok());
  EXPECT_EQ(moved.error(), Errno::kNoMemory);
  EXPECT_EQ(m.get(p, 0), 3);
  EXPECT_EQ(m.areas(p), "0-2rw");
  EXPECT_EQ(m.verify(), "");
  ASSERT_TRUE(uffd_read(*m, p).ok());
  (void)m.fork(p);
  // What nobody was told of, and nobody waits for: a snapshot.
  const auto snapshot = fork(*m, p, ForkMode::kClassic, false);
  ASSERT_TRUE(snapshot.ok());
  EXPECT_TRUE(exit(*m, *snapshot).ok());
  EXPECT_TRUE(wait(*m, p, *snapshot).ok());
}

}  // namespace
}  // namespace cowherd::mm
