#include "spec/promise.hpp"

#include <gtest/gtest.h>

#include <cctype>
#include <set>
#include <string>

namespace cowherd::spec {
namespace {

constexpr Clause kClauses[] = {Clause::kNone,      Clause::kPrivate, Clause::kWritePin,    Clause::kReadPin,
                               Clause::kReference, Clause::kForce,   Clause::kBookkeeping, Clause::kAccess};
constexpr Harm kHarms[] = {Harm::kNone,      Harm::kStaleDma,    Harm::kLostDma, Harm::kLeak,
                           Harm::kLostWrite, Harm::kWrongResult, Harm::kGarbage};

/// A label that a test can write in finding(NAME).
bool is_label(const std::string& text) {
  for (const char c : text) {
    if (std::islower(static_cast<unsigned char>(c)) == 0 && c != '-') return false;
  }
  return !text.empty();
}

TEST(Promise, NamesAreDistinctLabels) {
  std::set<std::string> names;
  for (const Clause clause : kClauses) {
    if (clause == Clause::kNone) continue;
    EXPECT_TRUE(is_label(name_of(clause))) << name_of(clause);
    EXPECT_TRUE(names.insert(name_of(clause)).second) << name_of(clause);
  }
  for (const Harm harm : kHarms) {
    EXPECT_TRUE(is_label(label_of(harm))) << label_of(harm);
    EXPECT_TRUE(names.insert(label_of(harm)).second) << label_of(harm);
  }
  EXPECT_STREQ(name_of(Clause::kNone), "none");
}

TEST(Promise, LabelsAreTheNamesSpelledWithoutBlanks) {
  for (const Harm harm : kHarms) {
    std::string label;
    for (const char c : std::string(name_of(harm))) {
      label += c == ' ' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    EXPECT_EQ(label_of(harm), label);
  }
}

TEST(Promise, DescriptionsAreDistinctSentences) {
  std::set<std::string> sentences;
  for (const Clause clause : kClauses) {
    const std::string text = describe(clause);
    EXPECT_EQ(text.back(), '.');
    EXPECT_TRUE(sentences.insert(text).second) << text;
  }
}

TEST(Promise, HarmsMapToFindings) {
  const std::pair<Harm, const char*> table[] = {
      {Harm::kNone, "none"},
      {Harm::kStaleDma, "wrong COW"},
      {Harm::kLostDma, "wrong COW"},
      {Harm::kLeak, "missed COW"},
      {Harm::kLostWrite, "corruption"},
      {Harm::kGarbage, "corruption"},
      {Harm::kWrongResult, "wrong result"},
  };
  for (const auto& [harm, finding] : table) EXPECT_STREQ(finding_of(harm), finding);
}

TEST(Promise, ValuesOutsideTheEnumHaveAName) {
  EXPECT_STREQ(name_of(static_cast<Clause>(77)), "?");
  EXPECT_STREQ(name_of(static_cast<Harm>(77)), "?");
  EXPECT_STREQ(label_of(static_cast<Harm>(77)), "?");
  EXPECT_STREQ(describe(static_cast<Clause>(77)), "?");
  EXPECT_STREQ(finding_of(static_cast<Harm>(77)), "?");
}

}  // namespace
}  // namespace cowherd::spec
