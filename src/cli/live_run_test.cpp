#include "cli/live_run.hpp"

#include <gtest/gtest.h>

#include <map>

#include "cli/running_kernel.hpp"
#include "cli/telling_tests.hpp"
#include "litmus/parser.hpp"

namespace cowherd::cli {
namespace {

/// One word of memory to each process, and one device that holds a word: the owner's, or, after a fork by a kernel that
/// forgets pins, the one of before.
class Kernel final : public live::Executor {
 public:
  explicit Kernel(bool forgets_pins) : forgets_pins_(forgets_pins) {}

  live::Answer begin(const litmus::Program&) override {
    words_ = {{0, 1}};
    held_.reset();
    return {};
  }
  live::Answer perform(std::uint8_t, std::uint8_t process, const litmus::Operation& op, std::int64_t value) override {
    switch (op.code) {
      case litmus::OpCode::kRead:
        return {Errno{0}, words_[process], {}};
      case litmus::OpCode::kWrite:
        words_[process] = value;
        return lost;
      case litmus::OpCode::kFork:
        words_[op.block] = words_[process];
        if (forgets_pins_ && pinned_) held_ = words_[process];
        return {};
      case litmus::OpCode::kPin:
        pinned_ = true;
        return {Errno{0}, 1, {}};
      case litmus::OpCode::kDmaRead:
        return {Errno{0}, held_.value_or(words_[0]), {}};
      default:
        return {};
    }
  }
  live::Answer exit(std::uint8_t) override { return {}; }
  live::Answer look(std::uint8_t process, const litmus::Place&) override { return {Errno{0}, words_[process], {}}; }
  live::Answer inspect(std::uint8_t, const litmus::Term& term) override {
    return {Errno{0}, term.kind == litmus::Term::Kind::kDiskWord ? disk : 5, {}};
  }
  live::Answer end_all() override {
    ended = true;
    return {};
  }

  live::Answer lost;
  /// What is on every word of the disk.
  std::int64_t disk = 0;
  bool ended = false;

 private:
  bool forgets_pins_;
  bool pinned_ = false;
  std::optional<std::int64_t> held_;
  std::map<std::uint8_t, std::int64_t> words_;
};

litmus::Program test_of_2020() {
  const litmus::ParseResult parsed = litmus::parse(
      "COW t\n{ x = anon(1); d = device; }\n"
      "P0() { pin(d, x, FOLL_WRITE | FOLL_LONGTERM); fork(P1); WRITE_ONCE(*x, 2); r0 = dma_read(d); }\n"
      "P1() { WRITE_ONCE(*x, 3); }\nexists (0:r0=1)",
      "t");
  EXPECT_TRUE(parsed.ok()) << parsed.to_text();
  return *parsed.program;
}

TEST(LiveRun, WhatDoesNotComeToTheDiskIsAFinding) {
  const litmus::ParseResult parsed = litmus::parse(
      "COW t\n{ f = file; x = f shared; }\nP0() { WRITE_ONCE(*x, 0); r0 = READ_ONCE(*x); }\n"
      "exists (finding(file))",
      "t");
  ASSERT_TRUE(parsed.ok()) << parsed.to_text();
  Kernel kernel(false);
  check::CheckResult result = run_live(*parsed.program, kernel, "live", {});
  EXPECT_TRUE(kernel.ended);
  // The fake's memory begins at 1 and is no file; what it says of the disk is what counts here.
  kernel.disk = 7;
  const check::CheckResult worse = run_live(*parsed.program, kernel, "live", {});
  EXPECT_EQ(worse.findings.size(), result.findings.size() + 1);
  EXPECT_EQ(result.positive, 0u);
  EXPECT_EQ(worse.positive, 1u) << "finding(file) is known before the condition is asked";
}

TEST(LiveRun, AKernelThatKeepsItsPromisesHasNoFinding) {
  Kernel kernel(false);
  const litmus::Program program = test_of_2020();
  const check::CheckResult result = run_live(program, kernel, "live", {});
  EXPECT_EQ(result.error, "");
  EXPECT_TRUE(result.findings.empty());
  EXPECT_EQ(result.stats.runs, 3u);
  EXPECT_EQ(result.negative, 3u);
  EXPECT_TRUE(result.coverage.exhaustive());
  ASSERT_EQ(result.outcomes.size(), 1u);
  EXPECT_EQ(result.outcomes[0].states, 3u) << "runs, not states";
}

TEST(LiveRun, AKernelThatForgetsPinsIsFound) {
  Kernel kernel(true);
  const litmus::Program program = test_of_2020();
  const check::CheckResult result = run_live(program, kernel, "live", {});
  ASSERT_EQ(result.findings.size(), 1u);
  const check::Finding& finding = result.findings[0];
  EXPECT_EQ(finding.subtype, "stale DMA");
  EXPECT_EQ(finding.trace.preemptions, 0u) << "the simplest run is shown";
  EXPECT_EQ(finding.trace.steps.back().expected, std::vector<std::int64_t>{2});
  EXPECT_EQ(result.positive, 3u);
  EXPECT_EQ(result.reference_positive + result.reference_negative, 0u);
}

TEST(LiveRun, OneScheduleOrALimitIsNotEverything) {
  Kernel kernel(false);
  const litmus::Program program = test_of_2020();
  const check::CheckResult one = run_live(program, kernel, "live", {.schedule = {0, 0, 1, 0, 0}});
  EXPECT_EQ(one.stats.runs, 1u);
  EXPECT_FALSE(one.coverage.exhaustive());
  const check::CheckResult two = run_live(program, kernel, "live", {.limit = 2});
  EXPECT_EQ(two.stats.runs, 2u);
  EXPECT_EQ(two.coverage.stopped_by, check::Bound::kRuns);
  EXPECT_NE(run_live(program, kernel, "live", {.schedule = {1}}).error, "");
}

TEST(LiveRun, AnAnswerThatNeverComesIsAnError) {
  Kernel kernel(false);
  kernel.lost.lost = "P0 hangs";
  const litmus::Program program = test_of_2020();
  EXPECT_EQ(run_live(program, kernel, "live", {}).error, "P0/T0: WRITE_ONCE(*x, 2): P0 hangs");
}

TEST(RunningKernel, TheNewestVersionThatIsNotNewerSpeaksForIt) {
  EXPECT_EQ(running_kernel_name("6.18.44-fc-v782"), "live-linux-6.18.44");
  EXPECT_EQ(rules_of_release("6.18.44-fc-v782").version->name, "linux-6.18");
  EXPECT_EQ(rules_of_release("5.10.0-28-amd64").row->id, "R7");
  EXPECT_EQ(rules_of_release("5.9.0-rc5").version->name, "linux-5.9-rc5");
  EXPECT_EQ(rules_of_release("6.1.140").version->name, "linux-6.1");
  EXPECT_EQ(rules_of_release("99.1").row->id, "linux-7.0");
  EXPECT_EQ(rules_of_release("1.0").row, nullptr);
}

TEST(TellingTests, EachIsATest) {
  for (const TellingTest& test : telling_tests()) {
    const litmus::Program program = program_of(test);
    EXPECT_EQ(program.name, test.name);
    EXPECT_FALSE(test.promise.empty());
  }
}

}  // namespace
}  // namespace cowherd::cli
