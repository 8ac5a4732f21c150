#pragma once

#include <utility>
#include <vector>

#include "measure/figure.hpp"
#include "measure/load.hpp"
#include "measure/spread.hpp"

namespace cowherd::measure {

/// The median of once(last) over the load's repetitions, after one that does not count. The first that is no number is
/// the answer. `last`: no other comes after it.
template <class Once>
Figure repeat(const Load& load, Once&& once) {
  std::vector<double> figures;
  for (unsigned number = 0; number <= load.repetitions; ++number) {
    Figure figure = once(number == load.repetitions);
    if (!figure.ok()) return figure;
    if (number != 0) figures.push_back(figure.value());
  }
  return Figure::measured(spread_of(std::move(figures)).median);
}

}  // namespace cowherd::measure
