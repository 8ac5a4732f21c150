#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "check/check.hpp"
#include "check/explore.hpp"
#include "check/stateless.hpp"
#include "cow/rule_rows.hpp"
#include "litmus/generator.hpp"
#include "litmus/printer.hpp"

namespace cowherd::check {
namespace {

struct Seen {
  std::set<std::vector<std::int64_t>> outcomes;
  std::set<FindingKey> findings;
  bool stuck = false;

  bool operator==(const Seen&) const = default;
};

Seen seen(const Outcomes& outcomes) {
  CheckResult result;
  outcomes.fill(result);
  Seen all;
  for (const Outcome& outcome : result.outcomes) all.outcomes.insert(outcome.values);
  all.stuck = result.stuck != 0;
  return all;
}

struct GeneratorCase {
  std::string name;
  litmus::GeneratorOptions options;
  std::uint64_t first_seed;
  std::uint64_t seeds;
  /// So many comparisons must have something to disagree about.
  std::uint64_t least_findings;
};

class BothSearches : public testing::TestWithParam<GeneratorCase> {};

/// The two searches share the steps and nothing else: what they report has to be the same.
TEST_P(BothSearches, SeeTheSame) {
  std::uint64_t compared = 0;
  std::uint64_t with_findings = 0;
  for (std::uint64_t seed = GetParam().first_seed; seed < GetParam().first_seed + GetParam().seeds; ++seed) {
    const litmus::Program program = litmus::random_program(seed, GetParam().options);
    const Scene scene(program);
    if (scene.fails_by_choice() && !kFibersWork) continue;
    for (const char* name :
         {"cowherd", "linux-2.6.12", "linux-5.8", "linux-5.9-rc5", "linux-5.12", "sketch", "haiku"}) {
      const RuleRow* row = find_rules(name);
      ASSERT_NE(row, nullptr) << name;
      CheckOptions options;
      options.rules = row->rules;
      StatelessSearch stateless;
      Outcomes runs(program);
      options.max_states = 1'500;
      ASSERT_EQ(stateless.run(scene, options, &runs), "");
      if (!stateless.coverage().exhaustive()) continue;
      options.max_states = 0;
      Explorer explorer;
      Outcomes states(program);
      const Exploration explored = explorer.run(scene, options, &states);
      ASSERT_TRUE(explored.coverage.exhaustive());
      Seen slow = seen(runs);
      slow.findings = stateless.found();
      Seen fast = seen(states);
      for (const auto& [key, at] : explored.found) fast.findings.insert(key);
      ASSERT_EQ(slow, fast) << name << " seed " << seed << "\n" << litmus::print(program);
      ++compared;
      with_findings += fast.findings.empty() ? 0 : 1;
    }
  }
  EXPECT_GT(compared, GetParam().seeds * 4);
  EXPECT_GE(with_findings, GetParam().least_findings);
}

litmus::GeneratorOptions longer() {
  litmus::GeneratorOptions options;
  options.min_operations = 8;
  options.max_operations = 13;
  options.max_blocks = 4;
  return options;
}

litmus::GeneratorOptions with_failures() {
  litmus::GeneratorOptions options;
  options.fail_percent = 30;
  options.max_operations = 10;
  return options;
}

litmus::GeneratorOptions with_locks() {
  litmus::GeneratorOptions options;
  options.weights[static_cast<std::size_t>(litmus::OpCode::kLockPage)] = 8;
  options.weights[static_cast<std::size_t>(litmus::OpCode::kUnlockPage)] = 6;
  options.max_operations = 7;
  return options;
}

litmus::GeneratorOptions with_devices() {
  litmus::GeneratorOptions options;
  options.device_block_percent = 60;
  options.max_operations = 8;
  options.max_blocks = 2;
  return options;
}

INSTANTIATE_TEST_SUITE_P(Random, BothSearches,
                         testing::Values(GeneratorCase{"Ordinary", {}, 1, 400, 20},
                                         GeneratorCase{"Long", longer(), 500, 200, 20},
                                         GeneratorCase{"Failures", with_failures(), 1000, 200, 10},
                                         GeneratorCase{"PageLocks", with_locks(), 2000, 200, 6},
                                         GeneratorCase{"DeviceBlocks", with_devices(), 3000, 400, 10}),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace cowherd::check
