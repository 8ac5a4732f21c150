#pragma once

#include "check/explore.hpp"
#include "litmus/program.hpp"

namespace cowherd::check {

/// A smaller program that still shows a finding.
struct Minimised {
  litmus::Program program;
  FoundAt at;
  /// Every program with fewer of the original's operations was tried and does not show it; at the grain of steps, with
  /// no more preemptions than the original needed.
  bool minimal = false;
};

/// Takes operations away for as long as the finding `key` stays; then makes those that are left simpler; then looks for
/// the schedule with the fewest preemptions. Where few enough programs are smaller than the result, all of them are
/// tried. Deterministic: bounded by work, not by time. The program has no condition any more.
/// Precondition: `program` shows `key` under the rules of `options`, by the simplest schedule `at`.
Minimised minimise(Explorer& explorer, const litmus::Program& program, const FindingKey& key, const FoundAt& at,
                   const CheckOptions& options);

}  // namespace cowherd::check
