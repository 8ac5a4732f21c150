#pragma once

#include <cstdint>

#include "mm/violation.hpp"
#include "spec/promise.hpp"

namespace cowherd::check {

/// What one step did and how it was judged.
struct StepReport {
  /// The block has to wait for another one. The world is then in no state at all: restore() one.
  bool blocked = false;
  /// The step ended its operation; only then are there a result and a judgement.
  bool completed = false;
  /// What its register gets: a value, a count, 0, or the negative of an error.
  std::int64_t result = 0;
  spec::Judgement judgement;
  /// Violations that the run had not shown before, found by the step itself or by verify_step().
  mm::Violations fresh;
};

}  // namespace cowherd::check
