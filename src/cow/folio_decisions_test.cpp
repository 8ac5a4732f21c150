#include <gtest/gtest.h>

#include <algorithm>

#include "cow/decisions.hpp"
#include "cow/rule_rows.hpp"

namespace cowherd {
namespace {

constexpr FolioReuse kAll[] = {FolioReuse::kPage, FolioReuse::kMapcount, FolioReuse::kCount, FolioReuse::kNever,
                               FolioReuse::kOwner};

/// Calls `visit(page)` for a page of a folio of two in every state that their counts can be in: each page mapped 0 to 2
/// times and held 0 to 2 times besides, pinned or not; the page at hand is mapped.
template <class Visit>
void for_each_state(Visit&& visit) {
  for (std::uint32_t mapped = 1; mapped <= 2; ++mapped) {
    for (std::uint32_t held = 0; held <= 2; ++held) {
      for (std::uint32_t other_mapped = 0; other_mapped <= 2; ++other_mapped) {
        for (std::uint32_t other_held = 0; other_held <= 2; ++other_held) {
          for (int bits = 0; bits < 16; ++bits) {
            FrameState page{.references = mapped + held, .mapcount = mapped, .anon = true};
            page.pins = (bits & 1) != 0 ? held : 0;
            page.exclusive = (bits & 2) != 0 && mapped == 1;
            page.folio = {.large = true,
                          .references = page.references + other_mapped + other_held,
                          .pins = page.pins + ((bits & 4) != 0 ? other_held : 0),
                          .mapcount = mapped + other_mapped,
                          .most_mapped = std::max(mapped, other_mapped),
                          .mapped_alone = (bits & 8) != 0 && mapped == 1 && other_mapped <= 1};
            visit(page);
          }
        }
      }
    }
  }
}

/// What a rule asks of the folio, said in its own words.
bool folio_agrees(FolioReuse rule, const FrameState& page) {
  const std::uint32_t others_mapped = page.folio.mapcount - page.mapcount;
  const std::uint32_t others_referenced = page.folio.references - page.references;
  switch (rule) {
    case FolioReuse::kPage:
      return true;
    case FolioReuse::kMapcount:
      return page.mapcount == 1 && others_mapped <= 1;
    case FolioReuse::kCount:
      return page.references == 1 && others_referenced == 0;
    case FolioReuse::kNever:
      return false;
    case FolioReuse::kOwner:
      return page.folio.mapped_alone && others_mapped == 1 && page.references == 1 && others_referenced == 1;
  }
  return false;
}

Rules with(Reuse reuse, FolioReuse folio) {
  Rules rules;
  rules.reuse = reuse;
  rules.folio_reuse = folio;
  return rules;
}

TEST(FolioWriteFault, AsksTheFolioWhereNoMarkSettlesIt) {
  for_each_state([](const FrameState& page) {
    for (const FolioReuse folio : kAll) {
      const bool count = page.references == 1 && folio_agrees(folio, page);
      const bool mapcount = page.mapcount == 1 && folio_agrees(folio, page);
      const auto verdict = [&](Reuse reuse) { return on_write_fault(with(reuse, folio), page, false, false, false); };
      const auto wanted = [](bool reuse) { return reuse ? WriteFault::kReuse : WriteFault::kCopy; };
      SCOPED_TRACE(testing::Message() << page.references << "/" << page.mapcount << " of " << page.folio.references
                                      << "/" << page.folio.mapcount << ", rule " << static_cast<int>(folio));
      EXPECT_EQ(verdict(Reuse::kNever), WriteFault::kCopy);
      EXPECT_EQ(verdict(Reuse::kCount), wanted(count));
      EXPECT_EQ(verdict(Reuse::kMapcount), wanted(mapcount));
      EXPECT_EQ(verdict(Reuse::kExclusive), wanted(page.exclusive || count));
    }
  });
}

TEST(FolioWriteFault, ASmallPageIsAskedAlone) {
  for_each_state([](FrameState page) {
    page.folio = {};
    for (const Reuse reuse : {Reuse::kNever, Reuse::kCount, Reuse::kMapcount, Reuse::kExclusive}) {
      const WriteFault alone = on_write_fault(with(reuse, FolioReuse::kPage), page, false, false, false);
      for (const FolioReuse folio : kAll) {
        EXPECT_EQ(on_write_fault(with(reuse, folio), page, false, false, false), alone);
      }
    }
  });
}

TEST(FolioWriteFault, TheSwapCacheIsLeftFirst) {
  FrameState page{.references = 2, .mapcount = 1, .anon = true, .in_swap_cache = true};
  page.folio = {.large = true, .references = 2, .mapcount = 1, .most_mapped = 1};
  Rules rules = with(Reuse::kCount, FolioReuse::kCount);
  EXPECT_EQ(on_write_fault(rules, page, false, false, false), WriteFault::kReuse);
  rules.swap_cache = SwapCache::kCounted;
  EXPECT_EQ(on_write_fault(rules, page, false, false, false), WriteFault::kCopy);
}

TEST(FolioWriteFault, TheLockComesBeforeMapcounts) {
  FrameState page{.references = 1, .mapcount = 1, .anon = true};
  page.folio = {.large = true, .references = 3, .mapcount = 3, .most_mapped = 2};
  Rules rules = with(Reuse::kMapcount, FolioReuse::kMapcount);
  rules.page_lock = PageLock::kSleep;
  EXPECT_EQ(on_write_fault(rules, page, true, false, false), WriteFault::kWaitForPageLock);
  EXPECT_EQ(on_write_fault(rules, page, false, false, false), WriteFault::kCopy);
}

TEST(FolioPins, AreOneCountOrEachPagesOwn) {
  for_each_state([](FrameState page) {
    for (const PinnedTest pinned : {PinnedTest::kNever, PinnedTest::kBiased, PinnedTest::kExact}) {
      Rules rules;
      rules.pinned = pinned;
      rules.huge_pins = HugePins::kEach;
      const bool asks = pinned != PinnedTest::kNever;
      EXPECT_EQ(maybe_pinned(rules, page), asks && page.pins != 0);
      rules.huge_pins = HugePins::kWhole;
      EXPECT_EQ(maybe_pinned(rules, page), asks && page.folio.pins != 0);
    }
  });
}

TEST(FolioPins, ManyMappingsDoNotLookLikeAPin) {
  FrameState page{.references = 2000, .mapcount = 2000, .anon = true};
  Rules rules;
  rules.pinned = PinnedTest::kBiased;
  rules.huge_pins = HugePins::kWhole;
  EXPECT_TRUE(maybe_pinned(rules, page));
  page.folio = {.large = true, .references = 4000, .mapcount = 4000, .most_mapped = 2000};
  EXPECT_FALSE(maybe_pinned(rules, page));
}

TEST(FolioPins, ForkCopiesAllOrThePinnedOne) {
  FrameState page{.references = 1, .mapcount = 1, .exclusive = true, .anon = true};
  page.folio = {.large = true, .references = 3, .pins = 1, .mapcount = 2, .most_mapped = 1};
  Rules rules = find_rules("linux-6.15")->rules;
  EXPECT_EQ(on_fork(rules, page, {.writable = true, .dirty = true}, true, false), ForkPage::kCopy);
  EXPECT_EQ(on_fork(kCowherdRules, page, {.writable = true, .dirty = true}, true, false), ForkPage::kShare);
  // Once shared it is shared on.
  page.exclusive = false;
  EXPECT_EQ(on_fork(rules, page, {.writable = false, .dirty = true}, true, false), ForkPage::kShare);
}

TEST(FolioRules, FollowTheHistory) {
  const auto rule = [](const char* name) { return find_rules(name)->rules.folio_reuse; };
  for (const char* name : {"linux-2.6.12", "linux-2.6.29", "linux-3.2", "cowherd", "freebsd", "zircon"}) {
    EXPECT_EQ(rule(name), FolioReuse::kPage) << name;
  }
  for (const char* name : {"linux-4.9", "linux-5.1", "linux-5.8", "X7"}) {
    EXPECT_EQ(rule(name), FolioReuse::kMapcount) << name;
  }
  for (const char* name : {"linux-5.9-rc5", "linux-5.9", "linux-5.18", "linux-5.19", "linux-6.5", "linux-6.8"}) {
    EXPECT_EQ(rule(name), FolioReuse::kCount) << name;
  }
  for (const char* name : {"linux-6.9", "linux-6.12", "linux-6.13"}) EXPECT_EQ(rule(name), FolioReuse::kNever) << name;
  for (const char* name : {"linux-6.15", "linux-7.1"}) EXPECT_EQ(rule(name), FolioReuse::kOwner) << name;
}

}  // namespace
}  // namespace cowherd
