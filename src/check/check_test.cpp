#include "check/check.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "check/program_test.hpp"
#include "check/trace.hpp"
#include "litmus/generator.hpp"

namespace cowherd::check {
namespace {

/// Everything in a result that has to be the same each time.
std::string fingerprint(const CheckResult& result) {
  std::string text = result.test + " " + result.rules + " " + result.hash + "\n";
  for (const Outcome& outcome : result.outcomes) {
    for (const std::int64_t value : outcome.values) text += std::to_string(value) + " ";
    text += std::to_string(outcome.states) + " " + std::to_string(outcome.broken) + "\n";
  }
  text += std::to_string(result.positive) + " " + std::to_string(result.negative) + " " +
          std::to_string(result.stats.states) + " " + std::to_string(result.stats.transitions) + "\n";
  for (const Finding& finding : result.findings) text += write_trace(finding);
  return text;
}

constexpr std::string_view kTwoOutcomes = R"(COW t
{ x = anon(1); }
P0() { thread(P1); r0 = READ_ONCE(*x); }
P1() { WRITE_ONCE(*x, 2); }
)";

struct ConditionCase {
  const char* condition;
  litmus::Verdict observation;
  bool holds;
  std::uint64_t positive;
  std::uint64_t negative;
};

class Conditions : public testing::TestWithParam<ConditionCase> {};

TEST_P(Conditions, CountFinalStates) {
  const litmus::Program program = program_of(std::string(kTwoOutcomes) + GetParam().condition + "\n");
  const CheckResult result = check(program, under("cowherd"));
  EXPECT_EQ(result.observation(), GetParam().observation);
  EXPECT_EQ(result.holds(program.quantifier), GetParam().holds);
  EXPECT_EQ(result.positive, GetParam().positive);
  EXPECT_EQ(result.negative, GetParam().negative);
  // Under these rules nothing breaks, so the reference allows all of it.
  EXPECT_EQ(result.reference_positive, result.positive);
  EXPECT_EQ(result.reference_negative, result.negative);
}

INSTANTIATE_TEST_SUITE_P(
    All, Conditions,
    testing::Values(ConditionCase{"exists (0:r0=2)", litmus::Verdict::kSometimes, true, 1, 1},
                    ConditionCase{"exists (0:r0=3)", litmus::Verdict::kNever, false, 0, 2},
                    ConditionCase{"~exists (0:r0=3)", litmus::Verdict::kNever, true, 0, 2},
                    ConditionCase{"~exists (0:r0=2)", litmus::Verdict::kSometimes, false, 1, 1},
                    ConditionCase{"forall (0:r0=1 \\/ 0:r0=2)", litmus::Verdict::kAlways, true, 2, 0},
                    ConditionCase{"forall (0:r0=1)", litmus::Verdict::kSometimes, false, 1, 1},
                    ConditionCase{"filter (0:r0=1)\nexists (0:x=2)", litmus::Verdict::kAlways, true, 1, 0},
                    ConditionCase{"", litmus::Verdict::kNever, true, 0, 2}));

TEST(Check, ABreachCountsAndTheReferenceForbidsIt) {
  const litmus::Program program = program_of(kPinForkWrite);
  const CheckResult result = check(program, under("linux-5.9-rc5"));
  EXPECT_EQ(result.observation(), litmus::Verdict::kAlways);
  EXPECT_EQ(result.reference(), litmus::Verdict::kNever);
  EXPECT_EQ(result.outcomes.at(0).broken, 1u);
  ASSERT_EQ(result.findings.size(), 1u);
  EXPECT_EQ(result.findings[0].kind, FindingKind::kWrongCow);
  EXPECT_EQ(result.findings[0].subtype, "stale DMA");
}

TEST(Check, FindingsCanBeAskedFor) {
  const std::string program(kPinForkWrite.substr(0, kPinForkWrite.find("exists")));
  for (const char* name : {"stale-dma", "write-pin"}) {
    const auto text = program + "exists (finding(" + name + "))\n";
    EXPECT_EQ(check(program_of(text), under("linux-5.9-rc5")).observation(), litmus::Verdict::kAlways) << name;
    EXPECT_EQ(check(program_of(text), under("cowherd")).observation(), litmus::Verdict::kNever) << name;
  }
  const auto violation = program + "exists (finding(mapcount-imbalance))\n";
  EXPECT_EQ(check(program_of(violation), under("sketch")).observation(), litmus::Verdict::kAlways);
}

TEST(Check, StuckRunsHaveNoOutcome) {
  const litmus::Program program = program_of(R"(COW t
{ x = anon(1); d = device; }
P0() { pin(d, x, FOLL_WRITE); fork(P1); r0 = READ_ONCE(*x); }
P1() { }
)");
  const CheckResult result = check(program, under("wait"));
  EXPECT_TRUE(result.outcomes.empty());
  EXPECT_EQ(result.stuck, 1u);
  EXPECT_EQ(result.positive, 1u);
  ASSERT_EQ(result.findings.size(), 1u);
  EXPECT_EQ(result.findings[0].kind, FindingKind::kStuck);
  EXPECT_EQ(result.findings[0].subtype, "deadlock");
}

TEST(Check, StatelessSearchGivesTheSameVerdict) {
  const litmus::Program program = program_of(kPinForkWrite);
  CheckOptions options = under("linux-5.9-rc5");
  options.search = Search::kStateless;
  const CheckResult result = check(program, options);
  EXPECT_EQ(result.observation(), litmus::Verdict::kAlways);
  ASSERT_EQ(result.findings.size(), 1u);
  EXPECT_EQ(result.findings[0].subtype, "stale DMA");
}

class Batches : public testing::Test {
 protected:
  Batches() {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) programs_.push_back(litmus::random_program(seed));
    programs_.push_back(program_of(kPinForkWrite));
    for (const litmus::Program& program : programs_) {
      for (const char* rules : {"cowherd", "linux-5.9-rc5", "sketch"}) jobs_.push_back({&program, under(rules)});
    }
  }

  std::vector<std::string> run(unsigned threads) {
    std::vector<std::string> texts;
    run_all(jobs_, threads, [&](std::size_t number, CheckResult&& result) {
      EXPECT_EQ(number, texts.size());
      texts.push_back(fingerprint(result));
    });
    return texts;
  }

  std::vector<litmus::Program> programs_;
  std::vector<Job> jobs_;
};

TEST_F(Batches, GiveTheSameBytesOnAnyNumberOfThreads) {
  const auto alone = run(1);
  EXPECT_EQ(alone.size(), jobs_.size());
  EXPECT_EQ(run(4), alone);
  EXPECT_EQ(run(0), alone);
}

TEST_F(Batches, StopWhenInterrupted) {
  std::atomic<bool> interrupted{false};
  for (Job& job : jobs_) job.options.interrupted = &interrupted;
  std::size_t cut = 0;
  std::size_t delivered = 0;
  run_all(jobs_, 1, [&](std::size_t number, CheckResult&& result) {
    ++delivered;
    if (number == 3) interrupted = true;
    cut += result.coverage.stopped_by == Bound::kInterrupt ? 1 : 0;
  });
  EXPECT_EQ(delivered, jobs_.size());
  EXPECT_EQ(cut, jobs_.size() - 4);
}

TEST(RunAll, OfNothingDoesNothing) {
  run_all({}, 3, [](std::size_t, CheckResult&&) { FAIL(); });
}

}  // namespace
}  // namespace cowherd::check
