#pragma once

#include "measure/line.hpp"

namespace cowherd::measure {

/// How many times the work of one thread two threads do in the same time, each on pages of its own: 2 is ideal. Of a
/// side whose figure is time to a page of one thread.
template <Side side>
Figure scaling(const Load& load) {
  Figure alone = side(load);
  if (!alone.ok()) return alone;
  Load two = load;
  two.threads = 2;
  Figure together = side(two);
  if (!together.ok()) return together;
  return Figure::measured(2 * alone.value() / together.value());
}

}  // namespace cowherd::measure
