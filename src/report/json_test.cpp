#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "report/reporter.hpp"
#include "report/sample_test.hpp"

namespace cowherd::report {
namespace {

std::vector<nlohmann::json> lines_of(const ReportOptions& options, const std::vector<Judged>& runs,
                                     const std::string& bad_file = {}) {
  std::string text;
  const auto reporter = make_json_reporter([&text](std::string_view part) { text += part; }, options);
  Totals totals;
  totals.files = runs.size();
  reporter->begin(runs.size(), 1);
  for (const Judged& run : runs) {
    totals.add(run);
    reporter->run(run);
  }
  if (!bad_file.empty()) reporter->bad_file(bad_file, "no such file");
  reporter->end(totals);
  std::vector<nlohmann::json> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    lines.push_back(nlohmann::json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

TEST(JsonReporter, ARunIsAnObjectWithItsTrace) {
  const litmus::Program program = sample_program();
  check::CheckResult result = sample_result_with_finding(program);
  result.findings[0].remedies = {{"fork-pinned", "share", "copy-exclusive"}};
  const auto lines = lines_of({}, {judge("dir/a.litmus", program, result, {})});
  ASSERT_EQ(lines.size(), 2u);
  const nlohmann::json& run = lines[0];
  EXPECT_EQ(run["schema"], 1);
  EXPECT_EQ(run["type"], "run");
  EXPECT_EQ(run["file"], "dir/a.litmus");
  EXPECT_EQ(run["judgement"], "FAIL");
  EXPECT_EQ(run["observation"], "Always");
  EXPECT_EQ(run["states"][0]["values"]["0:r0"], "1");
  EXPECT_TRUE(run["reference"]["observation"].is_null());
  EXPECT_FALSE(run["coverage"].contains("seconds"));
  const nlohmann::json& finding = run["findings"][0];
  EXPECT_EQ(finding["kind"], "wrong COW");
  EXPECT_EQ(finding["promise"]["number"], 2);
  EXPECT_EQ(finding["parting"]["step"], 1);
  EXPECT_EQ(finding["remedies"][0]["remedy"], "copy-exclusive");
  EXPECT_EQ(finding["trace"]["steps"][0]["pages"][1]["references"], 3);
  EXPECT_EQ(finding["trace"]["steps"][0]["devices"][0]["frames"][0], 8);
  EXPECT_EQ(finding["trace"]["steps"][1]["reference"][0], "2");
  EXPECT_EQ(finding["trace"]["replay"], "0*2=0123456789abcdef");
  EXPECT_EQ(lines[1]["type"], "summary");
  EXPECT_EQ(lines[1]["differ"], 1);
}

TEST(JsonReporter, TimesAndTracesAreOptions) {
  const litmus::Program program = sample_program();
  const auto lines =
      lines_of({.traces = false, .times = true}, {judge("a", program, sample_result_with_finding(program), {})});
  EXPECT_EQ(lines[0]["coverage"]["seconds"], 0.25);
  EXPECT_FALSE(lines[0]["findings"][0].contains("trace"));
}

TEST(JsonReporter, NamesThatAreNotUtf8DoNotBreakIt) {
  const auto lines = lines_of({}, {}, "a\xff\"b");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["type"], "error");
  EXPECT_EQ(lines[0]["file"], "a\xef\xbf\xbd\"b");
}

}  // namespace
}  // namespace cowherd::report
