#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "check/check.hpp"

namespace cowherd::check {

namespace {

/// Hands out jobs by number and gives results back in order.
class Batch {
 public:
  Batch(std::span<const Job> jobs, const std::function<void(std::size_t, CheckResult&&)>& done)
      : jobs_(jobs), done_(done), results_(jobs.size()) {}

  void work() {
    for (std::size_t number = next_++; number < jobs_.size(); number = next_++) {
      deliver(number, run(jobs_[number]));
    }
  }

 private:
  static CheckResult run(const Job& job) {
    const CheckOptions& options = job.options;
    const bool too_late = options.interrupted != nullptr && options.interrupted->load(std::memory_order_relaxed);
    if (!too_late) return check(*job.program, options);
    CheckResult result;
    result.test = job.program->name;
    result.rules = options.rules_name;
    result.coverage.stopped_by = Bound::kInterrupt;
    return result;
  }

  void deliver(std::size_t number, CheckResult&& result) {
    const std::lock_guard lock(mutex_);
    results_[number] = std::move(result);
    for (; delivered_ < results_.size() && results_[delivered_]; ++delivered_) {
      done_(delivered_, std::move(*results_[delivered_]));
      results_[delivered_].reset();
    }
  }

  std::span<const Job> jobs_;
  const std::function<void(std::size_t, CheckResult&&)>& done_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  /// Finished and waiting for their turn; guarded by mutex_, as the next two.
  std::vector<std::optional<CheckResult>> results_;
  std::size_t delivered_ = 0;
};

}  // namespace

void run_all(std::span<const Job> jobs, unsigned threads, const std::function<void(std::size_t, CheckResult&&)>& done) {
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  const auto workers = static_cast<unsigned>(std::min<std::size_t>(threads, jobs.size()));
  Batch batch(jobs, done);
  std::vector<std::jthread> others;
  for (unsigned i = 1; i < workers; ++i) others.emplace_back([&batch] { batch.work(); });
  batch.work();
}

}  // namespace cowherd::check
