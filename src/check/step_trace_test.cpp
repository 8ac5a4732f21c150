#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "check/program_test.hpp"
#include "check/replay.hpp"
#include "check/trace.hpp"
#include "check/tracer.hpp"

// Findings and traces of races inside operations.

namespace cowherd::check {
namespace {

/// 57efa1fe5957, with a thread that has no part in it.
constexpr std::string_view kFastPinAgainstFork = R"(COW t
{ x = anon(1); y = anon; d = device; }
P0() { thread(P1); thread(P3); pin(d, x, FOLL_WRITE | FOLL_FAST); WRITE_ONCE(*x, 2); r0 = dma_read(d); }
P1() { fork(P2); }
P2() { }
P3() { WRITE_ONCE(*y, 1); }
)";

CheckOptions without_sequence_count() {
  CheckOptions options = under("cowherd");
  options.rules.fork_sequence = ForkSequence::kNone;
  options.rules_name = "cowherd,fork-sequence=none";
  options.grain = litmus::Grain::kStep;
  return options;
}

class StepTrace : public testing::Test {
 protected:
  void SetUp() override {
    if (!kFibersWork) GTEST_SKIP() << "steps inside operations cannot be explored under ThreadSanitizer";
    CheckResult result = check(program_of(kFastPinAgainstFork), without_sequence_count());
    ASSERT_EQ(result.error, "");
    const auto found = std::find_if(result.findings.begin(), result.findings.end(),
                                    [](const Finding& finding) { return finding.subtype == "stale DMA"; });
    ASSERT_NE(found, result.findings.end());
    finding_ = *found;
  }

  Finding finding_;
};

TEST_F(StepTrace, TheTestIsMinimised) {
  EXPECT_EQ(finding_.program.operation_count(), 5u) << "thread, fork, pin, store, dma_read";
  EXPECT_TRUE(finding_.minimal);
  EXPECT_EQ(finding_.trace.preemptions, 3u);
}

TEST_F(StepTrace, OperationsBeginAndEnd) {
  const Trace& trace = finding_.trace;
  EXPECT_TRUE(trace.by_steps);
  std::size_t begun = 0;
  std::size_t ended = 0;
  for (const TraceStep& step : trace.steps) {
    begun += step.begins ? 1u : 0u;
    ended += step.ends ? 1u : 0u;
    EXPECT_EQ(step.ends, step.next.empty()) << step.operation;
    EXPECT_EQ(step.ends, step.point.empty()) << step.operation;
  }
  EXPECT_EQ(begun, 5u);
  EXPECT_EQ(ended, 5u);
  EXPECT_TRUE(trace.steps.back().broke);
}

TEST_F(StepTrace, TheDecisionIsTheOneWhoseChangeHelps) {
  ASSERT_TRUE(finding_.parting.has_value());
  EXPECT_EQ(finding_.parting->decision_name, "fork-sequence");
  EXPECT_EQ(finding_.parting->value_name, "none");
  const TraceStep& parted = finding_.trace.steps[finding_.parting->step];
  EXPECT_TRUE(parted.parted);
  EXPECT_TRUE(parted.ends) << "inside the fault the entry is gone for a moment anyhow";
  EXPECT_NE(parted.note.find("d still holds"), std::string::npos) << parted.note;
}

TEST_F(StepTrace, IsAFileThatShowsTheSameRunAgain) {
  std::string error;
  const auto file = read_trace(write_trace(finding_), error);
  ASSERT_TRUE(file.has_value()) << error;
  EXPECT_EQ(file->grain, litmus::Grain::kStep);
  EXPECT_EQ(file->reuse, FrameReuse::kPools);
  const ReplayResult again = replay(finding_.program, without_sequence_count(), file->replay);
  ASSERT_TRUE(again.ok()) << again.error;
  EXPECT_EQ(again.trace.replay, finding_.trace.replay);
  EXPECT_TRUE(std::any_of(again.findings.begin(), again.findings.end(),
                          [&](const Finding& finding) { return finding.subtype == finding_.subtype; }));
}

TEST_F(StepTrace, EverySwitchIsChecked) {
  const std::string& good = finding_.trace.replay;
  const std::size_t switches = static_cast<std::size_t>(std::count(good.begin(), good.end(), '='));
  EXPECT_EQ(switches, 5u) << good;
  std::size_t at = 0;
  for (std::size_t i = 0; i < switches; ++i) {
    at = good.find('=', at) + 1;
    std::string wrong = good;
    wrong[at] = wrong[at] == '0' ? '1' : '0';
    const ReplayResult result = replay(finding_.program, without_sequence_count(), wrong);
    EXPECT_FALSE(result.ok());
    EXPECT_TRUE(result.diverged);
  }
}

TEST(StepTraceChoice, IsPartOfTheSchedule) {
  if (!kFibersWork) GTEST_SKIP() << "steps inside operations cannot be explored under ThreadSanitizer";
  const litmus::Program program = program_of(R"(COW t
{ x = anon(1); }
P0() { r0 = fork(P1) fail_nth(any); }
P1() { }
)");
  const CheckOptions options = under("cowherd");
  const Scene scene(program);
  Tracer tracer(scene, options);
  ASSERT_EQ(tracer.begin(), "");
  while (tracer.step(move_of(0, 1)) || tracer.step(0)) {
  }
  const Trace& trace = tracer.trace();
  EXPECT_NE(trace.schedule.find("0!"), std::string::npos) << trace.schedule;
  EXPECT_TRUE(std::any_of(trace.steps.begin(), trace.steps.end(),
                          [](const TraceStep& step) { return step.choice == "the allocation fails"; }));
  EXPECT_EQ(trace.steps.back().result, -static_cast<std::int64_t>(Errno::kNoMemory));
  const ReplayResult again = replay(program, options, trace.replay);
  ASSERT_TRUE(again.ok()) << again.error;
  EXPECT_EQ(again.trace.replay, trace.replay);
}

}  // namespace
}  // namespace cowherd::check
