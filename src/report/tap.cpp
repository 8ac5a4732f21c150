#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "report/reporter.hpp"
#include "report/whole_text.hpp"

namespace cowherd::report {
namespace {

/// A description ends where a '#' or the line does.
std::string plain(std::string_view text) {
  std::string clean(text);
  for (char& c : clean) {
    if (c == '#' || static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return clean;
}

/// Every line behind `prefix`.
std::string prefixed(std::string_view text, std::string_view prefix) {
  std::string out;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    out += fmt::format("{}{}\n", prefix, line);
  }
  return out;
}

std::string details(const Judged& judged, const ReportOptions& options) {
  return judged.result.error.empty() ? whole_text(judged, options) : judged.result.error;
}

bool is_ok(Judgement judgement) {
  const ExitStatus status = status_of(judgement);
  return status == ExitStatus::kExpected || status == ExitStatus::kSkipped;
}

/// " # XFAIL why", or nothing.
std::string ktap_directive(const Judged& judged) {
  const std::string reason = plain(judged.reason);
  switch (judged.judgement) {
    case Judgement::kExpectedFailure:
      return fmt::format(" # XFAIL {}", reason);
    case Judgement::kSkip:
      return fmt::format(" # SKIP {}", reason);
    case Judgement::kTimeLimit:
      return fmt::format(" # TIMEOUT {}", reason);
    case Judgement::kInconclusive:
    case Judgement::kInterrupted:
    case Judgement::kError:
      return fmt::format(" # ERROR {}", reason);
    case Judgement::kPass:
    case Judgement::kFail:
    case Judgement::kUnexpectedPass:
      break;
  }
  return {};
}

/// A nested test to each rule set; the runs of a file follow each other.
class KtapReporter final : public Reporter {
 public:
  KtapReporter(Sink sink, const ReportOptions& options) : sink_(std::move(sink)), options_(options) {}

  void begin(std::size_t files, std::size_t rule_sets) override {
    rule_sets_ = rule_sets;
    sink_(fmt::format("KTAP version 1\n1..{}\n", files));
  }

  void run(const Judged& judged) override {
    if (in_file_ == 0) {
      file_ok_ = true;
      file_skipped_ = true;
      sink_(fmt::format("  KTAP version 1\n  # Subtest: {}\n  1..{}\n", plain(judged.file), rule_sets_));
    }
    ++in_file_;
    const bool ok = is_ok(judged.judgement);
    file_ok_ = file_ok_ && ok;
    file_skipped_ = file_skipped_ && judged.judgement == Judgement::kSkip;
    std::string text;
    if (!ok) text = prefixed(details(judged, options_), "  # ");
    text += fmt::format("  {} {} {}{}\n", ok ? "ok" : "not ok", in_file_, plain(judged.result.rules),
                        ktap_directive(judged));
    sink_(text);
    if (in_file_ < rule_sets_) return;
    in_file_ = 0;
    sink_(fmt::format("{} {} {}{}\n", file_ok_ ? "ok" : "not ok", ++number_, plain(judged.file),
                      file_skipped_ ? " # SKIP nothing is known of these rules" : ""));
  }

  void bad_file(const std::string& file, const std::string& message) override {
    sink_(prefixed(message, "# ") + fmt::format("not ok {} {} # ERROR unreadable\n", ++number_, plain(file)));
  }

  void end(const Totals& totals) override {
    sink_(fmt::format("# Totals: pass:{} fail:{} xfail:{} xpass:0 skip:{} error:{}\n", totals.passed, totals.differ,
                      totals.expected_failures, totals.skipped, totals.unfinished + totals.errors + totals.bad_files));
  }

 private:
  Sink sink_;
  ReportOptions options_;
  std::size_t rule_sets_ = 1;
  std::size_t number_ = 0;
  std::size_t in_file_ = 0;
  bool file_ok_ = true;
  bool file_skipped_ = true;
};

class TapReporter final : public Reporter {
 public:
  TapReporter(Sink sink, const ReportOptions& options) : sink_(std::move(sink)), options_(options) {}

  void begin(std::size_t, std::size_t) override { sink_("TAP version 13\n"); }

  void run(const Judged& judged) override {
    const bool expected_failure = judged.judgement == Judgement::kExpectedFailure;
    const bool ok = is_ok(judged.judgement) && !expected_failure;
    std::string text =
        fmt::format("{} {} - {} {}", ok ? "ok" : "not ok", ++number_, plain(judged.file), plain(judged.result.rules));
    if (expected_failure) text += fmt::format(" # TODO {}", plain(judged.reason));
    if (judged.judgement == Judgement::kSkip) text += fmt::format(" # SKIP {}", plain(judged.reason));
    text += '\n';
    if (!ok && !expected_failure) text += prefixed(details(judged, options_), "# ");
    sink_(text);
  }

  void bad_file(const std::string& file, const std::string& message) override {
    sink_(fmt::format("not ok {} - {}\n", ++number_, plain(file)) + prefixed(message, "# "));
  }

  /// A bad file is one test, whatever the number of rule sets, so the plan is known only now.
  void end(const Totals&) override { sink_(fmt::format("1..{}\n", number_)); }

 private:
  Sink sink_;
  ReportOptions options_;
  std::size_t number_ = 0;
};

}  // namespace

std::unique_ptr<Reporter> make_ktap_reporter(Sink sink, const ReportOptions& options) {
  return std::make_unique<KtapReporter>(std::move(sink), options);
}

std::unique_ptr<Reporter> make_tap_reporter(Sink sink, const ReportOptions& options) {
  return std::make_unique<TapReporter>(std::move(sink), options);
}

}  // namespace cowherd::report
