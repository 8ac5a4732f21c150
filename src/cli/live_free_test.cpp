#include "cli/live_free.hpp"

#include <gtest/gtest.h>

#include "cli/running_kernel.hpp"
#include "litmus/parser.hpp"
#include "live/plan.hpp"
#include "live/probe.hpp"

namespace cowherd::cli {
namespace {

litmus::Program program(const std::string& text) {
  const litmus::ParseResult parsed =
      litmus::parse("COW t\n{ x = anon(1); y = anon[3](1); z = anon[3](2); }\n" + text, "t");
  EXPECT_TRUE(parsed.ok()) << parsed.to_text();
  return *parsed.program;
}

check::CheckResult run_on_this_kernel(const litmus::Program& test, std::uint64_t runs) {
  check::CheckResult result;
  live::KernelWork work;
  const live::Plan plan = live::plan(test, live::probe());
  result.skipped = plan.skip;
  if (!result.skipped.empty()) return result;
  live::Stage stage(work, std::chrono::seconds(10), live::Stage::Processors::kAll);
  result.error = stage.open(test, plan.devices, plan.uses);
  if (!result.error.empty()) return result;
  return run_free(test, stage, rules_of_release(live::kernel_release()), {.runs = runs});
}

TEST(FreeRun, EveryRunIsCountedAndWhatMayBeIsNoFinding) {
  const check::CheckResult result = run_on_this_kernel(
      program("P0() { thread(P1); WRITE_ONCE(*x, 2); }\nP1() { r0 = READ_ONCE(*x); }\nexists (1:r0=2)"), 40);
  ASSERT_EQ(result.error, "");
  EXPECT_EQ(result.stats.runs, 40u);
  EXPECT_EQ(result.positive + result.negative, 40u);
  EXPECT_TRUE(result.findings.empty());
  EXPECT_TRUE(result.remarks.empty());
  EXPECT_FALSE(result.coverage.exhaustive());
}

TEST(FreeRun, AnEndThatNoOrderComesToIsAFinding) {
  // mremap/move-with-hole: what was mapped where a hole comes to lie stays, since Linux 6.17 (docs/findings.md).
  const check::CheckResult result = run_on_this_kernel(
      program(
          "P0() { munmap(y[1]); thread(P1); r0 = mremap(y, z, MREMAP_MAYMOVE | MREMAP_FIXED); r1 = READ_ONCE(z[1]); }\n"
          "P1() { r0 = READ_ONCE(*x); }\nexists (0:r1=2)"),
      20);
  ASSERT_EQ(result.error, "");
  if (result.positive == 0) GTEST_SKIP() << "this kernel does not show it";
  ASSERT_EQ(result.findings.size(), 1u);
  EXPECT_NE(result.findings[0].sentence.find("0:r1=2"), std::string::npos);
  EXPECT_NE(result.findings[0].remark.find("P0: munmap(y[1]) -> 0"), std::string::npos);
  EXPECT_EQ(result.reference_positive, 0u);
}

TEST(FreeRun, WhereThereIsNoTimeToLookNothingIsSaid) {
  const litmus::Program test = program("P0() { thread(P1); WRITE_ONCE(*x, 2); }\nP1() { r0 = READ_ONCE(*x); }");
  live::KernelWork work;
  live::Stage stage(work, std::chrono::seconds(10), live::Stage::Processors::kAll);
  ASSERT_EQ(stage.open(test, {live::DevicePlan{}}), "");
  const std::atomic<bool> interrupted = true;
  const check::CheckResult result =
      run_free(test, stage, rules_of_release("6.12"), {.runs = 10, .interrupted = &interrupted});
  EXPECT_EQ(result.stats.runs, 0u);
  EXPECT_EQ(result.coverage.stopped_by, check::Bound::kInterrupt);
}

TEST(FreeRun, APromiseNeedsAnOrder) {
  EXPECT_NE(problem_of_free_run(program("P0() { WRITE_ONCE(*x, 2); }\nexists (finding(lost-write))")), "");
  EXPECT_EQ(problem_of_free_run(program("P0() { WRITE_ONCE(*x, 2); }\nexists (0:x=2)")), "");
}

}  // namespace
}  // namespace cowherd::cli
