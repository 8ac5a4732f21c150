#pragma once

#include <atomic>
#include <cstdint>

namespace cowherd {

/// Makes the n-th allocation fail. Compare Linux's fail_nth. Asked from any thread; armed while no allocation runs.
class FailureInjector {
 public:
  /// For arm(): counts and fails none.
  static constexpr std::uint32_t kCountOnly = ~std::uint32_t{0};
  /// Whether the allocation at hand fails.
  using Choose = bool (*)(void* chooser);

  /// From now on, count allocations afresh and fail number `nth` (the first is 1); 0 fails and counts none.
  void arm(std::uint32_t nth) {
    nth_ = nth;
    seen_ = 0;
    fired_ = false;
    choose_ = nullptr;
  }
  /// From now on `choose` decides, until one has failed.
  void arm(Choose choose, void* chooser) {
    arm(kCountOnly);
    choose_ = choose;
    chooser_ = chooser;
  }
  /// Called by every allocation. True: this one has to fail.
  [[nodiscard]] bool should_fail() {
    if (nth_ == 0) return false;
    const std::uint32_t number = seen_.fetch_add(1, std::memory_order_relaxed) + 1;
    const bool fails = choose_ != nullptr ? !fired() && choose_(chooser_) : number == nth_;
    if (fails) fired_.store(true, std::memory_order_relaxed);
    return fails;
  }
  /// Whether an armed failure has happened.
  [[nodiscard]] bool fired() const { return fired_.load(std::memory_order_relaxed); }
  /// Allocations since arm().
  [[nodiscard]] std::uint32_t seen() const { return seen_.load(std::memory_order_relaxed); }

 private:
  std::uint32_t nth_ = 0;
  Choose choose_ = nullptr;
  void* chooser_ = nullptr;
  std::atomic<std::uint32_t> seen_{0};
  std::atomic<bool> fired_{false};
};

}  // namespace cowherd
