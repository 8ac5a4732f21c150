#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "measure/line.hpp"

namespace cowherd::measure {

using Lines = std::vector<Line>;

inline Bound at_most(double value) { return {Bound::Kind::kAtMost, value}; }
inline Bound at_least(double value) { return {Bound::Kind::kAtLeast, value}; }
inline Bound times_floor(double value) { return {Bound::Kind::kAtMostTimesFloor, value}; }
inline Bound of_floor(double value) { return {Bound::Kind::kAtLeastTimesFloor, value}; }
inline Bound floor_plus(double value) { return {Bound::Kind::kAtMostFloorPlus, value}; }
inline Bound times_linux(double value) { return {Bound::Kind::kTimesBetterThanLinux, value}; }

/// What differs between two lines that are one operation, on frames in order and on shuffled ones.
struct Order {
  std::string_view row;
  std::string what;
  std::vector<Bound> must;
  std::vector<Bound> stretch;
  double floor_there = 0;
};

/// `line` twice: in order, and shuffled.
void add_both(Lines& lines, Line line, const Order& in_order, const Order& shuffled);

/// Rows 1 to 4b, 9b and 12b: fork, and what tables that are shared cost after it.
void add_forks(Lines& lines);

}  // namespace cowherd::measure
