#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/reporter.hpp"
#include "report/whole_text.hpp"
#include "report/xml.hpp"

namespace cowherd::report {
namespace {

struct Suite {
  std::string file;
  std::string cases;
  std::size_t tests = 0;
  std::size_t failures = 0;
  std::size_t errors = 0;
  std::size_t skipped = 0;
  double seconds = 0;
};

/// JUnit counts at the top of a suite what lies in it, so suites are written when they are complete.
class JunitReporter final : public Reporter {
 public:
  JunitReporter(Sink sink, const ReportOptions& options) : sink_(std::move(sink)), options_(options) {}

  void begin(std::size_t, std::size_t rule_sets) override { rule_sets_ = rule_sets; }

  void run(const Judged& judged) override {
    Suite& suite = in_file_ == 0 ? new_suite(judged.file) : suites_.back();
    in_file_ = (in_file_ + 1) % rule_sets_;
    ++suite.tests;
    suite.seconds += judged.result.stats.seconds;
    suite.cases += fmt::format("    <testcase classname=\"{}\" name=\"{}\"{}>", xml_text(judged.file),
                               xml_text(judged.result.rules), time_of(judged.result.stats.seconds));
    suite.cases += inside(judged, suite);
    suite.cases += "</testcase>\n";
  }

  void bad_file(const std::string& file, const std::string& message) override {
    Suite& suite = new_suite(file);
    suite.tests = suite.errors = 1;
    suite.cases = fmt::format(
        "    <testcase classname=\"{0}\" name=\"read\"><error message=\"unreadable\">{1}</error></testcase>\n",
        xml_text(file), xml_text(message));
  }

  void end(const Totals&) override {
    Suite sum;
    for (const Suite& suite : suites_) {
      sum.tests += suite.tests;
      sum.failures += suite.failures;
      sum.errors += suite.errors;
      sum.skipped += suite.skipped;
      sum.seconds += suite.seconds;
    }
    sink_(fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"cowherd\"{}>\n", counts(sum)));
    for (const Suite& suite : suites_) {
      sink_(fmt::format("  <testsuite name=\"{}\"{}>\n{}  </testsuite>\n", xml_text(suite.file), counts(suite),
                        suite.cases));
    }
    sink_("</testsuites>\n");
  }

 private:
  Suite& new_suite(const std::string& file) {
    Suite& suite = suites_.emplace_back();
    suite.file = file;
    return suite;
  }

  [[nodiscard]] std::string time_of(double seconds) const {
    return options_.times ? fmt::format(" time=\"{:.3f}\"", seconds) : std::string();
  }

  [[nodiscard]] std::string counts(const Suite& suite) const {
    return fmt::format(" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"{}", suite.tests, suite.failures,
                       suite.errors, suite.skipped, time_of(suite.seconds));
  }

  std::string inside(const Judged& judged, Suite& suite) const {
    const std::string reason = xml_text(judged.reason);
    switch (judged.judgement) {
      case Judgement::kPass:
        return {};
      case Judgement::kExpectedFailure:
        ++suite.skipped;
        return fmt::format("<skipped type=\"xfail\" message=\"expected: {}\"/>", reason);
      case Judgement::kSkip:
        ++suite.skipped;
        return fmt::format("<skipped message=\"{}\"/>", reason);
      case Judgement::kFail:
      case Judgement::kUnexpectedPass:
        ++suite.failures;
        return fmt::format("<failure type=\"{}\" message=\"{}\">{}</failure>", name_of(judged.judgement), reason,
                           xml_text(whole_text(judged, options_)));
      case Judgement::kInconclusive:
      case Judgement::kTimeLimit:
      case Judgement::kInterrupted:
      case Judgement::kError:
        break;
    }
    ++suite.errors;
    return fmt::format("<error type=\"{}\" message=\"{}\"/>", name_of(judged.judgement), reason);
  }

  Sink sink_;
  ReportOptions options_;
  std::size_t rule_sets_ = 1;
  std::size_t in_file_ = 0;
  std::vector<Suite> suites_;
};

}  // namespace

std::unique_ptr<Reporter> make_junit_reporter(Sink sink, const ReportOptions& options) {
  return std::make_unique<JunitReporter>(std::move(sink), options);
}

}  // namespace cowherd::report
