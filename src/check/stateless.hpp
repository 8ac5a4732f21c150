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

/// Every interleaving, or every one with as few preemptions as asked for, run to its end, with nothing remembered from
/// one to the next: no hash, no reduction, no order by preemptions. Slow, and independent of the other search in
/// everything but the steps themselves.
///
/// A run that goes on for too long is cut and counts as a bound on states: only a livelock is that long. Not
/// thread-safe.
class StatelessSearch {
 public:
  /// `outcomes` counts runs here, where the other search counts states; it may be null.
  /// CheckOptions::max_states limits the runs.
  std::string run(const Scene& scene, const CheckOptions& options, Outcomes* outcomes);

  /// Tells `watcher` of every path; null: nobody.
  void watch(Watcher* watcher) {
    watcher_ = watcher;
    world_.watch(watcher);
  }

  /// The machine that was searched.
  [[nodiscard]] mm::System<G>& system() { return world_.system(); }
  [[nodiscard]] const std::set<FindingKey>& found() const { return found_; }
  [[nodiscard]] const Coverage& coverage() const { return coverage_; }
  [[nodiscard]] std::uint64_t runs() const { return runs_; }
  [[nodiscard]] std::uint64_t transitions() const { return transitions_; }

 private:
  /// The run came here by a step of `last`, with `preemptions` behind it.
  void explore(std::uint8_t last, std::uint32_t preemptions);
  /// Takes a move from the state in `here`; false: it is blocked.
  struct Place;
  bool try_move(const Place& here, Move move, std::uint32_t preemptions);
  void end_of_run(const std::vector<std::byte>& here, bool unfinished);
  [[nodiscard]] bool stop() const;

  static constexpr std::uint8_t kNobody = 0xff;
  static constexpr std::size_t kLongestRun = 5'000;

  World world_;
  Watcher* watcher_ = nullptr;
  const CheckOptions* options_ = nullptr;
  Outcomes* outcomes_ = nullptr;
  std::set<FindingKey> found_;
  Coverage coverage_;
  std::uint64_t runs_ = 0;
  std::uint64_t transitions_ = 0;
  std::size_t depth_ = 0;
  /// Some run was not explored for its preemptions.
  bool cut_ = false;
  std::chrono::steady_clock::time_point started_;
};

}  // namespace cowherd::check
