#include <gtest/gtest.h>

#include "report/reporter.hpp"
#include "report/sample_test.hpp"
#include "report/verdict_text.hpp"

namespace cowherd::report {
namespace {

std::string written(const ReportOptions& options, const std::vector<Judged>& runs) {
  std::string text;
  const auto reporter = make_text_reporter([&text](std::string_view part) { text += part; }, options);
  Totals totals;
  totals.files = runs.size();
  reporter->begin(runs.size(), 1);
  for (const Judged& run : runs) {
    totals.add(run);
    reporter->run(run);
  }
  reporter->end(totals);
  return text;
}

TEST(VerdictText, HasTheLinesThatScriptsLookFor) {
  const litmus::Program program = sample_program();
  const Judged judged = judge("sample.litmus", program, sample_result(1, 2), {});
  EXPECT_EQ(verdict_text(judged, true),
            "Test sample Allowed\n"
            "Rules R5\n"
            "States 2\n"
            "0:r0=1;  <- not in the reference\n"
            "0:r0=2;\n"
            "Ok\n"
            "Witnesses\n"
            "Positive: 1 Negative: 2\n"
            "Condition exists (0:r0=1)\n"
            "Observation sample Sometimes 1 2\n"
            "Reference Never 0 2\n"
            "Coverage exhaustive states=7 hash=64bit p(miss)<2e-18\n"
            "Expected Never (Result:): FAIL, expected Never\n"
            "Time sample 0.25\n"
            "Hash=00000000deadbeef\n");
}

TEST(VerdictText, KindAndAnswerFollowTheQuantifier) {
  struct Case {
    const char* condition;
    const char* kind;
    const char* answer;
  };
  for (const Case& c : {Case{"exists (0:r0=1)", "Allowed", "\nOk\n"}, Case{"~exists (0:r0=1)", "Forbidden", "\nNo\n"},
                        Case{"forall (0:r0=1)", "Required", "\nNo\n"}, Case{"", "Forbidden", "\nNo\n"}}) {
    const litmus::Program program = sample_program("", c.condition);
    const std::string text = verdict_text(judge("f", program, sample_result(1, 2), {}), false);
    EXPECT_TRUE(text.starts_with("Test sample " + std::string(c.kind) + "\n")) << text;
    EXPECT_NE(text.find(c.answer), std::string::npos) << text;
    EXPECT_EQ(text.find("Time"), std::string::npos) << text;
  }
}

TEST(VerdictText, SaysHowFarABoundedSearchCame) {
  check::CheckResult result = sample_result(0, 2);
  result.coverage = {.stopped_by = check::Bound::kMemory, .complete_below_preemptions = 3};
  EXPECT_EQ(coverage_text(result), "partial memory states=7 preemptions<=2 hash=64bit p(miss)<2e-18");
  result.coverage.complete_below_preemptions = 0;
  EXPECT_EQ(coverage_text(result), "partial memory states=7 hash=64bit p(miss)<2e-18");
}

TEST(TextReporter, ABatchIsALineToARunAndASum) {
  const litmus::Program program = sample_program();
  const std::string text = written({.compact = true}, {judge("a", program, sample_result(0, 2), {}),
                                                       judge("b", program, sample_result_with_finding(program), {})});
  EXPECT_EQ(text,
            "Observation sample Never 0 2  R5 ok\n"
            "Observation sample Always 1 0  R5 FAIL: expected Never; wrong COW: stale DMA\n"
            "Finding: wrong COW: stale DMA\n"
            "Broken: promise 2, write-pin: Owner and device see each other's writes.\n"
            "Summary: 2 tests, 2 runs: 1 as expected, 1 differ; 1 findings, 14 states\n");
}

TEST(TextReporter, QuietNamesOnlyWhatDiffers) {
  const litmus::Program program = sample_program();
  const std::string text = written({.compact = true, .quiet = true}, {judge("a", program, sample_result(0, 2), {}),
                                                                      judge("b", program, sample_result(1, 0), {})});
  EXPECT_TRUE(text.starts_with("Observation sample Always 1 0  R5 FAIL")) << text;
}

TEST(TextReporter, QuietCountsWhatIsSkippedByReason) {
  const litmus::Program program = sample_program();
  const auto skipped = [&program](const char* reason) {
    check::CheckResult result = sample_result(0, 0);
    result.skipped = reason;
    return judge("a", program, result, {});
  };
  const std::vector<Judged> runs = {skipped("needs swap (swapout(x))"), skipped("needs ksm (ksm_merge(x, y))"),
                                    skipped("needs ksm (ksm_unmerge(x))")};
  EXPECT_EQ(written({.compact = true, .quiet = true}, runs),
            "Skipped 2: needs ksm\nSkipped 1: needs swap\n"
            "Summary: 3 tests, 3 runs: 0 as expected, 3 skipped; 0 findings, 21 states\n");
  EXPECT_TRUE(written({.compact = true}, runs).starts_with("Skip sample R5: needs swap (swapout(x))\n"));
}

}  // namespace
}  // namespace cowherd::report
