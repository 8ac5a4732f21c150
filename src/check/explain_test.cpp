#include "check/explain.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "check/program_test.hpp"

namespace cowherd::check {
namespace {

struct ExplainCase {
  const char* name;
  const char* rules;
  const char* program;
  const char* kind;
  const char* subtype;
  /// "decision=value" and the number of the step, counted from zero.
  const char* decision;
  std::size_t step;
};

class Partings : public testing::TestWithParam<ExplainCase> {};

TEST_P(Partings, NameTheDecision) {
  const ExplainCase& tested = GetParam();
  const litmus::Program program = program_of(tested.program);
  const CheckResult result = check(program, under(tested.rules));
  const auto finding = std::find_if(result.findings.begin(), result.findings.end(), [&](const Finding& candidate) {
    return candidate.subtype == tested.subtype && name_of(candidate.kind) == std::string(tested.kind);
  });
  ASSERT_NE(finding, result.findings.end());
  ASSERT_TRUE(finding->parting.has_value());
  EXPECT_EQ(finding->parting->decision_name + "=" + finding->parting->value_name, tested.decision);
  EXPECT_EQ(finding->parting->step, tested.step);
  const auto& steps = finding->trace.steps;
  EXPECT_TRUE(steps[tested.step].parted);
  EXPECT_NE(steps[tested.step].note, "");
  EXPECT_TRUE(steps.back().broke);
  EXPECT_FALSE(steps.back().expected.empty());
}

constexpr const char* kReadPinOfZeroPage = R"(COW t
{ x = anon; d = device; }
P0() { pin(d, x, FOLL_LONGTERM); WRITE_ONCE(*x, 2); r0 = dma_read(d); }
)";

constexpr const char* kVmsplice = R"(COW t
{ x = anon(1); d = device; }
P0() { fork(P1); WRITE_ONCE(*x, 2); }
P1() { get(d, x, 0); munmap(x); r0 = dma_read(d); }
)";

constexpr const char* kGetFork = R"(COW t
{ x = anon(1); d = device; }
P0() { get(d, x, FOLL_WRITE); fork(P1); WRITE_ONCE(*x, 2); r0 = dma_read(d); }
P1() { }
)";

constexpr const char* kProtect = R"(COW t
{ x = anon(1); d = device; }
P0() { pin(d, x, FOLL_WRITE); mprotect(x, PROT_READ); mprotect(x, PROT_READ|PROT_WRITE); WRITE_ONCE(*x, 2); r0 = dma_read(d); }
)";

constexpr const char* kDmaIntoChild = R"(COW t
{ x = anon(1); d = device; }
P0() { pin(d, x, FOLL_WRITE); fork(P1); dma_write(d, 3); }
P1() { r0 = READ_ONCE(*x); }
)";

INSTANTIATE_TEST_SUITE_P(
    All, Partings,
    testing::Values(
        ExplainCase{"ForkShares", "linux-5.9-rc5", kPinForkWrite.data(), "wrong COW", "stale DMA", "fork-pinned=share",
                    1},
        ExplainCase{"ZeroPage", "linux-5.19", kReadPinOfZeroPage, "wrong COW", "stale DMA", "gup-read=unshare-anon", 0},
        ExplainCase{"ReusedUnderAReader", "linux-5.7", kVmsplice, "missed COW", "leak", "reuse=mapcount", 3},
        ExplainCase{"GetIsNotCounted", "linux-6.1", kGetFork, "wrong COW", "stale DMA", "pin-count=pin", 1},
        ExplainCase{"CopyWithoutFork", "linux-5.9-rc5", kProtect, "wrong COW", "stale DMA", "reuse=count", 3},
        ExplainCase{"WriterOnASharedPage", "linux-5.8", kDmaIntoChild, "missed COW", "leak", "fork-pinned=share", 1}),
    [](const auto& tested) { return tested.param.name; });

TEST(Explain, ShowsFramesAsTheyPart) {
  const litmus::Program program = program_of(kPinForkWrite);
  const CheckResult result = check(program, under("linux-5.9-rc5"));
  ASSERT_EQ(result.findings.size(), 1u);
  const Finding& finding = result.findings[0];
  const Trace& trace = finding.trace;
  ASSERT_EQ(trace.steps.size(), 4u);
  EXPECT_EQ(trace.rules, "linux-5.9-rc5");
  EXPECT_EQ(trace.schedule, "0*4");
  EXPECT_EQ(trace.preemptions, 0u);
  ASSERT_EQ(trace.initial_pages.size(), 1u);
  const FrameNumber pinned = trace.initial_pages[0].frame;

  EXPECT_EQ(trace.steps[0].agent, "P0/T0");
  EXPECT_EQ(trace.steps[0].result, 1);
  EXPECT_EQ(trace.steps[0].pages[0].pins, 1u);
  EXPECT_TRUE(trace.steps[0].pages[0].exclusive);
  ASSERT_EQ(trace.steps[0].devices.size(), 1u);
  EXPECT_EQ(trace.steps[0].devices[0].frames, std::vector{pinned});
  EXPECT_TRUE(trace.steps[0].devices[0].writes);

  ASSERT_EQ(trace.steps[1].pages.size(), 2u);
  EXPECT_EQ(trace.steps[1].pages[1].name, "1:x");
  EXPECT_EQ(trace.steps[1].pages[0].mapcount, 2u);
  EXPECT_FALSE(trace.steps[1].pages[0].writable);

  EXPECT_NE(trace.steps[2].pages[0].frame, pinned);
  EXPECT_EQ(trace.steps[2].devices[0].frames, std::vector{pinned});
  EXPECT_EQ(trace.steps[3].result, 1);
  EXPECT_EQ(trace.steps[3].expected, std::vector<std::int64_t>{2});
  EXPECT_EQ(finding.clause, spec::Clause::kWritePin);
}

TEST(Explain, AnOrdinaryReferenceIsMarkedAsSuch) {
  const litmus::Program program = program_of(kGetFork);
  const CheckResult result = check(program, under("linux-6.1"));
  ASSERT_FALSE(result.findings.empty());
  EXPECT_TRUE(result.findings[0].by_get);
  EXPECT_NE(result.findings[0].remark, "");
}

}  // namespace
}  // namespace cowherd::check
