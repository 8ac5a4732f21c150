#pragma once

#include <vector>

namespace cowherd::measure {

/// The middle of some samples, and how far they reach.
struct Spread {
  double median = 0;
  double least = 0;
  double most = 0;

  bool operator==(const Spread&) const = default;
};

/// Of an even number of samples, the median is the mean of the two in the middle. Precondition: not empty.
Spread spread_of(std::vector<double> samples);

/// a[i] / b[i], round by round: a ratio is meant only between figures of one round. Precondition: as many of each.
std::vector<double> ratios(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace cowherd::measure
