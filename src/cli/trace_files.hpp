#pragma once

#include <string>

#include "report/judged.hpp"

namespace cowherd::cli {

/// Writes each finding as a trace file that `check --replay` reads: FOLDER/TEST.RULES.N.trace.
class TraceFiles {
 public:
  /// An empty `folder`: nothing is written.
  explicit TraceFiles(std::string folder) : folder_(std::move(folder)) {}

  /// False, and one line on stderr, if a file could not be written.
  [[nodiscard]] bool write(const report::Judged& judged) const;

 private:
  std::string folder_;
};

}  // namespace cowherd::cli
