#include <benchmark/benchmark.h>

#include <cstdlib>
#include <utility>

#include "cowherd/accessor.hpp"
#include "cowherd/snapshot.hpp"
#include "mm/test_must.hpp"

namespace cowherd {
namespace {

/// A run of a fuzzer: eight pages in two tables are written, and the snapshot of `range(0)` pages is restored.
void bm_snapshot_cycle(benchmark::State& state) {
  const auto pages = static_cast<std::uint64_t>(state.range(0));
  Machine machine = must(Machine::create(ByteCount{(pages + 4096) * kPageBytes + pages * 64}));
  AddressSpace space = must(machine.create_space());
  const Vaddr at = must(space.map(ByteCount{pages * kPageBytes}, Protection::kReadWrite, MapFlags::kPopulate));
  const Snapshot snapshot = must(space.snapshot());
  Accessor memory = must(space.accessor());
  for (auto _ : state) {
    for (std::uint64_t i = 0; i < 8; ++i) {
      const std::uint64_t page = i % 2 * (pages / 2) + i;
      if (!memory.store(at + ByteCount{page * kPageBytes}, i)) std::abort();
    }
    if (!space.restore(snapshot)) std::abort();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(bm_snapshot_cycle)->Arg(256)->Arg(16384)->Arg(262144);

}  // namespace
}  // namespace cowherd
