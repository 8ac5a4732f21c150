#pragma once

#include <cstddef>
#include <string>

#include "check/result.hpp"

namespace cowherd::report {

struct FindingTextOptions {
  /// "1 of 3"; zero of zero: not numbered.
  std::size_t number = 0;
  std::size_t count = 0;
  bool trace = true;
  /// The test that was checked: where the finding's own program is the same, it is not printed again.
  const litmus::Program* test = nullptr;
  /// Where that test lies.
  std::string file;
  /// Whether the trace begins with a word on how to read it.
  bool key = true;
  /// The number of an earlier finding that was printed with the same trace; 0: none.
  std::size_t same_as = 0;
};

/// A finding for a reader who knows fork and page tables and nothing of this program: what broke, the steps with the
/// pages that each changed, the step and the decision where it went wrong, and how to see it again.
std::string finding_text(const check::Finding& finding, const FindingTextOptions& options);

/// Whether the two have the same steps, so that one trace shows both.
bool same_trace(const check::Finding& a, const check::Finding& b);

/// The numbered steps alone.
std::string trace_text(const check::Trace& trace);

/// "frame 4 R/W dirty, refs 2, mapcount 1, pins 1, exclusive"
std::string sight_text(const check::PageSight& sight);

}  // namespace cowherd::report
