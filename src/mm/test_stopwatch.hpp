#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <ctime>

namespace cowherd::mm {

/// Processor time of this thread, s.
inline double processor_time() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// Runs `prepare()`, times `path()`, and runs `finish()`, as often as the benchmark wants. "per page": the time over
/// `pages`.
template <class Prepare, class Path, class Finish>
void measure(benchmark::State& state, std::uint64_t pages, Prepare&& prepare, Path&& path, Finish&& finish) {
  for (auto _ : state) {
    prepare();
    const double begin = processor_time();
    path();
    state.SetIterationTime(processor_time() - begin);
    finish();
  }
  state.counters["per page"] = benchmark::Counter(
      static_cast<double>(pages), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

}  // namespace cowherd::mm
