#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "check/check.hpp"
#include "check/explore.hpp"
#include "check/program_test.hpp"
#include "check/stateless.hpp"
#include "check/step.hpp"
#include "litmus/generator.hpp"
#include "litmus/printer.hpp"

// Checks of the search at the grain of steps against slower ways to the same answer: over the catalogue, as far as its
// tests are small enough, and over generated programs.

namespace cowherd::check {
namespace {

/// What a search saw of a program, without what only one kind of search can see.
struct SeenAtSteps {
  std::set<std::vector<std::int64_t>> outcomes;
  std::set<FindingKey> findings;
  bool stuck = false;

  bool operator==(const SeenAtSteps&) const = default;
};

SeenAtSteps seen(const Outcomes& outcomes, std::set<FindingKey> findings) {
  CheckResult result;
  outcomes.fill(result);
  SeenAtSteps all;
  for (const Outcome& outcome : result.outcomes) all.outcomes.insert(outcome.values);
  all.stuck = result.stuck != 0;
  findings.erase(livelock_key());
  all.findings = std::move(findings);
  return all;
}

struct Searched {
  SeenAtSteps seen;
  Coverage coverage;
  std::string error;
  std::uint64_t states = 0;
};

Searched stateful(const litmus::Program& program, const CheckOptions& options) {
  const Scene scene(program);
  Outcomes outcomes(program);
  const Exploration explored = Explorer().run(scene, options, &outcomes);
  std::set<FindingKey> findings;
  for (const auto& [key, at] : explored.found) findings.insert(key);
  return {seen(outcomes, std::move(findings)), explored.coverage, explored.error, explored.stats.states};
}

Searched stateless(const litmus::Program& program, const CheckOptions& options) {
  const Scene scene(program);
  Outcomes outcomes(program);
  StatelessSearch search;
  const std::string error = search.run(scene, options, &outcomes);
  return {seen(outcomes, search.found()), search.coverage(), error, search.runs()};
}

CheckOptions step_options(std::string_view rules) {
  CheckOptions options = under(rules);
  options.grain = litmus::Grain::kStep;
  return options;
}

std::vector<litmus::Program> catalogue() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(COWHERD_SOURCE_DIR "/litmus")) {
    if (entry.path().extension() == ".litmus") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<litmus::Program> programs;
  for (const auto& path : paths) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    programs.push_back(program_of(text.str()));
  }
  return programs;
}

std::vector<litmus::Program> generated(std::uint64_t first, std::uint64_t count) {
  litmus::GeneratorOptions generator;
  generator.min_operations = 3;
  generator.max_operations = 6;
  generator.max_blocks = 3;
  generator.fail_percent = 10;
  std::vector<litmus::Program> programs;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    programs.push_back(litmus::random_program(seed, generator));
  }
  return programs;
}

constexpr const char* kRules[] = {"cowherd", "linux-5.8", "linux-5.9-rc8", "linux-5.12", "linux-5.19"};

class StepGrain : public testing::Test {
 protected:
  void SetUp() override {
    if (!kFibersWork) GTEST_SKIP() << "ThreadSanitizer's shadow of a stack does not follow a restored one";
  }

  /// Compares the search with `slow`, which may give up. Returns whether it did not.
  static bool same(const litmus::Program& program, const CheckOptions& options, const Searched& slow) {
    EXPECT_EQ(slow.error, "") << litmus::print(program);
    const bool complete = slow.coverage.exhaustive() || slow.coverage.stopped_by == Bound::kPreemptions;
    if (!complete) return false;
    const Searched fast = stateful(program, options);
    EXPECT_EQ(fast.error, "");
    EXPECT_EQ(fast.seen, slow.seen) << options.rules_name << "\n" << litmus::print(program);
    return true;
  }
};

TEST_F(StepGrain, WhoWaitsForEverIsADeadlock) {
  const litmus::Program program = program_of(R"(COW t
{ x = anon(1); d = device; }
P0() { pin(d, x, FOLL_WRITE); fork(P1); unpin(d); }
P1() { }
)");
  EXPECT_TRUE(stateful(program, step_options("wait")).seen.findings.contains(deadlock_key()));
  EXPECT_TRUE(stateful(program, step_options("cowherd")).seen.findings.empty());
}

/// Which allocation fails is a choice like any other, at either grain.
TEST_F(StepGrain, AnyAllocationMayFail) {
  const litmus::Program program = program_of(R"(COW t
{ x = anon(1); }
P0() { r0 = fork(P1) fail_nth(any); WRITE_ONCE(*x, 2); }
P1() { r0 = READ_ONCE(*x); }
locations [0:r0; 1:r0;]
)");
  for (const litmus::Grain grain : {litmus::Grain::kOperation, litmus::Grain::kStep}) {
    CheckOptions options = under("cowherd");
    options.grain = grain;
    const CheckResult result = check(program, options);
    EXPECT_EQ(outcomes_text(program, result), "0:r0=-ENOMEM; 1:r0=0; | 0:r0=0; 1:r0=1;");
    EXPECT_TRUE(result.findings.empty());
    EXPECT_TRUE(result.coverage.exhaustive());
    // Fork allocates the child's tables and objects one by one; each of them is asked once.
    EXPECT_GT(result.stats.transitions, 10u);
  }
}

TEST_F(StepGrain, BoundsOnPreemptionsAreExact) {
  const litmus::Program program = program_of(R"(COW t
{ x = anon(1); }
P0() { thread(P1); fork(P2); WRITE_ONCE(*x, 2); r0 = READ_ONCE(*x); }
P1() { WRITE_ONCE(*x, 3); }
P2() { WRITE_ONCE(*x, 4); }
)");
  CheckOptions options = step_options("cowherd");
  std::uint64_t before = 0;
  for (std::uint32_t preemptions = 0;; ++preemptions) {
    options.preemptions = preemptions;
    const Searched bounded = stateful(program, options);
    ASSERT_LT(preemptions, 100u);
    EXPECT_GE(bounded.states, before);
    before = bounded.states;
    if (bounded.coverage.exhaustive()) break;
    EXPECT_EQ(bounded.coverage.stopped_by, Bound::kPreemptions);
    EXPECT_EQ(bounded.coverage.complete_below_preemptions, preemptions + 1);
  }
  options.preemptions = 1;
  EXPECT_LT(stateful(program, options).states, before);
  options.preemptions.reset();
  EXPECT_EQ(stateful(program, options).states, before);
}

/// Telling suspended operations apart by their whole stacks, and suspending them at every point, shows nothing else.
TEST_F(StepGrain, NothingLiveIsLeftOut) {
  int compared = 0;
  const auto compare = [&](const litmus::Program& program, const char* rules) {
    CheckOptions options = step_options(rules);
    options.raw = true;
    options.max_states = 4'000;
    const Searched raw = stateful(program, options);
    options.raw = false;
    options.max_states = 0;
    compared += same(program, options, raw) ? 1 : 0;
  };
  for (const litmus::Program& program : catalogue()) compare(program, "cowherd");
  EXPECT_GT(compared, 100);
  for (const char* rules : kRules) {
    for (const litmus::Program& program : generated(1, 60)) compare(program, rules);
  }
  EXPECT_GT(compared, 300);
}

/// Without a memory of states, and so without a hash or a declared local, the same is seen within the same bound.
TEST_F(StepGrain, EveryScheduleOneByOneShowsTheSame) {
  int compared = 0;
  const auto compare = [&](const litmus::Program& program, const char* rules, std::uint32_t preemptions) {
    CheckOptions options = step_options(rules);
    options.preemptions = preemptions;
    options.max_states = 400;
    const Searched slow = stateless(program, options);
    options.max_states = 0;
    compared += same(program, options, slow) ? 1 : 0;
  };
  for (const litmus::Program& program : catalogue()) compare(program, "cowherd", 1);
  EXPECT_GT(compared, 100);
  for (const char* rules : kRules) {
    for (const litmus::Program& program : generated(100, 60)) {
      compare(program, rules, 0);
      compare(program, rules, 2);
    }
  }
  EXPECT_GT(compared, 500);
}

/// In whose hands freed frames come back changes no outcome of a correct system.
TEST_F(StepGrain, SharesOfFramesHideNothingInOurRules) {
  for (const litmus::Program& program : generated(200, 60)) {
    CheckOptions options = step_options("cowherd");
    options.reuse = FrameReuse::kImmediate;
    options.max_states = 20'000;
    const Searched immediate = stateful(program, options);
    options.reuse = FrameReuse::kPools;
    options.max_states = 0;
    (void)same(program, options, immediate);
  }
}

TEST_F(StepGrain, EveryStepTwiceIsTheSame) {
  int explored = 0;
  for (const litmus::Program& program : generated(300, 60)) {
    for (const char* rules : {"cowherd", "linux-5.9-rc8"}) {
      for (const bool raw : {false, true}) {
        CheckOptions options = step_options(rules);
        options.run_twice = true;
        options.raw = raw;
        options.max_states = 1'000;
        const Searched searched = stateful(program, options);
        EXPECT_EQ(searched.error, "") << rules << "\n" << litmus::print(program);
        explored += searched.states > 3 ? 1 : 0;
      }
    }
  }
  EXPECT_GT(explored, 100);
}

/// A schedule that is run again in another world, with other addresses, goes through states with the same hashes; and
/// so does one that goes on from a state that was left and put back.
TEST_F(StepGrain, HashesAreOfTheStateAlone) {
  std::mt19937 random(11);
  World first;
  World second;
  Setting setting;
  setting.grain = litmus::Grain::kStep;
  std::size_t steps = 0;
  for (const litmus::Program& program : generated(400, 120)) {
    const Scene scene(program);
    setting.reuse = random() % 2 == 0 ? FrameReuse::kPools : FrameReuse::kImmediate;
    ASSERT_EQ(first.begin(scene, kCowherdRules, setting), "");
    ASSERT_EQ(second.begin(scene, kCowherdRules, setting), "");
    std::vector<std::vector<std::byte>> states;
    std::vector<std::uint64_t> hashes;
    Schedule schedule;
    for (bool went_on = true; went_on;) {
      ASSERT_EQ(first.hash(), second.hash());
      hashes.push_back(first.hash());
      const auto packed = first.pack();
      states.emplace_back(packed.begin(), packed.end());
      std::vector<Move> candidates;
      for (unsigned move = 0; move < 16; ++move) {
        if (has_move(first.moves(), static_cast<Move>(move))) candidates.push_back(static_cast<Move>(move));
      }
      std::shuffle(candidates.begin(), candidates.end(), random);
      went_on = false;
      for (const Move move : candidates) {
        if (!step(first, move).blocked) {
          ASSERT_FALSE(step(second, move).blocked);
          schedule.push_back(move);
          went_on = true;
          break;
        }
        first.restore(states.back());
      }
    }
    steps += schedule.size();
    for (std::size_t from = states.size(); from-- > 0;) {
      first.restore(states[from]);
      for (std::size_t i = from; i < schedule.size(); ++i) {
        ASSERT_EQ(first.hash(), hashes[i]);
        ASSERT_FALSE(step(first, schedule[i]).blocked);
      }
      ASSERT_EQ(first.hash(), hashes.back());
    }
  }
  EXPECT_GT(steps, 500u);
}

}  // namespace
}  // namespace cowherd::check
