#include "cli/reporters.hpp"

#include <utility>

namespace cowherd::cli {

std::unique_ptr<report::Reporter> make_reporter(Format format, report::Sink sink,
                                                const report::ReportOptions& options) {
  switch (format) {
    case Format::kJson:
      return report::make_json_reporter(std::move(sink), options);
    case Format::kKtap:
      return report::make_ktap_reporter(std::move(sink), options);
    case Format::kTap:
      return report::make_tap_reporter(std::move(sink), options);
    case Format::kJunit:
      return report::make_junit_reporter(std::move(sink), options);
    case Format::kText:
      break;
  }
  return report::make_text_reporter(std::move(sink), options);
}

}  // namespace cowherd::cli
