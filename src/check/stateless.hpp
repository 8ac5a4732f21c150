#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "check/oracle.hpp"
#include "check/outcome.hpp"
#include "check/result.hpp"
#include "check/world.hpp"

namespace cowherd::check {

/// Every interleaving, run to its end, with nothing remembered from one to the next: no hash, no reduction, no order by
/// preemptions. Slow, and independent of the other search in everything but the steps themselves.
///
/// Not thread-safe.
class StatelessSearch {
 public:
  /// `outcomes` counts runs here, where the other search counts states; it may be null.
  /// CheckOptions::max_states limits the runs.
  std::string run(const Scene& scene, const CheckOptions& options, Outcomes* outcomes);

  [[nodiscard]] const std::set<FindingKey>& found() const { return found_; }
  [[nodiscard]] const Coverage& coverage() const { return coverage_; }
  [[nodiscard]] std::uint64_t runs() const { return runs_; }
  [[nodiscard]] std::uint64_t transitions() const { return transitions_; }

 private:
  void explore();
  [[nodiscard]] bool stop() const;

  World world_;
  const CheckOptions* options_ = nullptr;
  Outcomes* outcomes_ = nullptr;
  std::set<FindingKey> found_;
  Coverage coverage_;
  std::uint64_t runs_ = 0;
  std::uint64_t transitions_ = 0;
  std::chrono::steady_clock::time_point started_;
};

}  // namespace cowherd::check
