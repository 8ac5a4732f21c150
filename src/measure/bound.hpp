#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "measure/spread.hpp"

namespace cowherd::measure {

/// The figures of one row, one of each side to a round. A side that has none is empty.
struct Rounds {
  std::vector<double> of_linux = {};
  std::vector<double> floor = {};
  std::vector<double> ours = {};
};

/// One condition of a goal, on our figure.
struct Bound {
  enum class Kind : std::uint8_t {
    kAtMost,
    kAtLeast,
    kAtMostTimesFloor,
    kAtLeastTimesFloor,
    kAtMostFloorPlus,
    /// For what is better when smaller: Linux's figure is so many times ours.
    kTimesBetterThanLinux,
  };
  Kind kind;
  double value;
};

enum class Met : std::uint8_t { kYes, kNo, kUnknown };

/// What our figure is judged by, and how many rounds of it are above or below does not matter: the median.
/// kUnknown where a side that the bound compares with has no figures.
Met judge(const Bound& bound, const Rounds& rounds);

/// All bounds: no if one is not met, else unknown if one is.
Met judge(const std::vector<Bound>& bounds, const Rounds& rounds);

/// The same goal on a machine that takes `pace` times as long: times and rates are scaled, ratios stay. Precondition:
/// the figure is a time or a rate.
std::vector<Bound> at_pace(std::vector<Bound> bounds, double pace);

/// "<= 7", "<= 2.5x floor", ">= 8x Linux".
std::string text_of(const Bound& bound);
std::string text_of(const std::vector<Bound>& bounds);

}  // namespace cowherd::measure
