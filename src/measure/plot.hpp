#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "measure/line.hpp"

namespace cowherd::measure {

/// One curve.
struct Series {
  std::string name;
  /// Curves of one colour are of one thing; a dashed one of its other case.
  unsigned colour = 0;
  bool dashed = false;
  /// x, y; in order, y above zero.
  std::vector<std::pair<double, double>> points = {};
};

/// Curves over one pair of axes.
struct Plot {
  /// Of a file: "fork-size".
  std::string name = {};
  std::string title = {};
  std::string x_label = {};
  std::string y_label = {};
  /// Both axes, on which x may be 0 all the same; else y begins at zero.
  bool logarithmic = true;
  /// x are MiB, and read as sizes: "16 MiB", "4 GiB".
  bool x_is_size = false;
  std::vector<Series> series = {};
};

/// Fork against the size of what is mapped, for Linux and each fork mode; against the number of pins, of pages and of
/// 64 GiB of tables; and what one and two threads do. Curves that cannot be measured here, and plots without curves,
/// are left out.
std::vector<Plot> measure_plots(const Sizes& sizes, unsigned repetitions);

/// A drawing for a web page, or a file of its own: <svg> … </svg>.
std::string svg_of(const Plot& plot);

}  // namespace cowherd::measure
