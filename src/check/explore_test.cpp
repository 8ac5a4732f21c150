#include "check/explore.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "check/program_test.hpp"
#include "check/tracer.hpp"
#include "litmus/generator.hpp"

namespace cowherd::check {
namespace {

Exploration explore(const litmus::Program& program, const CheckOptions& options) {
  const Scene scene(program);
  Outcomes outcomes(program);
  return Explorer().run(scene, options, &outcomes);
}

TEST(Explorer, TakesEveryStepOfEveryStateOnce) {
  // Two blocks without anything in common: a grid of 4 x 4 states.
  const litmus::Program program = program_of(
      "COW t\n{ x = anon(1); }\nP0() { r0 = READ_ONCE(*x); r1 = READ_ONCE(*x); r2 = READ_ONCE(*x); }\n"
      "P1() { r0 = READ_ONCE(*x); r1 = READ_ONCE(*x); r2 = READ_ONCE(*x); }\n");
  const Exploration explored = explore(program, under("cowherd"));
  EXPECT_EQ(explored.stats.states, 16u);
  EXPECT_EQ(explored.stats.transitions, 24u);
  EXPECT_TRUE(explored.coverage.exhaustive());
}

TEST(Explorer, FindsWithAsFewPreemptionsAsItTakes) {
  // The device has to write between the two reads of a block that could have gone on: one preemption, no more.
  const litmus::Program program = program_of(R"(COW t
{ x = anon(1); d = device; }
P0() { pin(d, x, FOLL_WRITE); fork(P1); WRITE_ONCE(*x, 2); r0 = READ_ONCE(*x); r1 = READ_ONCE(*x); }
P1() { exec(); }
device D0() { dma_write(d, 3); }
)");
  const Exploration explored = explore(program, under("linux-5.9-rc5"));
  FindingKey lost;
  lost.clause = spec::Clause::kWritePin;
  lost.harm = spec::Harm::kLostDma;
  ASSERT_TRUE(explored.found.contains(lost));
  EXPECT_EQ(explored.found.at(lost).preemptions, 1u);
  // Pin, fork, write, DMA, read.
  EXPECT_EQ(explored.found.at(lost).schedule.size(), 5u);
}

class Levels : public testing::TestWithParam<litmus::Grain> {};

/// The levels of the search and a count made along the schedule itself agree, for every finding.
TEST_P(Levels, ArePreemptions) {
  const bool steps = GetParam() == litmus::Grain::kStep;
  if (steps && !kFibersWork) GTEST_SKIP() << "ThreadSanitizer's shadow of a stack does not follow a restored one";
  litmus::GeneratorOptions generator;
  generator.min_operations = steps ? 4 : 6;
  generator.max_operations = steps ? 7 : 11;
  generator.device_block_percent = 60;
  int compared = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const litmus::Program program = litmus::random_program(seed, generator);
    const Scene scene(program);
    for (const char* rules : {"linux-5.8", "linux-5.9-rc5", "sketch"}) {
      CheckOptions options = under(rules);
      options.grain = GetParam();
      if (steps) options.preemptions = 2;
      const Exploration explored = explore(program, options);
      for (const auto& [key, at] : explored.found) {
        Tracer tracer(scene, options);
        ASSERT_EQ(tracer.begin(), "");
        for (const Move move : at.schedule) ASSERT_TRUE(tracer.step(move));
        ASSERT_EQ(tracer.trace().preemptions, at.preemptions) << rules << " seed " << seed;
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, steps ? 20 : 100);
}

INSTANTIATE_TEST_SUITE_P(Grains, Levels, testing::Values(litmus::Grain::kOperation, litmus::Grain::kStep),
                         [](const auto& tested) {
                           return std::string(tested.param == litmus::Grain::kStep ? "Step" : "Operation");
                         });

TEST(Explorer, ReportsDeadlocks) {
  const litmus::Program program = program_of(R"(COW t
{ x = anon(1); d = device; }
P0() { pin(d, x, FOLL_WRITE); fork(P1); unpin(d); }
P1() { }
)");
  const Exploration explored = explore(program, under("wait"));
  ASSERT_TRUE(explored.found.contains(deadlock_key()));
  EXPECT_EQ(explored.found.at(deadlock_key()).schedule, Schedule({0}));
  EXPECT_FALSE(explore(program, under("cowherd")).found.contains(deadlock_key()));
}

class Bounds : public testing::Test {
 protected:
  // Many blocks that all write: far more states than the limits below.
  const litmus::Program program_ = program_of(R"(COW t
{ x = anon(1); y = anon(2); }
P0() { WRITE_ONCE(*x, 3); WRITE_ONCE(*x, 4); WRITE_ONCE(*x, 5); WRITE_ONCE(*x, 6); WRITE_ONCE(*x, 7); WRITE_ONCE(*x, 8); }
P1() { WRITE_ONCE(*x, 3); WRITE_ONCE(*x, 4); WRITE_ONCE(*x, 5); WRITE_ONCE(*x, 6); WRITE_ONCE(*x, 7); WRITE_ONCE(*x, 8); }
P2() { WRITE_ONCE(*x, 3); WRITE_ONCE(*x, 4); WRITE_ONCE(*x, 5); WRITE_ONCE(*x, 6); WRITE_ONCE(*x, 7); WRITE_ONCE(*x, 8); }
P3() { WRITE_ONCE(*x, 3); WRITE_ONCE(*x, 4); WRITE_ONCE(*x, 5); WRITE_ONCE(*x, 6); WRITE_ONCE(*x, 7); WRITE_ONCE(*x, 8); }
)");
};

TEST_F(Bounds, States) {
  CheckOptions options = under("cowherd");
  options.max_states = 500;
  const Exploration explored = explore(program_, options);
  EXPECT_EQ(explored.coverage.stopped_by, Bound::kStates);
  EXPECT_EQ(explored.stats.states, 500u);
}

TEST_F(Bounds, Memory) {
  CheckOptions options = under("cowherd");
  options.max_memory = 100'000;
  const Exploration explored = explore(program_, options);
  EXPECT_EQ(explored.coverage.stopped_by, Bound::kMemory);
  EXPECT_LT(explored.stats.peak_memory, 200'000u);
}

TEST_F(Bounds, Time) {
  CheckOptions options = under("cowherd");
  options.timeout = std::chrono::milliseconds(1);
  EXPECT_EQ(explore(program_, options).coverage.stopped_by, Bound::kTimeout);
}

TEST_F(Bounds, Interrupt) {
  CheckOptions options = under("cowherd");
  const std::atomic<bool> interrupted{true};
  options.interrupted = &interrupted;
  EXPECT_EQ(explore(program_, options).coverage.stopped_by, Bound::kInterrupt);
}

TEST_F(Bounds, NoneIsNeeded) {
  const Exploration explored = explore(program_, under("cowherd"));
  EXPECT_TRUE(explored.coverage.exhaustive());
  EXPECT_EQ(explored.stats.states, 7u * 7 * 7 * 7);
}

}  // namespace
}  // namespace cowherd::check
