#include "measure/report_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "measure/host.hpp"

namespace cowherd::measure {
namespace {

std::string header(const Report& report) {
  const auto mebibytes = [](std::uint64_t pages) { return pages * 4 / 1024; };
  std::string text = fmt::format(
      "this kernel: {}\nothers used {:.0f} % of the processors before, {:.0f} % after; {} rounds, in turn; "
      "fork maps {} MiB, faults {} MiB, scattered pins {} MiB\n",
      text_of(report.host), 100 * report.busy_before, 100 * report.busy_after, report.rounds,
      mebibytes(report.sizes.fork_pages), mebibytes(report.sizes.fault_pages), mebibytes(report.sizes.big_pages));
  if (const std::string pace = pace_text(report); !pace.empty()) text += pace + "\n";
  if (std::max(report.busy_before, report.busy_after) > kQuiet) {
    text += "Others were using this machine: figures are worse than they could be; ratios of one round still hold.\n";
  }
  return text;
}

}  // namespace

std::string number(double value) {
  if (value != 0 && std::abs(value) < 10) return fmt::format("{:.2f}", value);
  return std::abs(value) < 100 ? fmt::format("{:.1f}", value) : fmt::format("{:.0f}", value);
}

std::string median_text(const std::vector<double>& samples) {
  return samples.empty() ? "-" : number(spread_of(samples).median);
}

std::string ratio_text(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.empty() || a.size() != b.size()) return {};
  const Spread spread = spread_of(ratios(a, b));
  return fmt::format("{} [{}..{}]", number(spread.median), number(spread.least), number(spread.most));
}

std::vector<double> advantage(const Result& result) {
  const Rounds& rounds = result.rounds;
  if (!result.line->apart.empty() || rounds.ours.empty() || rounds.of_linux.size() != rounds.ours.size()) return {};
  return result.line->higher_is_better ? ratios(rounds.ours, rounds.of_linux) : ratios(rounds.of_linux, rounds.ours);
}

std::string_view name_of(Met met) {
  switch (met) {
    case Met::kYes:
      return "met";
    case Met::kNo:
      return "MISSED";
    case Met::kUnknown:
      break;
  }
  return "unknown";
}

std::string pace_text(const Report& report) {
  if (report.pace.here == 0) return {};
  return fmt::format(
      "this machine's pace: {:.2f} times as long as the one that the goals were set on (an atomic count of a 16-byte "
      "descriptor in order: {:.2f} ns here, {:.2f} there); goals are judged as written and at this pace, or at that of "
      "the "
      "line's own floor where it is known there",
      report.pace.factor(), report.pace.here, Pace::kThere);
}

std::string here_text(const Result& result, const std::vector<Bound>& written, const std::vector<Bound>& here) {
  std::vector<Bound> others;
  for (std::size_t i = 0; i < here.size(); ++i) {
    if (here[i].value != written[i].value) others.push_back(here[i]);
  }
  return others.empty() ? std::string() : fmt::format("x{:.2f}: {}", result.pace, text_of(others));
}

namespace {

/// In every round: a floor that can be passed is none.
bool below_floor(const Result& result) {
  const Rounds& rounds = result.rounds;
  if (!result.line->timed || !result.line->beside.empty()) return false;
  if (rounds.floor.empty() || rounds.floor.size() != rounds.ours.size()) return false;
  const Spread spread = spread_of(ratios(rounds.ours, rounds.floor));
  return result.line->higher_is_better ? spread.least > 1 : spread.most < 1;
}

}  // namespace

std::string remark(const Result& result) {
  if (!result.wrong.empty()) return fmt::format("the check of the work failed: {}", result.wrong);
  std::string text = result.ours_missing;
  const auto add = [&text](const std::string& what) { text += (text.empty() ? "" : "; ") + what; };
  if (!result.linux_missing.empty()) add("Linux: " + result.linux_missing);
  if (!result.floor_missing.empty()) add("floor: " + result.floor_missing);
  if (!result.line->apart.empty() && !result.rounds.of_linux.empty())
    add(fmt::format("{}: no ratio", result.line->apart));
  if (!result.line->beside.empty() && !result.rounds.floor.empty())
    add(fmt::format("in the floor's place: {}", result.line->beside));
  if (result.disturbed) add("not judged: others were using the processors");
  if (below_floor(result)) add("below its floor");
  return text;
}

std::string text_of(const Report& report) {
  constexpr std::string_view kRow =
      "{:<4} {:<58} {:<9} {:>8} {:>8} {:>8}  {:<20} {:<20} {:<34} {:<8} {:<26} {:<8} {}\n";
  std::string text = header(report) + "\n";
  text += fmt::format(fmt::runtime(kRow), "row", "what", "unit", "Linux", "floor", "ours", "ours/floor", "Linux/ours",
                      "must", "", "at this pace", "", "stretch");
  for (const Result& result : report.results) {
    const Line& line = *result.line;
    if (result.rounds.ours.empty()) {
      text += fmt::format("{:<4} {:<58} {:<9} {}: {}\n", line.row, line.what, line.unit,
                          result.wrong.empty() ? "not measured" : "FAILED", remark(result));
      continue;
    }
    const std::vector<double> better = advantage(result);
    std::string advantage_text;
    if (!better.empty()) {
      const Spread spread = spread_of(better);
      advantage_text = fmt::format("{} [{}..{}]", number(spread.median), number(spread.least), number(spread.most));
    }
    const Met stretch = result.stretch();
    const Met stretch_here = result.judged(result.stretch_here());
    text += fmt::format(
        fmt::runtime(kRow), line.row, line.what, line.unit, median_text(result.rounds.of_linux),
        median_text(result.rounds.floor), median_text(result.rounds.ours),
        ratio_text(result.rounds.ours, result.rounds.floor), advantage_text, text_of(line.must),
        line.must.empty() ? "" : name_of(result.must()), here_text(result, line.must, result.must_here()),
        line.must.empty() ? "" : name_of(result.judged(result.must_here())),
        line.stretch.empty()
            ? ""
            : fmt::format(
                  "{} {}{}", text_of(line.stretch), name_of(stretch),
                  stretch_here == stretch ? std::string() : fmt::format(", at this pace {}", name_of(stretch_here))));
    if (const std::string more = remark(result); !more.empty()) text += fmt::format("     {}\n", more);
    if (!line.published.empty()) text += fmt::format("     best published Linux: {}\n", line.published);
  }
  text += fmt::format(
      "\nMedians; of ratios, taken round by round, the median and the range. Linux/ours: how many times better ours is."
      "\n{}\n",
      kHonesty);
  return text;
}

std::string list_of(const std::vector<const Line*>& lines) {
  std::string text;
  for (const Line* line : lines) {
    text += fmt::format("{:<4} {:<58} {:<9} {}\n", line->row, line->what, line->unit,
                        line->must.empty() ? std::string("no goal")
                        : line->stretch.empty()
                            ? text_of(line->must)
                            : fmt::format("{}; stretch {}", text_of(line->must), text_of(line->stretch)));
  }
  return text;
}

}  // namespace cowherd::measure
