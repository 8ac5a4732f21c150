#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "measure/figure.hpp"

namespace cowherd::measure {

/// What one thread waits for another: the other calls and calls while this one works.
struct Beside {
  /// Before each time, with the other thread at rest.
  std::function<bool()> ready;
  /// What the other thread does, with numbers below `calls`, each once to a time.
  std::function<bool(std::uint64_t number)> call;
  std::uint64_t calls;
  /// What this thread does meanwhile, timed; and after it, with the other thread at rest.
  std::function<bool()> work;
  std::function<bool()> finish;
};

/// ns by the wall clock: how long the calls took that were under way at some moment of the work, all of `times` times.
/// The two threads stay on the first and the second processor. Nothing: something failed.
std::optional<std::vector<double>> calls_beside(const Beside& beside, unsigned times);

/// us: the part of all calls that are as short, 1 for the longest.
Figure stall_of(std::optional<std::vector<double>> calls, double part);

}  // namespace cowherd::measure
