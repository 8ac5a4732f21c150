#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

#include "cow/rule_rows.hpp"

namespace cowherd {
namespace {

/// Numbers that order versions as they were released; a version without a candidate number sorts after all of its.
std::array<int, 4> key_of(std::string name) {
  name = name.substr(std::string("linux-").size());
  int rc = 1000;
  if (const std::size_t mark = name.find("-rc"); mark != std::string::npos) {
    rc = std::stoi(name.substr(mark + 3));
    name.resize(mark);
  }
  std::array<int, 3> parts{};
  std::sscanf(name.c_str(), "%d.%d.%d", &parts[0], &parts[1], &parts[2]);
  return {parts[0], parts[1], parts[2], rc};
}

const KernelAlias& version(std::string_view name) {
  for (const KernelAlias& alias : linux_versions()) {
    if (alias.name == name) return alias;
  }
  ADD_FAILURE() << "no version " << name;
  return linux_versions().front();
}

const RuleRow& row(std::string_view name) {
  const RuleRow* found = find_rules(name);
  EXPECT_NE(found, nullptr) << name;
  return found == nullptr ? all_rows().front() : *found;
}

TEST(LinuxVersions, GoFromOldToNew) {
  const KernelAlias* last = nullptr;
  for (const KernelAlias& alias : linux_versions()) {
    EXPECT_NE(find_rules(alias.row), nullptr) << alias.row;
    if (last != nullptr) {
      EXPECT_LT(key_of(std::string(last->name)), key_of(std::string(alias.name))) << alias.name;
    }
    last = &alias;
  }
}

TEST(LinuxVersions, NoVersionIsLeftOut) {
  const auto expect = [](const std::string& name) { EXPECT_NE(find_rules("linux-" + name), nullptr) << name; };
  for (int i = 12; i <= 39; ++i) expect("2.6." + std::to_string(i));
  for (int i = 0; i <= 19; ++i) expect("3." + std::to_string(i));
  for (int i = 0; i <= 20; ++i) expect("4." + std::to_string(i));
  for (int i = 0; i <= 19; ++i) expect("5." + std::to_string(i));
  for (int i = 0; i <= 19; ++i) expect("6." + std::to_string(i));
  expect("7.0");
  expect("7.1");
  for (int i = 1; i <= 8; ++i) expect("5.9-rc" + std::to_string(i));
}

TEST(LinuxVersions, StandForTheRowsOfTheHistory) {
  const std::pair<const char*, const char*> cases[] = {
      {"linux-2.6.12", "R0"},
      {"linux-2.6.13-rc5", "R1-rc5"},
      {"linux-2.6.13", "R1"},
      {"linux-2.6.28", "R1"},
      {"linux-2.6.29", "R2"},
      {"linux-3.10", "linux-3.2"},
      {"linux-4.8.2", "linux-3.2"},
      {"linux-4.8.3", "R3"},
      {"linux-4.9-rc1", "linux-3.2"},
      {"linux-4.9", "R3"},
      {"linux-4.14", "R3"},
      {"linux-4.18", "linux-4.15"},
      {"linux-5.0", "linux-4.19"},
      {"linux-5.1-rc4", "linux-4.19"},
      {"linux-5.1-rc5", "R3b"},
      {"linux-5.6", "R3b"},
      {"linux-5.7", "R3c"},
      {"linux-5.7.2", "R3c"},
      {"linux-5.7.3", "R4"},
      {"linux-5.8", "R4"},
      {"linux-5.9-rc4", "R4"},
      {"linux-5.9-rc5", "R5"},
      {"linux-5.9-rc7", "R5"},
      {"linux-5.9-rc8", "R6"},
      {"linux-5.9", "R7"},
      {"linux-5.10", "R7"},
      {"linux-5.11", "R8"},
      {"linux-5.13", "R9"},
      {"linux-5.17", "linux-5.17"},
      {"linux-5.18", "R10"},
      {"linux-5.19", "R11"},
      {"linux-6.0", "R12"},
      {"linux-6.1", "linux-6.1"},
      {"linux-6.2", "R13"},
      {"linux-6.4", "linux-6.4"},
      {"linux-6.5", "R14"},
      {"linux-6.8", "R14"},
      {"linux-6.9", "R15"},
      {"linux-6.12", "linux-6.10"},
      {"linux-6.14", "linux-6.13"},
      {"linux-6.15", "R16"},
      {"linux-6.19", "R16"},
      {"linux-7.1", "linux-7.0"},
      {"linux-6.0-rc3", "R12"},
      {"linux-5.10.7", "linux-5.10.7"},
      {"linux-5.6.19", "linux-5.6.19"},
      {"linux-5.19.6", "linux-5.19.6"},
      {"linux-6.0-rc2", "linux-6.0-rc1"},
  };
  for (const auto& [name, id] : cases) EXPECT_EQ(row(name).id, id) << name;
}

struct RangeCase {
  const char* range;
  const char* row;
  bool want;
};

TEST(Matches, RowsByNameAndByRepresentative) {
  const RangeCase cases[] = {
      {"R7", "R7", true},
      {"R7", "R8", false},
      {"linux-5.9", "R7", true},
      {"linux-5.10", "R7", true},
      {"linux-5.9", "R6", false},
      {"linux-5.9..", "R7", true},
      {"linux-5.9..", "R16", true},
      {"linux-5.9..", "R6", false},
      {"linux-5.10..", "R7", false},
      {"linux-6.0..", "R12", true},
      {"linux-5.8..", "R4", true},
      {"linux-5.7.3..", "R4", true},
      {"..linux-5.7.2", "R4", false},
      {"R4..", "R4", true},
      {"linux-4.8.3..", "R3", true},
      {"linux-4.9..", "R3", true},
      {"..linux-4.8", "R3", false},
      {"linux-5.1..", "R3b", true},
      {"..linux-5.8", "R4", true},
      {"..linux-5.8", "R0", true},
      {"..linux-5.8", "R5", false},
      {"linux-2.6.13..linux-4.8", "R1", true},
      {"linux-2.6.13..linux-4.8", "R2", true},
      {"linux-2.6.13..linux-4.8", "R1-rc5", false},
      {"R1..R3c", "R3", true},
      {"R1..R3c", "R4", false},
      {"..R4", "R4", true},
      {"R11..", "R10", false},
      {"R0, R5 , linux-5.19..", "R5", true},
      {"R0, R5 , linux-5.19..", "R0", true},
      {"R0, R5 , linux-5.19..", "R12", true},
      {"R0, R5 , linux-5.19..", "R4", false},
      {"linux-5.9 .. linux-5.17", "R9", true},
      {"..linux-7.1", "cowherd", false},
      {"cowherd", "cowherd", true},
      {"managarm", "page", true},
      {"haiku", "page", false},
      {"page", "haiku", false},
      {"linux-5.19.6", "R11", false},
      {"R11", "linux-5.19.6", false},
      {"linux-5.19..linux-6.0", "linux-5.19.6", true},
      {"R2..", "sketch", false},
      {"X8", "R1", false},
      {"", "R1", false},
      {"nonsense..", "R1", false},
      {"..", "R1", true},
  };
  for (const RangeCase& c : cases) EXPECT_EQ(matches(c.range, row(c.row)), c.want) << c.range << " and " << c.row;
}

TEST(Matches, TheRepresentativeIsTheFirstRelease) {
  const auto candidate = [](const KernelAlias& v) { return v.name.find("-rc") != std::string_view::npos; };
  const auto point = [](const KernelAlias& v) {
    const auto dots = std::count(v.name.begin(), v.name.end(), '.');
    return dots > (v.name.starts_with("linux-2.6.") ? 2 : 1);
  };
  for (const RuleRow& r : all_rows()) {
    if (r.representative.empty()) continue;
    std::string_view first;
    std::string_view first_release;
    for (const KernelAlias& v : linux_versions()) {
      if (v.row != r.id) continue;
      if (first.empty()) first = v.name;
      if (first_release.empty() && !candidate(v) && !point(v)) first_release = v.name;
    }
    EXPECT_EQ(r.representative, first_release.empty() ? first : first_release) << r.id;
  }
}

TEST(Matches, VersionsByTheirOwnPlace) {
  const RangeCase cases[] = {
      {"linux-5.10..", "linux-5.10", true},      {"linux-5.10..", "linux-5.9.1", false},
      {"..linux-5.8", "linux-5.9-rc1", false},   {"..R4", "linux-5.9-rc4", true},
      {"..R4", "linux-5.9-rc5", false},          {"linux-5.9-rc5", "linux-5.9-rc6", true},
      {"linux-5.9-rc5", "linux-5.9-rc8", false}, {"R5", "linux-5.9-rc7", true},
      {"linux-5.9..", "linux-5.9-rc8", false},   {"R11", "linux-5.19.6", false},
      {"linux-5.19..", "linux-5.19.6", true},
  };
  for (const RangeCase& c : cases) {
    EXPECT_EQ(matches(c.range, version(c.row)), c.want) << c.range << " and " << c.row;
  }
}

TEST(ProblemInRange, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"linux-5.99", "unknown rule set 'linux-5.99'; did you mean linux-5.9?"},
      {"5.9", "unknown rule set '5.9'; did you mean linux-5.9?"},
      {"R0,,R1", "a rule set is missing"},
      {"", "a rule set is missing"},
      {"..", "a range needs a version on at least one side of '..'"},
      {"cowherd..", "'cowherd' is not a Linux version and cannot bound a range"},
      {"haiku..", "'haiku' is not a Linux version and cannot bound a range"},
      {"linux-5.9..linux-5.8", "the range 'linux-5.9..linux-5.8' is empty"},
      {"linux-5.9..lunix-6.1", "unknown rule set 'lunix-6.1'; did you mean linux-6.1?"},
      {"qqqqqqqq", "unknown rule set 'qqqqqqqq'"},
  };
  for (const auto& [range, want] : cases) EXPECT_EQ(problem_in_range(range).value_or("fine"), want) << range;
  for (const char* range : {"R7", "linux-5.9..", "..R4", "R0, linux-5.9-rc5..linux-5.9-rc8", "sketch", "R5..R5"}) {
    EXPECT_EQ(problem_in_range(range).value_or("fine"), "fine") << range;
  }
}

}  // namespace
}  // namespace cowherd
