#pragma once

#include <string>
#include <utility>
#include <vector>

#include "measure/line.hpp"

namespace cowherd::measure {

/// One curve.
struct Series {
  std::string name;
  /// x, y; both above zero.
  std::vector<std::pair<double, double>> points;
};

/// Curves over one pair of axes.
struct Plot {
  std::string title = {};
  std::string x_label = {};
  std::string y_label = {};
  /// Both axes; else both begin at zero.
  bool logarithmic = true;
  std::vector<Series> series = {};
};

/// Fork against the size of what is mapped, for Linux and each fork mode that there is; against the number of pins; and
/// what one and two threads do. Curves that cannot be measured here, and plots without curves, are left out.
std::vector<Plot> measure_plots(const Sizes& sizes, unsigned repetitions);

/// A drawing for a web page: <svg> … </svg>.
std::string svg_of(const Plot& plot);

}  // namespace cowherd::measure
