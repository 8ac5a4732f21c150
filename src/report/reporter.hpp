#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "report/judged.hpp"

namespace cowherd::report {

/// What JSON lines say of themselves.
inline constexpr int kJsonSchema = 1;

/// Takes finished text. Called in the order in which it is to be read.
using Sink = std::function<void(std::string_view)>;

struct ReportOptions {
  /// Short lines in place of the whole verdict.
  bool compact = false;
  /// Only what is not as expected; of what is skipped, with short lines, how many there are for each reason.
  bool quiet = false;
  /// Findings come with their traces.
  bool traces = true;
  /// Times and rates too, which differ from run to run.
  bool times = false;
};

/// What a batch came to.
struct Totals {
  std::size_t files = 0;
  std::size_t bad_files = 0;
  std::size_t runs = 0;
  std::size_t passed = 0;
  std::size_t expected_failures = 0;
  std::size_t differ = 0;
  std::size_t skipped = 0;
  std::size_t unfinished = 0;
  std::size_t errors = 0;
  std::size_t findings = 0;
  std::uint64_t states = 0;

  void add(const Judged& judged);
};

/// Writes a batch in one format: begin(), then for each file its runs or its error, in order, then end(). Not
/// thread-safe.
class Reporter {
 public:
  virtual ~Reporter() = default;

  /// `rule_sets` runs will follow for each good file.
  virtual void begin(std::size_t files, std::size_t rule_sets) = 0;
  virtual void run(const Judged& judged) = 0;
  /// A file that could not be read or is no test; `message` is what was said about it, perhaps of several lines.
  virtual void bad_file(const std::string& file, const std::string& message) = 0;
  virtual void end(const Totals& totals) = 0;
};

std::unique_ptr<Reporter> make_text_reporter(Sink sink, const ReportOptions& options);
/// JSON lines: an object to each run and each bad file, and one for the batch; "schema" is 1.
std::unique_ptr<Reporter> make_json_reporter(Sink sink, const ReportOptions& options);
/// KTAP version 1, as the kernel's tests write it: a test to each file, a nested one to each rule set.
std::unique_ptr<Reporter> make_ktap_reporter(Sink sink, const ReportOptions& options);
/// TAP version 13, flat, for prove(1): what is expected to fail is TODO.
std::unique_ptr<Reporter> make_tap_reporter(Sink sink, const ReportOptions& options);
/// JUnit's XML: a test suite to each file, a test case to each rule set. Written at end().
std::unique_ptr<Reporter> make_junit_reporter(Sink sink, const ReportOptions& options);

}  // namespace cowherd::report
