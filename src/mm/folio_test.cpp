#include "mm/folio.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"
#include "mm/test_must.hpp"

namespace cowherd::mm {
namespace {

/// Machines in which memory of MADV_HUGEPAGE gets large folios of four pages, or of two.
template <class G>
class LargeFolio : public testing::Test {
 protected:
  using Machine = TestMachine<G>;

  static constexpr std::size_t kRoom = 200;
  static constexpr std::uint64_t kFirst = 4;

  static MachineSize size(std::size_t swap = 0) {
    return {.frames = PageCount{kRoom}, .swap = PageCount{swap}, .huge = true, .folio_order = 2};
  }
  Machine machine_{kCowherdRules, size()};

  /// A process that has one folio of four pages, each of which was written.
  static ProcessId start(Machine& m) {
    const ProcessId p = m.spawn();
    m.map(p, kFirst, 4);
    EXPECT_EQ(m.advise(p, kFirst, 4, Advice::kHugePage), Errno{0});
    for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(m.put(p, kFirst + i, 1), Errno{0});
    return p;
  }
  static Machine with(const char* rules) { return Machine(find_rules(rules)->rules, size()); }
};
TYPED_TEST_SUITE(LargeFolio, Geometries);

TYPED_TEST(LargeFolio, OneWriteMapsAll) {
  auto& m = this->machine_;
  const ProcessId p = m.spawn();
  m.map(p, this->kFirst, 4);
  ASSERT_EQ(m.advise(p, this->kFirst, 4, Advice::kHugePage), Errno{0});
  ASSERT_EQ(m.put(p, this->kFirst + 2, 1), Errno{0});
  EXPECT_EQ(m.events.of(EventKind::kFolioMapped), 1);
  EXPECT_EQ(m.rss(p), 4U);
  for (std::uint64_t i = 0; i < 4; ++i) {
    const PageView page = m.view(p, this->kFirst + i);
    EXPECT_EQ(page.folio_order, 2U);
    EXPECT_FALSE(page.huge);
    EXPECT_TRUE(page.exclusive);
    EXPECT_EQ(page.frame, m.view(p, this->kFirst).frame + PageCount{i});
    EXPECT_EQ(m.get(p, this->kFirst + i), i == 2 ? 1 : 0);
  }
  const FolioState folio = m->folio_state(m.view(p, this->kFirst + 3).frame);
  EXPECT_EQ(folio, (FolioState{.large = true, .references = 4, .mapcount = 4, .most_mapped = 1}));
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(LargeFolio, SmallerOnesWhereThereIsNoRoom) {
  auto& m = this->machine_;
  const ProcessId p = m.spawn();
  m.map(p, this->kFirst, 7);
  ASSERT_EQ(m.advise(p, this->kFirst, 7, Advice::kHugePage), Errno{0});
  EXPECT_EQ(m.get(p, this->kFirst), 0);
  ASSERT_EQ(m.put(p, this->kFirst + 1, 1), Errno{0});
  ASSERT_EQ(m.put(p, this->kFirst + 3, 1), Errno{0});
  ASSERT_EQ(m.put(p, this->kFirst + 5, 1), Errno{0});
  ASSERT_EQ(m.put(p, this->kFirst + 6, 1), Errno{0});
  const unsigned wanted[] = {0, 0, 1, 1, 1, 1, 0};
  for (std::uint64_t i = 0; i < 7; ++i) EXPECT_EQ(m.view(p, this->kFirst + i).folio_order, wanted[i]) << i;
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(LargeFolio, GoesPageByPage) {
  auto& m = this->machine_;
  const ProcessId p = this->start(m);
  const FrameNumber head = m.view(p, this->kFirst).frame;
  const PageCount before = m->frames().free_count();
  m.unmap(p, this->kFirst + 3, 1);
  EXPECT_EQ(m->frames().free_count(), before + PageCount{1});
  EXPECT_EQ(m->frames().folio_order(head + PageCount{3}), 0U);
  EXPECT_EQ(m->folio_state(head).mapcount, 3U);
  EXPECT_EQ(m.verify(), "");
  ASSERT_EQ(m.advise(p, this->kFirst, 1, Advice::kDontNeed), Errno{0});
  // What the frame is used for next is no part of it.
  ASSERT_EQ(m.put(p, this->kFirst, 5), Errno{0});
  EXPECT_EQ(m.view(p, this->kFirst).folio_order, 0U);
  EXPECT_EQ(m->folio_state(m.view(p, this->kFirst + 2).frame).mapcount, 2U);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(LargeFolio, ForkSharesItsPagesAndWritersPart) {
  auto& m = this->machine_;
  const ProcessId p = this->start(m);
  const ProcessId child = m.fork(p, ForkMode::kClassic);
  EXPECT_EQ(m->folio_state(m.view(p, this->kFirst).frame).mapcount, 8U);
  ASSERT_EQ(m.put(p, this->kFirst + 1, 2), Errno{0});
  EXPECT_EQ(m.get(child, this->kFirst + 1), 1);
  EXPECT_EQ(m.view(p, this->kFirst + 1).folio_order, 0U);
  EXPECT_EQ(m.view(child, this->kFirst + 1).folio_order, 2U);
  EXPECT_EQ(m.view(p, this->kFirst).frame, m.view(child, this->kFirst).frame);
  EXPECT_EQ(m.verify(), "");
}

/// After fork, and the child's exit: who goes on with the page, by rule; the last number: with one page left.
TYPED_TEST(LargeFolio, TheLastOwnerGoesOnByRule) {
  struct Case {
    const char* rules;
    bool whole;
    bool one_page;
  };
  for (const Case& c : {Case{"linux-2.6.29", true, true}, Case{"linux-5.8", true, true}, Case{"linux-5.9", false, true},
                        Case{"linux-6.8", false, true}, Case{"linux-6.12", false, false},
                        Case{"linux-6.15", true, false}, Case{"cowherd", true, true}}) {
    for (const bool one_page : {false, true}) {
      SCOPED_TRACE(testing::Message() << c.rules << " " << one_page);
      auto m = this->with(c.rules);
      const ProcessId p = this->start(m);
      m.reap(p, m.fork(p, ForkMode::kClassic));
      if (one_page) m.unmap(p, this->kFirst + 1, 3);
      const FrameNumber before = m.view(p, this->kFirst).frame;
      ASSERT_EQ(m.put(p, this->kFirst, 2), Errno{0});
      EXPECT_EQ(m.view(p, this->kFirst).frame == before, one_page ? c.one_page : c.whole);
      EXPECT_EQ(m.verify(), "");
    }
  }
}

TYPED_TEST(LargeFolio, AnOwnerIsWhoMapsItAll) {
  auto m = this->with("linux-6.15");
  const ProcessId p = this->start(m);
  const ProcessId child = m.fork(p, ForkMode::kClassic);
  m.unmap(child, this->kFirst, 3);
  ASSERT_EQ(m.put(p, this->kFirst, 2), Errno{0});
  EXPECT_EQ(m.view(p, this->kFirst).folio_order, 0U) << "the child has another page of it";
  m.reap(p, child);
  ASSERT_EQ(m.put(p, this->kFirst + 1, 2), Errno{0});
  EXPECT_EQ(m.view(p, this->kFirst + 1).folio_order, 2U);
  // Somebody who reads another page of it holds it as a whole.
  const ProcessId other = m.fork(p, ForkMode::kClassic);
  const PinId got = m.pin(p, this->kFirst + 3, 1, PinFlags::kGet);
  m.reap(p, other);
  ASSERT_EQ(m.put(p, this->kFirst + 2, 2), Errno{0});
  EXPECT_EQ(m.view(p, this->kFirst + 2).folio_order, 0U);
  m.unpin(got);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(LargeFolio, ForkCopiesThePinnedPageOrAll) {
  for (const char* rules : {"cowherd", "linux-5.9", "linux-6.8", "linux-6.15"}) {
    SCOPED_TRACE(rules);
    auto m = this->with(rules);
    const ProcessId p = this->start(m);
    const PinId pin = m.pin(p, this->kFirst + 1, 1, kDma);
    m.events.clear();
    const ProcessId child = m.fork(p, ForkMode::kClassic);
    EXPECT_EQ(m.events.of(EventKind::kForkCopied), rules[0] == 'c' ? 1 : 4);
    ASSERT_EQ(m.put(p, this->kFirst + 1, 2), Errno{0});
    EXPECT_EQ(m.dma_get(pin), 2);
    EXPECT_EQ(m.get(child, this->kFirst + 1), 1);
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(LargeFolio, IsTakenApartWhereNobodyHoldsIt) {
  for (const char* rules : {"cowherd", "linux-6.15"}) {
    SCOPED_TRACE(rules);
    auto m = this->with(rules);
    const ProcessId p = this->start(m);
    EXPECT_EQ(m.error_of(split(*m, p, m.at(this->kFirst + 9))), Errno::kFault);
    const PinId pin = m.pin(p, this->kFirst + 1, 1, kDma);
    const Errno held = rules[0] == 'c' ? Errno{0} : Errno::kBusy;
    EXPECT_EQ(m.error_of(split(*m, p, m.at(this->kFirst))), held);
    EXPECT_EQ(m.view(p, this->kFirst + 2).folio_order, held == Errno{0} ? 0U : 2U);
    m.unpin(pin);
    EXPECT_EQ(m.error_of(split(*m, p, m.at(this->kFirst))), held == Errno{0} ? Errno::kFault : Errno{0});
    for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(m.view(p, this->kFirst + i).folio_order, 0U);
    EXPECT_EQ(m.get(p, this->kFirst + 3), 1);
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(LargeFolio, MovesInPartsAndStaysOne) {
  auto& m = this->machine_;
  const ProcessId p = this->start(m);
  const PinId pin = m.pin(p, this->kFirst + 1, 1, kDma);
  ASSERT_TRUE(mremap(*m, p, m.at(this->kFirst + 1), m.bytes(1), m.bytes(1), RemapFlags::kMayMove | RemapFlags::kFixed,
                     m.at(this->kFirst + 9))
                  .ok());
  EXPECT_EQ(m.view(p, this->kFirst + 9).folio_order, 2U);
  const ProcessId child = m.fork(p);
  ASSERT_EQ(m.put(p, this->kFirst + 9, 7), Errno{0});
  EXPECT_EQ(m.dma_get(pin), 7);
  EXPECT_EQ(m.get(child, this->kFirst + 9), 1);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(LargeFolio, OnePageGoesToSwapAndBack) {
  Rules rules = kCowherdRules;
  rules.folio_swap = FolioSwap::kSplit;
  typename TestFixture::Machine m(rules, this->size(8));
  const ProcessId p = this->start(m);
  ASSERT_EQ(m.put(p, this->kFirst + 1, 6), Errno{0});
  EXPECT_EQ(m.swap_out(p, this->kFirst + 1), Errno{0});
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.get(p, this->kFirst + 1), 6);
  EXPECT_EQ(m.view(p, this->kFirst).folio_order, 2U);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(LargeFolio, AHugePageIsOneToo) {
  if (!TypeParam::kExplored) return;
  auto& m = this->machine_;
  const ProcessId p = this->start(m);
  ASSERT_EQ(m.advise(p, this->kFirst, 4, Advice::kCollapse), Errno{0});
  EXPECT_TRUE(m.view(p, this->kFirst).huge);
  EXPECT_EQ(m.view(p, this->kFirst).folio_order, 2U);
  m.unmap(p, this->kFirst, 1);
  EXPECT_FALSE(m.view(p, this->kFirst + 1).huge);
  EXPECT_EQ(m.view(p, this->kFirst + 1).folio_order, 2U);
  EXPECT_EQ(m.verify(), "");
}

/// Every allocation of a first write fails once: it falls back to fewer pages, and only the last one is missed.
TYPED_TEST(LargeFolio, EveryAllocationFailsOnce) {
  for (std::uint32_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    typename TestFixture::Machine m(kCowherdRules, this->size());
    const ProcessId p = m.spawn();
    m.map(p, this->kFirst, 4);
    ASSERT_EQ(m.advise(p, this->kFirst, 4, Advice::kHugePage), Errno{0});
    m->frames().injector().arm(nth);
    const Errno failed = m.put(p, this->kFirst + 1, 3);
    const bool fired = m->frames().injector().fired();
    m->frames().injector().arm(0);
    EXPECT_EQ(m.verify(), "");
    if (failed != Errno{0}) {
      EXPECT_EQ(m.put(p, this->kFirst + 1, 3), Errno{0});
    }
    EXPECT_EQ(m.get(p, this->kFirst + 1), 3);
    if (!fired) {
      EXPECT_EQ(m.view(p, this->kFirst).folio_order, 2U);
      break;
    }
  }
}

TYPED_TEST(LargeFolio, VerifyFindsWhatIsNone) {
  auto& m = this->machine_;
  const ProcessId p = this->start(m);
  const FrameNumber head = m.view(p, this->kFirst).frame;
  m->frames().set_folio_order(FrameNumber{0}, 1);
  EXPECT_EQ(m.verify(), "folio-broken");
  m->frames().set_folio_order(FrameNumber{0}, 0);
  const Vpn index = m->descriptor(head).index();
  const std::uint32_t owner = m->descriptor(head).owner();
  m->descriptor(head).set_owner(owner, index + PageCount{7});
  EXPECT_NE(m.verify().find("folio-broken"), std::string::npos);
  m->descriptor(head).set_owner(owner, index);
  EXPECT_EQ(m.verify(), "");
}

}  // namespace
}  // namespace cowherd::mm
