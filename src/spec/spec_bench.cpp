#include <benchmark/benchmark.h>

#include <vector>

#include "spec/spec.hpp"

namespace cowherd::spec {
namespace {

/// The usual size of a test: two processes with two pages, one pin.
Spec typical() {
  Spec spec;
  const SpaceId parent = spec.create_space();
  spec.mmap(parent, 0, 2, Protection::kReadWrite, MapFlags::kNone, {});
  spec.write(parent, 0, 0, 1, {});
  spec.write(parent, 1, 0, 2, {});
  SpecPinId pin;
  spec.pin(parent, 0, 2, PinFlags::kWrite | PinFlags::kLongTerm, {.value = 2}, pin);
  const SpaceId child = spec.fork(parent);
  spec.write(child, 0, 0, 3, {});
  return spec;
}

/// What the explorer does for each state: go back to it, take one step, keep the result.
void bm_step(benchmark::State& state) {
  Spec spec = typical();
  const std::vector<std::byte> bytes(spec.bytes().begin(), spec.bytes().end());
  for (auto _ : state) {
    spec.assign(bytes);
    benchmark::DoNotOptimize(spec.write(SpaceId{0}, 0, 0, 4, {}));
    benchmark::DoNotOptimize(spec.bytes().data());
  }
  state.counters["bytes"] = static_cast<double>(bytes.size());
}
BENCHMARK(bm_step);

void bm_judge_read(benchmark::State& state) {
  Spec spec = typical();
  for (auto _ : state) benchmark::DoNotOptimize(spec.read(SpaceId{0}, 0, 0, {.value = 3}));
}
BENCHMARK(bm_judge_read);

}  // namespace
}  // namespace cowherd::spec
