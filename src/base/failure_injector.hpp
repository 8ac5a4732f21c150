#pragma once

#include <cstdint>

namespace cowherd {

/// Makes the n-th allocation fail. Compare Linux's fail_nth. Not thread-safe.
class FailureInjector {
 public:
  /// From now on, count allocations afresh and fail number `nth` (the first is 1); 0 fails none.
  void arm(std::uint32_t nth) {
    nth_ = nth;
    seen_ = 0;
    fired_ = false;
  }
  /// Called by every allocation. True: this one has to fail.
  [[nodiscard]] bool should_fail() {
    ++seen_;
    if (nth_ == 0 || seen_ != nth_) {
      return false;
    }
    fired_ = true;
    return true;
  }
  /// Whether an armed failure has happened.
  [[nodiscard]] bool fired() const { return fired_; }
  /// Allocations since arm().
  [[nodiscard]] std::uint32_t seen() const { return seen_; }

 private:
  std::uint32_t nth_ = 0;
  std::uint32_t seen_ = 0;
  bool fired_ = false;
};

}  // namespace cowherd
