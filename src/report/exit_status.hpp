#pragma once

#include <cstdint>

namespace cowherd::report {

/// What the command's exit status says. The numbers are the interface: see cowherd(1).
enum class ExitStatus : std::uint8_t {
  /// Everything is as expected.
  kExpected = 0,
  /// A verdict differs from what was expected, or there is a finding.
  kDiffers = 1,
  /// The command line, a file or the text in it is wrong.
  kInput = 2,
  /// The program is wrong: an internal error, nondeterminism, a replay that went another way.
  kInternal = 3,
  /// Nothing could be said about any test.
  kSkipped = 4,
  /// A bound ended the search before the answer.
  kInconclusive = 5,
  kTimeLimit = 124,
  /// Interrupted; what was found until then has been reported.
  kInterrupted = 130,
};

/// Folds the statuses of a batch into the worst, so that one test hides no other. From best to worst: skipped,
/// expected, inconclusive, time limit, differs, input, interrupted, internal. A batch is skipped only if every test is.
class ExitTally {
 public:
  void add(ExitStatus status);
  /// kExpected if nothing was added.
  [[nodiscard]] ExitStatus worst() const;

 private:
  bool any_ = false;
  ExitStatus worst_ = ExitStatus::kSkipped;
};

}  // namespace cowherd::report
