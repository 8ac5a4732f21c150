#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "measure/report_text.hpp"

namespace cowherd::measure {
namespace {

using Json = nlohmann::json;

Figure nothing(const Load& /*load*/) { return Figure::measured(1); }

const Line kFork = {.row = "1",
                    .what = "fork <of> \"all\" & sundry",
                    .unit = "ns",
                    .of_linux = nothing,
                    .floor = nothing,
                    .ours = nothing,
                    .must = {{Bound::Kind::kAtMost, 7}, {Bound::Kind::kTimesBetterThanLinux, 8}},
                    .stretch = {{Bound::Kind::kAtMost, 4}}};
const Line kMissing = {.row = "2", .what = "not there", .unit = "ms"};

Report sample() {
  Report report;
  report.host = {.kernel = "Linux <test>", .processors = 2, .mitigations = {"meltdown"}};
  report.rounds = 3;
  report.results.push_back(
      {.line = &kFork, .rounds = {.of_linux = {80, 70, 90}, .floor = {3, 4, 2}, .ours = {7, 5, 6}}});
  report.results.push_back({.line = &kMissing, .ours_missing = "nobody built it"});
  report.results.push_back({.line = &kFork, .wrong = "ours: page 7 <is> gone"});
  report.plots.push_back({.name = "size",
                          .title = "Fork & size",
                          .x_label = "MiB",
                          .y_label = "ms",
                          .series = {{.name = "Linux", .points = {{16, 1.5}, {64, 6}}},
                                     {.name = "a <b>", .dashed = true, .points = {{16, 0.2}, {64, 0.9}}}}});
  return report;
}

/// The depth-first check of a document whose tags all have to be closed in order. Returns what is wrong, or nothing.
std::string malformed(const std::string& text) {
  std::vector<std::string> open;
  for (std::size_t at = text.find('<'); at != std::string::npos; at = text.find('<', at + 1)) {
    const std::size_t end = text.find('>', at);
    if (end == std::string::npos) return "a tag without end";
    const std::string tag = text.substr(at + 1, end - at - 1);
    if (tag.find('<') != std::string::npos) return "a tag in a tag: " + tag;
    if (tag.starts_with('!') || tag.ends_with('/')) continue;
    const std::string name = tag.substr(0, tag.find_first_of(" \n"));
    if (!tag.starts_with('/')) {
      open.push_back(name);
    } else if (open.empty() || open.back() != tag.substr(1)) {
      return "closed out of order: " + tag;
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : "not closed: " + open.back();
}

TEST(ReportJson, HoldsEverySampleTheRatiosAndTheVerdicts) {
  const Json json = Json::parse(json_of(sample()));
  EXPECT_EQ(json["schema"], 2);
  EXPECT_EQ(json["caveat"], kHonesty);
  ASSERT_EQ(json["rows"].size(), 3u);
  const Json& row = json["rows"][0];
  EXPECT_EQ(row["ours"]["samples"], (std::vector<double>{7, 5, 6}));
  EXPECT_EQ(row["linux"]["median"], 80);
  EXPECT_EQ(row["times_better_than_linux"]["median"], 14);
  EXPECT_EQ(row["must"]["as_written"]["met"], "met");
  EXPECT_EQ(row["must"]["as_written"]["bounds"].size(), 2u);
  EXPECT_EQ(row["stretch"]["as_written"]["met"], "MISSED");
  EXPECT_EQ(json["plots"][0]["series"][1]["points"][1][1], 0.9);
}

TEST(ReportJson, ARowThatIsMissingOrWrongHasNoFigures) {
  const Json json = Json::parse(json_of(sample()));
  EXPECT_EQ(json["rows"][1]["ours"]["missing"], "nobody built it");
  EXPECT_EQ(json["rows"][1]["must"]["as_written"]["met"], "unknown");
  EXPECT_EQ(json["rows"][2]["failed"], "ours: page 7 <is> gone");
  EXPECT_FALSE(json["rows"][2].contains("ours"));
}

TEST(ReportJson, SaysWhatMachineTheFiguresAreOf) {
  Report report = sample();
  report.pace.here = 5.66;
  const Json json = Json::parse(json_of(report));
  EXPECT_EQ(json["host"]["kernel"], "Linux <test>");
  EXPECT_EQ(json["host"]["processors"], 2);
  EXPECT_EQ(json["host"]["mitigations"], (std::vector<std::string>{"meltdown"}));
  EXPECT_DOUBLE_EQ(json["pace"]["factor"], 2);
  EXPECT_EQ(json["sizes"].size(), 4u);
}

TEST(ReportJson, GoalsAreJudgedAsWrittenAndAtThisPace) {
  Report report = sample();
  Result& result = report.results[0];
  result.pace = 2;
  result.rounds.ours = {13, 13, 13};
  result.rounds.of_linux = {130, 130, 130};
  const Json must = Json::parse(json_of(report))["rows"][0]["must"];
  EXPECT_EQ(must["as_written"]["met"], "MISSED");
  EXPECT_EQ(must["as_written"]["bounds"][0]["bound"], "<= 7");
  EXPECT_EQ(must["at_this_pace"]["met"], "met");
  EXPECT_EQ(must["at_this_pace"]["bounds"][0]["bound"], "<= 14");
  EXPECT_EQ(must["at_this_pace"]["bounds"][1]["bound"], ">= 8x Linux") << "a ratio is the same on every machine";
  const std::string text = text_of(report);
  EXPECT_NE(text.find("x2.00: <= 14"), std::string::npos);
  EXPECT_NE(html_of(report).find("x2.00: &lt;= 14: met"), std::string::npos);
}

TEST(ReportJson, WhatIsNoFloorIsNotCalledOne) {
  Line beside = kFork;
  beside.beside = "a classic fork";
  Report report = sample();
  report.results = {{.line = &beside, .rounds = {.of_linux = {}, .floor = {9}, .ours = {7}}}};
  const Json row = Json::parse(json_of(report))["rows"][0];
  EXPECT_FALSE(row.contains("floor"));
  EXPECT_EQ(row["beside"]["median"], 9);
  EXPECT_EQ(remark(report.results[0]), "in the floor's place: a classic fork");
}

TEST(ReportText, SaysTheCaveatTheReasonsAndTheVerdicts) {
  const std::string text = text_of(sample());
  EXPECT_NE(text.find(kHonesty), std::string::npos);
  EXPECT_NE(text.find("this kernel: Linux <test>"), std::string::npos);
  EXPECT_NE(text.find("not measured: nobody built it"), std::string::npos);
  EXPECT_NE(text.find("FAILED: the check of the work failed: ours: page 7"), std::string::npos);
  EXPECT_NE(text.find("14.0 [11.4..15.0]"), std::string::npos);
  EXPECT_NE(text.find("MISSED"), std::string::npos);
}

TEST(ReportText, ADisturbedRowIsNotJudged) {
  Report report = sample();
  report.results[0].disturbed = true;
  EXPECT_EQ(report.results[0].must(), Met::kUnknown);
  EXPECT_NE(text_of(report).find("not judged"), std::string::npos);
  EXPECT_EQ(Json::parse(json_of(report))["rows"][0]["must"]["as_written"]["met"], "unknown");
}

TEST(ReportText, WhatIsNotComparableHasNoRatioToLinux) {
  Line apart = kFork;
  apart.apart = "Linux's figure is by exception";
  Report report = sample();
  report.results = {{.line = &apart, .rounds = {.of_linux = {80}, .floor = {}, .ours = {7}}}};
  EXPECT_TRUE(advantage(report.results[0]).empty());
  EXPECT_NE(text_of(report).find("by exception: no ratio"), std::string::npos);
}

TEST(ReportText, AFigureBelowItsFloorIsSaid) {
  const Result below = {.line = &kFork, .rounds = {.of_linux = {}, .floor = {9, 8}, .ours = {7, 7}}};
  EXPECT_NE(remark(below).find("below its floor"), std::string::npos);
  const Result by_chance = {.line = &kFork, .rounds = {.of_linux = {}, .floor = {9, 6}, .ours = {7, 7}}};
  EXPECT_EQ(remark(by_chance).find("below its floor"), std::string::npos);
}

TEST(ReportHtml, IsWellFormedAndEscapesWhatItIsGiven) {
  const std::string page = html_of(sample());
  EXPECT_EQ(malformed(page), "");
  EXPECT_NE(page.find("fork &lt;of&gt;"), std::string::npos);
  EXPECT_NE(page.find("page 7 &lt;is&gt; gone"), std::string::npos);
  EXPECT_EQ(page.find("http", page.find("<body>")), page.rfind("http")) << "nothing but the name of the SVG namespace";
  EXPECT_NE(page.find(kHonesty), std::string::npos);
}

TEST(Svg, EveryPointIsWithinThePicture) {
  for (const bool logarithmic : {true, false}) {
    Plot plot = sample().plots[0];
    plot.logarithmic = logarithmic;
    plot.series[0].points.front().first = 0;
    const std::string svg = svg_of(plot);
    EXPECT_EQ(malformed(svg), "");
    int dots = 0;
    for (std::size_t at = svg.find("cx=\""); at != std::string::npos; at = svg.find("cx=\"", at + 1)) {
      const double x = std::stod(svg.substr(at + 4));
      const double y = std::stod(svg.substr(svg.find("cy=\"", at) + 4));
      EXPECT_TRUE(x >= 0 && x <= 760 && y >= 0 && y <= 420) << x << " " << y;
      ++dots;
    }
    EXPECT_EQ(dots, 4);
  }
}

}  // namespace
}  // namespace cowherd::measure
