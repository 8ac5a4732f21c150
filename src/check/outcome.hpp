#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "check/result.hpp"
#include "check/world.hpp"
#include "litmus/program.hpp"

namespace cowherd::check {

/// What `term` is in this state. Reading memory may change the state: the caller restores it.
std::int64_t value_of(World& world, const litmus::Term& term);

/// Counts the ends of runs.
class Outcomes {
 public:
  explicit Outcomes(const litmus::Program& program);

  /// Adds the final state that `world` is in; `packed` is that state. Leaves `world` in it.
  void add(World& world, std::span<const std::byte> packed);
  /// What is counted: one value to each of these.
  [[nodiscard]] const std::vector<litmus::Term>& terms() const { return terms_; }
  /// Adds a final state of which the values of terms() are known, and whether the run broke anything.
  void count(const std::vector<std::int64_t>& values, bool broken);
  /// Adds a run that cannot end.
  void add_stuck() { ++stuck_; }

  /// Writes terms, outcomes and counts.
  void fill(CheckResult& result) const;

 private:
  struct Count {
    std::uint64_t states = 0;
    std::uint64_t broken = 0;
    std::uint64_t satisfied = 0;
    std::uint64_t broken_and_satisfied = 0;
  };

  const litmus::Program* program_;
  std::vector<litmus::Term> terms_;
  std::vector<std::int64_t> values_;
  std::map<std::vector<std::int64_t>, Count> counts_;
  std::uint64_t stuck_ = 0;
};

}  // namespace cowherd::check
