#include "report/judged.hpp"

#include <gtest/gtest.h>

#include "report/sample_test.hpp"

namespace cowherd::report {
namespace {

using litmus::Verdict;

struct Case {
  const char* name;
  const char* expectations;
  const char* condition;
  std::uint64_t positive;
  std::uint64_t negative;
  bool finding;
  check::Bound bound;
  Standard standard;
  Judgement judgement;
};

constexpr check::Bound kAll = check::Bound::kNone;
constexpr Standard kReference = {};

Standard said(std::optional<Verdict> statement) {
  return {.by_statement = true, .statement = statement, .default_rules = false};
}

class Judging : public testing::TestWithParam<Case> {};

TEST_P(Judging, GivesTheJudgement) {
  const Case& c = GetParam();
  const litmus::Program program = sample_program(c.expectations, c.condition);
  check::CheckResult result = sample_result(c.positive, c.negative);
  result.coverage.stopped_by = c.bound;
  if (c.finding) result.findings.push_back(sample_finding(program));
  const Judged judged = judge("sample.litmus", program, result, c.standard);
  EXPECT_STREQ(name_of(judged.judgement), name_of(c.judgement)) << judged.reason;
  EXPECT_EQ(judged.reason.empty(), c.judgement == Judgement::kPass) << judged.reason;
}

constexpr const char* kNever = "(* Result: Never *)\n";
constexpr const char* kSometimes = "(* Result: Sometimes *)\n";
constexpr const char* kAlways = "(* Result: Always *)\n";
constexpr const char* kExists = "exists (0:r0=1)";
constexpr const char* kForall = "forall (0:r0=1)";
constexpr const char* kNotExists = "~exists (0:r0=1)";

INSTANTIATE_TEST_SUITE_P(
    ByReference, Judging,
    testing::Values(Case{"NeverSeen", kNever, kExists, 0, 2, false, kAll, kReference, Judgement::kPass},
                    Case{"NeverIsSeen", kNever, kExists, 1, 2, false, kAll, kReference, Judgement::kFail},
                    Case{"FindingBesideAGoodVerdict", kNever, kExists, 0, 2, true, kAll, kReference, Judgement::kFail},
                    Case{"SometimesIsNotAlways", kSometimes, kExists, 2, 0, false, kAll, kReference, Judgement::kFail},
                    Case{"AlwaysHolds", kAlways, kForall, 2, 0, false, kAll, kReference, Judgement::kPass},
                    Case{"NothingExpectedOfExists", "", kExists, 1, 1, false, kAll, kReference, Judgement::kPass},
                    Case{"ForallAsksByItself", "", kForall, 1, 1, false, kAll, kReference, Judgement::kFail},
                    Case{"NotExistsAsksByItself", "", kNotExists, 1, 1, false, kAll, kReference, Judgement::kFail},
                    Case{"NoConditionAsksForNoBreach", "", "", 1, 1, true, kAll, kReference, Judgement::kFail},
                    Case{"BoundBeforeNever", kNever, kExists, 0, 2, false, check::Bound::kStates, kReference,
                         Judgement::kInconclusive},
                    Case{"BoundAfterTheAnswer", kNever, kExists, 1, 2, false, check::Bound::kStates, kReference,
                         Judgement::kFail},
                    Case{"TimeBeforeAlways", kAlways, kForall, 2, 0, false, check::Bound::kTimeout, kReference,
                         Judgement::kTimeLimit},
                    Case{"SometimesIsSettledEarlyButFindingsAreNot", kSometimes, kExists, 1, 1, false,
                         check::Bound::kMemory, kReference, Judgement::kInconclusive},
                    Case{"Interrupted", kNever, kExists, 0, 1, false, check::Bound::kInterrupt, kReference,
                         Judgement::kInterrupted}),
    [](const auto& tested) { return tested.param.name; });

INSTANTIATE_TEST_SUITE_P(
    ByStatement, Judging,
    testing::Values(
        Case{"KnownToBreak", kNever, kExists, 1, 1, true, kAll, said(Verdict::kSometimes), Judgement::kExpectedFailure},
        Case{"AlwaysIsSometimesToASource", kNever, kExists, 1, 0, true, kAll, said(Verdict::kSometimes),
             Judgement::kExpectedFailure},
        Case{"SometimesIsNotAlwaysToASource", kNever, kExists, 1, 1, true, kAll, said(Verdict::kAlways),
             Judgement::kFail},
        Case{"KnownToBreakWithoutFinding", kNever, kExists, 1, 0, false, kAll, said(Verdict::kAlways),
             Judgement::kExpectedFailure},
        Case{"SaidToBreakAndDoesNot", kNever, kExists, 0, 1, false, kAll, said(Verdict::kSometimes),
             Judgement::kUnexpectedPass},
        Case{"SaidToHoldAndBreaks", kNever, kExists, 1, 0, true, kAll, said(Verdict::kNever), Judgement::kFail},
        Case{"SaidToHoldAndHolds", kNever, kExists, 0, 1, false, kAll, said(Verdict::kNever), Judgement::kPass},
        Case{"FindingBesideWhatIsSaid", kNever, kExists, 0, 1, true, kAll, said(Verdict::kNever),
             Judgement::kExpectedFailure},
        Case{"NothingSaid", kNever, kExists, 1, 0, true, kAll, said(std::nullopt), Judgement::kSkip},
        Case{"BoundBeforeTheAnswer", kNever, kExists, 0, 1, true, check::Bound::kStates, said(Verdict::kNever),
             Judgement::kInconclusive},
        Case{"DefaultRulesGoByTheResult", kNever, kExists, 1, 0, false, kAll,
             Standard{.by_statement = true, .statement = std::nullopt, .default_rules = true}, Judgement::kFail},
        Case{"DefaultRulesHaveNoFinding", kNever, kExists, 0, 1, true, kAll,
             Standard{.by_statement = true, .statement = Verdict::kNever, .default_rules = true}, Judgement::kFail}),
    [](const auto& tested) { return tested.param.name; });

TEST(Judged, AnErrorOfTheTestIsAnInputError) {
  const litmus::Program program = sample_program();
  check::CheckResult result = sample_result(0, 0);
  result.error = "the init block runs out of memory";
  const Judged judged = judge("sample.litmus", program, result, kReference);
  EXPECT_EQ(judged.judgement, Judgement::kError);
  EXPECT_EQ(status_of(judged.judgement), ExitStatus::kInput);
}

TEST(Judged, SaysWhatWasExpectedAndFound) {
  const litmus::Program program = sample_program();
  const Judged judged = judge("sample.litmus", program, sample_result_with_finding(program), kReference);
  EXPECT_EQ(judged.reason, "expected Never; wrong COW: stale DMA");
  EXPECT_EQ(judged.expected_by, "Result:");
}

}  // namespace
}  // namespace cowherd::report
