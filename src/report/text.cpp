#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "report/reporter.hpp"
#include "report/verdict_text.hpp"
#include "report/whole_text.hpp"

namespace cowherd::report {
namespace {

class TextReporter final : public Reporter {
 public:
  TextReporter(Sink sink, const ReportOptions& options) : sink_(std::move(sink)), options_(options) {}

  void begin(std::size_t, std::size_t) override {}

  void run(const Judged& judged) override {
    const bool as_expected = status_of(judged.judgement) == ExitStatus::kExpected;
    seconds_ += judged.result.stats.seconds;
    if (options_.quiet && as_expected) return;
    if (options_.quiet && options_.compact && judged.judgement == Judgement::kSkip) {
      // Which statement it is about stands behind in brackets.
      ++skipped_[judged.reason.substr(0, judged.reason.find(" ("))];
      return;
    }
    std::string text = options_.compact ? observation_line(judged) : whole_text(judged, options_) + '\n';
    // Of what is known to be broken, a line is enough in a batch.
    if (options_.compact && !as_expected) text += findings_text(judged, false);
    sink_(text);
  }

  void bad_file(const std::string& file, const std::string&) override { sink_(fmt::format("Error {}\n", file)); }

  void end(const Totals& totals) override {
    std::vector<std::pair<std::string, std::size_t>> reasons(skipped_.begin(), skipped_.end());
    std::stable_sort(reasons.begin(), reasons.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    for (const auto& [reason, count] : reasons) sink_(fmt::format("Skipped {}: {}\n", count, reason));
    if (totals.files + totals.bad_files < 2 && totals.runs < 2) return;
    std::string text = fmt::format("Summary: {} tests, {} runs: {} as expected", totals.files, totals.runs,
                                   totals.passed + totals.expected_failures);
    const auto part = [&text](std::size_t count, const char* words) {
      if (count != 0) text += fmt::format(", {} {}", count, words);
    };
    part(totals.expected_failures, "of them expected failures");
    part(totals.differ, "differ");
    part(totals.skipped, "skipped");
    part(totals.unfinished, "unfinished");
    part(totals.errors, "could not run");
    part(totals.bad_files, "files in error");
    text += fmt::format("; {} findings, {} states", totals.findings, totals.states);
    if (options_.times && seconds_ > 0) {
      text +=
          fmt::format(", {:.2f} s of search, {:.0f} states/s", seconds_, static_cast<double>(totals.states) / seconds_);
    }
    sink_(text + '\n');
  }

 private:
  Sink sink_;
  ReportOptions options_;
  /// Of a quiet batch: how many runs were skipped for each reason.
  std::map<std::string, std::size_t> skipped_;
  double seconds_ = 0;
};

}  // namespace

std::unique_ptr<Reporter> make_text_reporter(Sink sink, const ReportOptions& options) {
  return std::make_unique<TextReporter>(std::move(sink), options);
}

}  // namespace cowherd::report
