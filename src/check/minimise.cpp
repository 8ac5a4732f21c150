#include "check/minimise.hpp"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "check/step.hpp"
#include "litmus/shrink.hpp"

namespace cowherd::check {

namespace {

/// Programs tried for the proof that none is smaller.
constexpr std::uint64_t kMaxCandidates = 40'000;
/// States for one attempt, and for all attempts at one finding.
constexpr std::uint64_t kMaxStatesPerAttempt = 20'000;
constexpr std::uint64_t kMaxSteps = 1'000'000;

using Keep = std::vector<bool>;

litmus::Program without_condition(litmus::Program program) {
  program.quantifier = litmus::Quantifier::kNone;
  program.condition = {};
  program.filter.reset();
  program.locations.clear();
  program.result.reset();
  program.expectations.clear();
  return program;
}

/// How many sets of 1 … `most` elements out of `n` there are, or kMaxCandidates + 1 if that is less.
std::uint64_t count_subsets(std::size_t n, std::size_t most) {
  std::uint64_t total = 0;
  std::uint64_t choose = 1;
  for (std::size_t k = 1; k <= most && total <= kMaxCandidates; ++k) {
    choose = choose * (n - k + 1) / k;
    total += choose;
  }
  return total;
}

class Minimiser {
 public:
  Minimiser(Explorer& explorer, const litmus::Program& program, const FindingKey& key, const CheckOptions& options)
      : explorer_(explorer), original_(without_condition(program)), key_(key), options_(options) {
    options_.max_states = kMaxStatesPerAttempt;
    options_.timeout = {};
    options_.progress = nullptr;
  }

  Minimised run(const FoundAt& at) {
    // A smaller program needs no more switches than the one that it came from, and few need few states.
    if (options_.grain == litmus::Grain::kStep) options_.preemptions = at.preemptions;
    best_ = original_;
    drop_what_did_not_run(at.schedule);
    drop_one_by_one();
    const bool minimal = drop_all_ways();
    make_simpler();
    const Scene scene(best_);
    CheckOptions options = options_;
    options.max_states = 0;
    options.max_memory = options_.max_memory;
    const Exploration last = explorer_.run(scene, options, nullptr, Goal::kSimplest, &key_);
    const auto found = last.found.find(key_);
    // Only an interrupt can keep the search from finding again what it has found before.
    if (found == last.found.end()) return {original_, at, false};
    return {std::move(best_), found->second, minimal};
  }

 private:
  [[nodiscard]] bool out_of_budget() const {
    return steps_ > kMaxSteps ||
           (options_.interrupted != nullptr && options_.interrupted->load(std::memory_order_relaxed));
  }

  /// Whether the program shows the finding. Where the attempt was cut short, says no and remembers.
  bool shows(const litmus::Program& program) {
    const Scene scene(program);
    const Exploration tried = explorer_.run(scene, options_, nullptr, Goal::kFirst, &key_);
    steps_ += tried.stats.transitions;
    const bool found = tried.found.contains(key_);
    const bool all_seen = tried.coverage.exhaustive() || tried.coverage.stopped_by == Bound::kPreemptions;
    complete_ = complete_ && (found || (tried.error.empty() && all_seen));
    return found;
  }

  bool accept(const litmus::Program& from, const Keep& keep) {
    auto candidate = litmus::remove_operations(from, keep);
    if (!candidate || candidate->operation_count() >= best_.operation_count() || !shows(*candidate)) return false;
    best_ = std::move(*candidate);
    return true;
  }

  void drop_what_did_not_run(const Schedule& schedule) {
    std::vector<std::size_t> ran(original_.blocks.size(), 0);
    const Scene scene(original_);
    World world;
    if (!world.begin(scene, options_.rules, setting_of(options_)).empty()) return;
    for (const Move move : schedule) {
      const std::uint8_t block = block_of(move);
      // A step that begins an operation or goes on with it: it has to stay even where it did not end.
      ran[block] = std::size_t{world.control.agents[block].pc} + 1;
      if (step(world, move).blocked) return;
    }
    Keep keep;
    for (std::size_t b = 0; b < original_.blocks.size(); ++b) {
      for (std::size_t i = 0; i < original_.blocks[b].operations.size(); ++i) keep.push_back(i < ran[b]);
    }
    accept(original_, keep);
  }

  void drop_one_by_one() {
    for (bool smaller = true; smaller && !out_of_budget();) {
      smaller = false;
      // From the end: what comes late needs what comes early more often than the reverse.
      for (std::size_t i = best_.operation_count(); i-- > 0 && !out_of_budget();) {
        if (i >= best_.operation_count()) continue;
        Keep keep(best_.operation_count(), true);
        keep[i] = false;
        smaller = accept(best_, keep) || smaller;
      }
    }
  }

  /// Tries all sets of fewer operations, small ones first. Returns whether that proves the result minimal.
  bool drop_all_ways() {
    const std::size_t n = original_.operation_count();
    const std::size_t most = best_.operation_count() - 1;
    if (best_.operation_count() <= 1) return true;
    if (count_subsets(n, most) > kMaxCandidates) return false;
    complete_ = true;
    for (std::size_t size = 1; size <= most; ++size) {
      std::vector<std::size_t> chosen(size);
      for (std::size_t i = 0; i < size; ++i) chosen[i] = i;
      do {
        if (out_of_budget()) return false;
        Keep keep(n, false);
        for (const std::size_t index : chosen) keep[index] = true;
        const auto candidate = litmus::remove_operations(original_, keep);
        // One that lost more than was asked for has been tried among the smaller ones.
        if (!candidate || candidate->operation_count() != size || !shows(*candidate)) continue;
        best_ = *candidate;
        return complete_;
      } while (next_subset(chosen, n));
    }
    return complete_;
  }

  static bool next_subset(std::vector<std::size_t>& chosen, std::size_t n) {
    const std::size_t size = chosen.size();
    for (std::size_t i = size; i-- > 0;) {
      if (chosen[i] == n - size + i) continue;
      ++chosen[i];
      for (std::size_t j = i + 1; j < size; ++j) chosen[j] = chosen[j - 1] + 1;
      return true;
    }
    return false;
  }

  void make_simpler() {
    for (bool simpler = true; simpler && !out_of_budget();) {
      simpler = false;
      for (const litmus::Program& candidate : litmus::simpler_programs(best_)) {
        if (out_of_budget() || !shows(candidate)) continue;
        best_ = candidate;
        simpler = true;
        break;
      }
    }
  }

  Explorer& explorer_;
  litmus::Program original_;
  const FindingKey& key_;
  CheckOptions options_;
  litmus::Program best_;
  std::uint64_t steps_ = 0;
  /// No attempt was cut short.
  bool complete_ = true;
};

}  // namespace

Minimised minimise(Explorer& explorer, const litmus::Program& program, const FindingKey& key, const FoundAt& at,
                   const CheckOptions& options) {
  return Minimiser(explorer, program, key, options).run(at);
}

}  // namespace cowherd::check
