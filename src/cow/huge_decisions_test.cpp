#include <gtest/gtest.h>

#include "cow/decisions.hpp"
#include "cow/rule_rows.hpp"

namespace cowherd {
namespace {

Rules with(HugeReuse reuse, HugeCopy copy) {
  Rules rules;
  rules.huge_reuse = reuse;
  rules.huge_copy = copy;
  return rules;
}

/// Every state that a huge page can be in, and every rule.
TEST(HugeWriteFault, FollowsTheRule) {
  for (const std::uint32_t mapcount : {1U, 2U, 7U}) {
    for (int bits = 0; bits < 8; ++bits) {
      const HugeState page{.mapcount = mapcount,
                           .mapped_by_pieces = (bits & 1) != 0,
                           .referenced = (bits & 2) != 0,
                           .exclusive = (bits & 4) != 0};
      const bool alone = mapcount == 1 && !page.mapped_by_pieces;
      const bool unreferenced = alone && !page.referenced;
      for (const HugeCopy copy : {HugeCopy::kWhole, HugeCopy::kSplit}) {
        const HugeFault other = copy == HugeCopy::kWhole ? HugeFault::kCopyWhole : HugeFault::kSplit;
        SCOPED_TRACE(testing::Message() << mapcount << " " << bits);
        EXPECT_EQ(on_huge_write_fault(with(HugeReuse::kMapcount, copy), page), alone ? HugeFault::kReuse : other);
        EXPECT_EQ(on_huge_write_fault(with(HugeReuse::kCount, copy), page), unreferenced ? HugeFault::kReuse : other);
        EXPECT_EQ(on_huge_write_fault(with(HugeReuse::kExclusive, copy), page),
                  alone && (page.exclusive || !page.referenced) ? HugeFault::kReuse : other);
      }
    }
  }
}

TEST(HugeWriteFault, NobodyGoesOnWithTheZeroPage) {
  for (const HugeReuse reuse : {HugeReuse::kMapcount, HugeReuse::kCount, HugeReuse::kExclusive}) {
    Rules rules = with(reuse, HugeCopy::kSplit);
    const HugeState zeros{.mapcount = 1, .zero_page = true};
    EXPECT_EQ(on_huge_write_fault(rules, zeros), HugeFault::kCopyWhole);
    rules.huge_zero = HugeZero::kSplit;
    EXPECT_EQ(on_huge_write_fault(rules, zeros), HugeFault::kSplit);
  }
}

TEST(HugeRules, FollowTheHistory) {
  const auto rules = [](const char* name) { return find_rules(name)->rules; };
  for (const char* name : {"linux-2.6.29", "linux-4.9", "linux-5.1", "linux-5.8"}) {
    EXPECT_EQ(rules(name).huge_reuse, HugeReuse::kMapcount) << name;
    EXPECT_EQ(rules(name).huge_copy, HugeCopy::kWhole) << name;
  }
  for (const char* name : {"linux-5.9-rc5", "linux-5.9", "linux-5.11", "linux-5.17"}) {
    EXPECT_EQ(rules(name).huge_reuse, HugeReuse::kMapcount) << name;
    EXPECT_EQ(rules(name).huge_copy, HugeCopy::kSplit) << name;
  }
  EXPECT_EQ(rules("linux-5.18").huge_reuse, HugeReuse::kCount);
  for (const char* name : {"linux-5.19", "linux-6.1", "linux-6.15", "cowherd"}) {
    EXPECT_EQ(rules(name).huge_reuse, HugeReuse::kExclusive) << name;
  }
  EXPECT_EQ(rules("linux-6.15").huge_pins, HugePins::kWhole);
  EXPECT_EQ(rules("cowherd").huge_pins, HugePins::kEach);
}

}  // namespace
}  // namespace cowherd
