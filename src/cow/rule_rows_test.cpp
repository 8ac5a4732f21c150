#include "cow/rule_rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>
#include <string>

#include "cow/rules_text.hpp"

namespace cowherd {
namespace {

std::string difference_text(const Rules& from, const Rules& to) {
  std::string text;
  for (const Difference& d : diff(from, to)) {
    text += (text.empty() ? "" : " ") + std::to_string(static_cast<int>(d.decision)) + ":" + std::string(d.right);
  }
  return text;
}

const Rules& rules_of(std::string_view name) {
  const RuleRow* row = find_rules(name);
  EXPECT_NE(row, nullptr) << name;
  return row == nullptr ? kCowherdRules : row->rules;
}

std::string names_of_differences(std::string_view from, std::string_view to) {
  std::string text;
  for (const Difference& d : diff(rules_of(from), rules_of(to))) text += " " + std::string(d.right);
  return text;
}

struct Step {
  const char* from;
  const char* to;
  /// The new values, in the order of the decisions.
  const char* values;
};

TEST(RuleRows, EachRowChangesWhatTheHistorySays) {
  const Step steps[] = {
      {"R0", "R1", " mapcount counted mapcount unmap"},
      {"R1", "R1-rc5", " dirty-entry"},
      {"R1", "R2", " sleep"},
      {"R2", "R3", " dirty-after-fault late counts-late mapcount-anon mapcount"},
      {"R2", "linux-3.2", " late mapcount"},
      {"R3", "linux-4.15", " accessed huge"},
      {"linux-4.15", "linux-4.19", " early"},
      {"linux-4.19", "R3b", " refuse count"},
      {"R3b", "R3c", " biased"},
      {"R3c", "R4", " write-fault counts-first"},
      {"R4", "linux-5.6.19", " never"},
      {"R4", "R5", " count try-else-copy plain never counted split split count"},
      {"R5", "R6", " copy has-pinned protect-then-restore copy"},
      {"R6", "R7", " untouched"},
      {"R7", "R8", " counted write skip skip"},
      {"R7", "linux-5.10.7", " counted"},
      {"R8", "linux-5.12", " before-unlock"},
      {"R8", "R9", " migrate as-small before-unlock"},
      {"R9", "linux-5.14", " by-child"},
      {"linux-5.14", "linux-5.16", " dirty"},
      {"linux-5.16", "linux-5.17", " held"},
      {"linux-5.17", "R10", " skip count left unreferenced count"},
      {"R10", "R11",
       " exclusive copy-exclusive unshare-anon share exclusive kept try-share try-share exclusive as-small marker"},
      {"R11", "linux-5.19.6", " exclusive"},
      {"R11", "linux-6.0-rc1", " map-writable"},
      {"R11", "R12", " exclusive map-writable"},
      {"R12", "linux-6.1", " entry-and-table follow"},
      {"linux-6.1", "R13", " unshare-any refuse unshare"},
      {"R13", "linux-6.4", " marker"},
      {"linux-6.4", "R14", " uncounted refuse"},
      {"R14", "R15", " never"},
      {"R15", "linux-6.10", " whole"},
      {"R15", "R16", " whole drop owner whole first"},
      {"linux-6.13", "R16", " owner first"},
      {"R16", "linux-7.0", " each"},
      {"linux-7.0", "cowherd",
       " exact pin-and-get allow keep-dirty write at-once each exclusive dirty-if-writable page"},
      {"R5", "sketch", " copy writable-entry source-page none protection-only under-lock return-locked"},
      {"R6", "X2", " always share"},
      {"X2", "X3", " mapped-once-and-dirty atomic"},
      {"R2", "X4", " copy gup-mark pin-and-get"},
      {"X4", "X5", " has-pinned"},
      {"R2", "X6", " directed skip-referenced"},
      {"R8", "X7", " mapcount sleep unshare-always share left mapcount"},
      {"linux-2.6.16", "X8", ""},
      {"cowherd", "X9", " copy-all always"},
      {"page", "haiku", " mapcount block-writer"},
      {"page", "gvisor", " has-pinned"},
      {"none", "sv6", " never map-writable"},
      {"none", "serenity", " exclusive map-writable"},
      {"page", "entry", " mapcount copy-entry pin"},
      {"refuse", "wait", " wait plain"},
  };
  for (const Step& step : steps) {
    EXPECT_EQ(names_of_differences(step.from, step.to), step.values) << step.from << " to " << step.to;
  }
}

TEST(RuleRows, CowherdIsTheDefault) {
  EXPECT_EQ(rules_of("cowherd"), Rules{});
  EXPECT_EQ(all_rows().back().id, "cowherd");
  EXPECT_EQ(difference_text(rules_of("cowherd"), kCowherdRules), "");
}

TEST(RuleRows, NamesAreUnique) {
  std::set<std::string_view> names;
  for (const RuleRow& row : all_rows()) EXPECT_TRUE(names.insert(row.id).second) << row.id;
  for (const RuleRow& row : variant_rows()) EXPECT_TRUE(names.insert(row.id).second) << row.id;
  std::set<std::string_view> versions;
  for (const KernelAlias& version : linux_versions()) {
    EXPECT_TRUE(versions.insert(version.name).second) << version.name;
    EXPECT_TRUE(names.count(version.name) == 0 || version.row == version.name) << version.name;
  }
}

TEST(RuleRows, EveryRowSaysWhereItComesFrom) {
  for (const std::span<const RuleRow> rows : {all_rows(), variant_rows()}) {
    for (const RuleRow& row : rows) {
      SCOPED_TRACE(row.id);
      EXPECT_FALSE(row.title.empty());
      EXPECT_FALSE(row.notes.empty());
      std::istringstream commits{std::string(row.commits)};
      for (std::string commit; commits >> commit;) {
        EXPECT_EQ(commit.size(), 12U) << commit;
        EXPECT_TRUE(std::all_of(commit.begin(), commit.end(), [](unsigned char c) { return std::isxdigit(c) != 0; }));
      }
      if (!row.representative.empty()) {
        EXPECT_EQ(find_rules(row.representative), &row);
      }
    }
  }
}

TEST(RuleRows, AVariantDiffersFromItsRow) {
  for (const RuleRow& row : variant_rows()) {
    const RuleRow* base = find_rules(row.variant_of);
    ASSERT_NE(base, nullptr) << row.id;
    const std::size_t differences = diff(base->rules, row.rules).size();
    EXPECT_GE(differences, 1U) << row.id;
    EXPECT_LE(differences, 3U) << row.id;
  }
  for (const RuleRow& row : all_rows()) EXPECT_EQ(row.variant_of, "") << row.id;
}

TEST(RuleRows, PeersStandForTheirRows) {
  const std::pair<const char*, const char*> cases[] = {
      {"zircon", "refuse"}, {"haiku", "haiku"},   {"haiku-old", "wait"}, {"managarm", "page"},
      {"gvisor", "gvisor"}, {"freebsd", "entry"}, {"netbsd", "entry"},   {"openbsd", "entry"},
      {"xnu", "entry"},     {"sv6", "sv6"},       {"asterinas", "none"}, {"serenity", "serenity"},
  };
  EXPECT_EQ(peers().size(), std::size(cases));
  for (const auto& [name, id] : cases) {
    const RuleRow* row = find_rules(name);
    ASSERT_NE(row, nullptr) << name;
    EXPECT_EQ(row->id, id);
  }
}

TEST(RuleRows, UnknownNamesAreNotFound) {
  for (const char* name : {"", "R17", "linux", "linux-5", "linux-5.99", "5.9", "r7", "Cowherd", "linux-5.9 "}) {
    EXPECT_EQ(find_rules(name), nullptr) << name;
  }
}

TEST(RuleRows, MarksAreOneLetter) {
  EXPECT_EQ(mark_of(Evidence::kConfirmed), "C");
  EXPECT_EQ(mark_of(Evidence::kFromMemory), "M");
  EXPECT_EQ(mark_of(Evidence::kDerived), "D");
}

}  // namespace
}  // namespace cowherd
