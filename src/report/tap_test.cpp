#include <gtest/gtest.h>

#include "report/reporter.hpp"
#include "report/sample_test.hpp"

namespace cowherd::report {
namespace {

using Maker = std::unique_ptr<Reporter> (*)(Sink, const ReportOptions&);

/// One good file under two rule sets, one that is expected to fail and one that passes, and a bad file.
std::string batch(Maker maker) {
  const litmus::Program program = sample_program();
  const Standard known = {.by_statement = true, .statement = litmus::Verdict::kSometimes, .default_rules = false};
  std::string text;
  const auto reporter = maker([&text](std::string_view part) { text += part; }, {});
  Totals totals;
  totals.files = 2;
  totals.bad_files = 1;
  reporter->begin(2, 2);
  for (const Judged& run : {judge("a#1", program, sample_result_with_finding(program), known),
                            judge("a#1", program, sample_result(0, 1), {})}) {
    totals.add(run);
    reporter->run(run);
  }
  reporter->bad_file("b", "b:1:1: error: what\nis this\n");
  reporter->end(totals);
  return text;
}

TEST(Ktap, NestsRuleSetsInFiles) {
  EXPECT_EQ(batch(make_ktap_reporter),
            "KTAP version 1\n"
            "1..2\n"
            "  KTAP version 1\n"
            "  # Subtest: a 1\n"
            "  1..2\n"
            "  ok 1 R5 # XFAIL wrong COW: stale DMA\n"
            "  ok 2 R5\n"
            "ok 1 a 1\n"
            "# b:1:1: error: what\n"
            "# is this\n"
            "not ok 2 b # ERROR unreadable\n"
            "# Totals: pass:1 fail:0 xfail:1 xpass:0 skip:0 error:1\n");
}

TEST(Tap, MarksWhatIsExpectedToFailAsTodo) {
  EXPECT_EQ(batch(make_tap_reporter),
            "TAP version 13\n"
            "not ok 1 - a 1 R5 # TODO wrong COW: stale DMA\n"
            "ok 2 - a 1 R5\n"
            "not ok 3 - b\n"
            "# b:1:1: error: what\n"
            "# is this\n"
            "1..3\n");
}

TEST(Ktap, AFailureBringsItsStory) {
  const litmus::Program program = sample_program();
  std::string text;
  const auto reporter = make_ktap_reporter([&text](std::string_view part) { text += part; }, {});
  reporter->begin(1, 1);
  reporter->run(judge("a", program, sample_result_with_finding(program), {}));
  EXPECT_NE(text.find("\n  # Finding: wrong COW: stale DMA\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\n  not ok 1 R5\nnot ok 1 a\n"), std::string::npos) << text;
}

TEST(Ktap, AFileIsSkippedOnlyIfNothingIsKnownOfAnyRules) {
  const litmus::Program program = sample_program();
  const Standard unknown = {.by_statement = true, .statement = std::nullopt, .default_rules = false};
  std::string text;
  const auto reporter = make_ktap_reporter([&text](std::string_view part) { text += part; }, {});
  reporter->begin(2, 2);
  reporter->run(judge("a", program, sample_result(0, 1), unknown));
  reporter->run(judge("a", program, sample_result(0, 1), {}));
  reporter->run(judge("b", program, sample_result(0, 1), unknown));
  reporter->run(judge("b", program, sample_result(0, 1), unknown));
  EXPECT_NE(text.find("\nok 1 a\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\nok 2 b # SKIP"), std::string::npos) << text;
}

TEST(Ktap, ABoundIsNoPass) {
  const litmus::Program program = sample_program();
  check::CheckResult result = sample_result(0, 1);
  result.coverage.stopped_by = check::Bound::kTimeout;
  std::string text;
  const auto reporter = make_ktap_reporter([&text](std::string_view part) { text += part; }, {});
  reporter->begin(1, 1);
  reporter->run(judge("a", program, result, {}));
  EXPECT_NE(text.find("\n  not ok 1 R5 # TIMEOUT "), std::string::npos) << text;
}

}  // namespace
}  // namespace cowherd::report
