#pragma once

#include <functional>

#include "measure/figure.hpp"

namespace cowherd::measure {

/// Runs `measure` in a child process, so that whatever it maps, pins or breaks goes with it. A child that dies, or that
/// takes more than five minutes, is a wrong figure.
Figure in_child(const std::function<Figure()>& measure);

}  // namespace cowherd::measure
