#pragma once

#include <functional>

#include "measure/load.hpp"

namespace cowherd::measure {

/// Nanoseconds since some point in the past.
double now_ns(Clock clock);

/// Nanoseconds that `work` takes.
template <class Work>
double timed(Clock clock, Work&& work) {
  const double begin = now_ns(clock);
  work();
  return now_ns(clock) - begin;
}

/// Nanoseconds that `threads` calls of work(number) take, each on a thread and a processor of its own, begun together:
/// until the last one ends, or, by processor time, what the longest one used. With one thread, as timed(): on the
/// caller's. Precondition: as many processors.
double timed_on(unsigned threads, Clock clock, const std::function<void(unsigned)>& work);

}  // namespace cowherd::measure
