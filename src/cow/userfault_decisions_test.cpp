#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"

namespace cowherd {
namespace {

/// That `member` is `before` in the rows before `first`, and `after` from it on.
template <class T>
void expect_change(T Rules::*member, const char* last, T before, const char* first, T after) {
  EXPECT_EQ(find_rules(last)->rules.*member, before) << last;
  EXPECT_EQ(find_rules(first)->rules.*member, after) << first;
}

TEST(UserfaultRules, ChangeWhereTheSourcesSay) {
  expect_change(&Rules::uffd_flush, "linux-5.11", UffdFlush::kAfterUnlock, "linux-5.12", UffdFlush::kBeforeUnlock);
  expect_change(&Rules::uffd_fork, "linux-5.13", UffdFork::kByParent, "linux-5.14", UffdFork::kByChild);
  expect_change(&Rules::uffd_continue, "linux-5.14", UffdContinue::kDirtyIfWritable, "linux-5.16",
                UffdContinue::kDirty);
  expect_change(&Rules::ksm_break, "linux-6.1", KsmBreak::kWriteFault, "linux-6.2", KsmBreak::kUnshare);
  expect_change(&Rules::uffd_wp_file, "linux-5.18", UffdWpFile::kRefuse, "linux-5.19", UffdWpFile::kMarker);
  expect_change(&Rules::uffd_wp_absent, "linux-6.3", UffdWpAbsent::kRefuse, "linux-6.4", UffdWpAbsent::kMarker);
  expect_change(&Rules::uffd_remap, "linux-6.12", UffdRemap::kKeep, "linux-6.13", UffdRemap::kDrop);
}

TEST(UserfaultRules, ChangeOnce) {
  // All rows of Linux but side branches are in the order of their releases.
  int changes = 0;
  const Rules* before = nullptr;
  for (const RuleRow& row : all_rows()) {
    if (row.id.front() != 'R') continue;
    if (before != nullptr) {
      changes += before->uffd_flush != row.rules.uffd_flush ? 1 : 0;
      changes += before->uffd_fork != row.rules.uffd_fork ? 1 : 0;
      changes += before->uffd_remap != row.rules.uffd_remap ? 1 : 0;
      changes += before->uffd_continue != row.rules.uffd_continue ? 1 : 0;
      changes += before->uffd_wp_file != row.rules.uffd_wp_file ? 1 : 0;
      changes += before->uffd_wp_absent != row.rules.uffd_wp_absent ? 1 : 0;
      changes += before->ksm_break != row.rules.ksm_break ? 1 : 0;
    }
    before = &row.rules;
  }
  EXPECT_EQ(changes, 7);
}

TEST(UserfaultRules, AreSafeInCowherds) {
  EXPECT_EQ(kCowherdRules.uffd_flush, UffdFlush::kBeforeUnlock);
  EXPECT_EQ(kCowherdRules.uffd_fork, UffdFork::kByChild);
  EXPECT_EQ(kCowherdRules.uffd_remap, UffdRemap::kDrop);
  EXPECT_EQ(kCowherdRules.uffd_wp_file, UffdWpFile::kMarker);
  EXPECT_EQ(kCowherdRules.uffd_wp_absent, UffdWpAbsent::kMarker);
  EXPECT_EQ(kCowherdRules.ksm_break, KsmBreak::kUnshare);
}

}  // namespace
}  // namespace cowherd
