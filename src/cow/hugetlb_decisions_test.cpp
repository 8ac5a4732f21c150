#include <gtest/gtest.h>

#include "cow/decisions.hpp"
#include "cow/rule_rows.hpp"

namespace cowherd {
namespace {

/// Every state that a hugetlb page can be in, and every rule.
TEST(HugetlbWriteFault, FollowsTheRule) {
  for (const std::uint32_t mapcount : {1U, 2U, 5U}) {
    for (const std::uint32_t more : {0U, 1U, 3U}) {
      for (int bits = 0; bits < 4; ++bits) {
        const FrameState page{.references = mapcount + more,
                              .pins = more,
                              .mapcount = mapcount,
                              .exclusive = (bits & 1) != 0,
                              .anon = (bits & 2) != 0};
        const bool unheld = page.references == 1;
        const auto expect = [&](HugetlbReuse rule, bool reuse) {
          Rules rules;
          rules.hugetlb_reuse = rule;
          SCOPED_TRACE(testing::Message() << mapcount << " " << more << " " << bits << " " << static_cast<int>(rule));
          EXPECT_EQ(on_hugetlb_write_fault(rules, page), reuse ? WriteFault::kReuse : WriteFault::kCopy);
          rules.gup_read = GupRead::kBlockWriter;
          const WriteFault other = page.pins != 0 ? WriteFault::kWaitForReader : WriteFault::kCopy;
          EXPECT_EQ(on_hugetlb_write_fault(rules, page), reuse ? WriteFault::kReuse : other);
        };
        expect(HugetlbReuse::kCount, unheld);
        expect(HugetlbReuse::kMapcount, mapcount == 1);
        expect(HugetlbReuse::kMapcountAnon, mapcount == 1 && page.anon);
        expect(HugetlbReuse::kExclusive, page.anon && (page.exclusive || unheld));
      }
    }
  }
}

TEST(HugetlbFork, IsThatOfSmallPagesOrNone) {
  for (const std::uint32_t pins : {0U, 1U, 2U}) {
    for (const bool exclusive : {false, true}) {
      for (const bool has_pinned : {false, true}) {
        const FrameState page{
            .references = 1 + pins, .pins = pins, .mapcount = 1, .exclusive = exclusive, .anon = true};
        Rules rules;
        EXPECT_EQ(on_fork_hugetlb(rules, page, {true, true}, has_pinned, false),
                  on_fork(rules, page, {true, true}, has_pinned, false));
        rules.hugetlb_fork = HugetlbFork::kShare;
        EXPECT_EQ(on_fork_hugetlb(rules, page, {true, true}, has_pinned, true), ForkPage::kShare);
      }
    }
  }
}

TEST(HugetlbFork, PinsAreNotGuessed) {
  Rules rules = find_rules("linux-5.13")->rules;
  ASSERT_EQ(rules.pinned, PinnedTest::kBiased);
  const FrameState many{.references = 5000, .mapcount = 1, .exclusive = true, .anon = true};
  EXPECT_EQ(on_fork(rules, many, {true, true}, true, false), ForkPage::kCopy);
  EXPECT_EQ(on_fork_hugetlb(rules, many, {true, true}, true, false), ForkPage::kShare);
  const FrameState pinned{.references = 2, .pins = 1, .mapcount = 1, .exclusive = true, .anon = true};
  EXPECT_EQ(on_fork_hugetlb(rules, pinned, {true, true}, true, false), ForkPage::kCopy);
}

TEST(HugetlbRules, FollowTheHistory) {
  const auto rules = [](const char* name) { return find_rules(name)->rules; };
  for (const char* name : {"linux-2.6.12", "linux-2.6.16", "linux-2.6.32"}) {
    EXPECT_EQ(rules(name).hugetlb_reuse, HugetlbReuse::kCount) << name;
  }
  EXPECT_EQ(rules("linux-3.2").hugetlb_reuse, HugetlbReuse::kMapcount);
  for (const char* name : {"linux-4.9", "linux-5.9", "linux-5.19", "linux-6.15"}) {
    EXPECT_EQ(rules(name).hugetlb_reuse, HugetlbReuse::kMapcountAnon) << name;
  }
  EXPECT_EQ(rules("linux-5.12").hugetlb_fork, HugetlbFork::kShare);
  EXPECT_EQ(rules("linux-5.13").hugetlb_fork, HugetlbFork::kAsSmall);
  EXPECT_EQ(rules("linux-5.18").hugetlb_sequence, HugetlbSequence::kIgnored);
  EXPECT_EQ(rules("linux-5.19").hugetlb_sequence, HugetlbSequence::kAsSmall);
  EXPECT_EQ(rules("linux-6.1").hugetlb_force, HugetlbForce::kWrite);
  EXPECT_EQ(rules("linux-6.2").hugetlb_force, HugetlbForce::kRefuse);
  EXPECT_EQ(rules("cowherd").hugetlb_reuse, HugetlbReuse::kExclusive);
}

}  // namespace
}  // namespace cowherd
