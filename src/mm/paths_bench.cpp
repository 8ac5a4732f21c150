#include <benchmark/benchmark.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "mm/operations.hpp"
#include "mm/test_bed.hpp"
#include "mm/test_stopwatch.hpp"

// One path at a time, over more pages than caches hold, in the order of frames and in a random one. "per page" is
// processor time of the path alone: what prepares it is not timed.

namespace cowherd::mm {
namespace {

using P = ProductionGeometry;
constexpr PinFlags kFastDma = PinFlags::kWrite | PinFlags::kLongTerm | PinFlags::kFast;
constexpr std::uint64_t kPages = 65536;

std::vector<std::uint64_t> page_order(bool shuffled) {
  std::vector<std::uint64_t> order(kPages);
  std::iota(order.begin(), order.end(), 0);
  if (shuffled) std::shuffle(order.begin(), order.end(), std::mt19937_64(1));
  return order;
}

/// A process whose pages were first written in order, or in a random one.
class Filled {
 public:
  explicit Filled(bool shuffled) : order(page_order(shuffled)), bed(kPages * 3), parent(bed.spawn()) {
    bed.map(parent, 0, kPages);
    for (const std::uint64_t page : order) bed.put(parent, page);
  }
  void fork_child() { child = Bed<P>::must(fork(*bed, parent)); }
  void end_child() {
    disown(*bed, child);
    benchmark::DoNotOptimize(exit(*bed, child));
  }
  /// Faults every page in for writing.
  void fault_all() { Bed<P>::must(madvise(*bed, parent, Vaddr{0}, Bed<P>::length(kPages), Advice::kPopulateWrite)); }
  void fault_one(std::uint64_t page) {
    Bed<P>::must(madvise(*bed, parent, Bed<P>::at(page), Bed<P>::length(1), Advice::kPopulateWrite));
  }

  std::vector<std::uint64_t> order;
  Bed<P> bed;
  ProcessId parent;
  ProcessId child;
};

void bm_path_fork(benchmark::State& state) {
  Filled filled(state.range(0) != 0);
  measure(
      state, kPages, [&] { filled.fault_all(); }, [&] { filled.fork_child(); }, [&] { filled.end_child(); });
}
BENCHMARK(bm_path_fork)->Arg(0)->Arg(1)->UseManualTime();

void bm_path_exit(benchmark::State& state) {
  Filled filled(state.range(0) != 0);
  measure(
      state, kPages, [&] { filled.fork_child(); }, [&] { filled.end_child(); }, [] {});
}
BENCHMARK(bm_path_exit)->Arg(0)->Arg(1)->UseManualTime();

void bm_path_zero_fill(benchmark::State& state) {
  const bool populate = state.range(0) != 0;
  Bed<P> bed(kPages + 4096);
  const ProcessId process = bed.spawn();
  bed.map(process, 0, kPages);
  measure(
      state, kPages, [] {},
      [&] {
        if (populate) {
          benchmark::DoNotOptimize(
              madvise(*bed, process, Vaddr{0}, Bed<P>::length(kPages), Advice::kPopulateWrite).ok());
        } else {
          for (std::uint64_t page = 0; page < kPages; ++page) bed.put(process, page);
        }
      },
      [&] {
        benchmark::DoNotOptimize(madvise(*bed, process, Vaddr{0}, Bed<P>::length(kPages), Advice::kDontNeed).ok());
      });
  state.SetLabel(populate ? "populate" : "write");
}
BENCHMARK(bm_path_zero_fill)->Arg(0)->Arg(1)->UseManualTime();

void bm_path_cow_copy(benchmark::State& state) {
  Filled filled(state.range(0) != 0);
  measure(
      state, kPages, [&] { filled.fork_child(); }, [&] { filled.fault_all(); }, [&] { filled.end_child(); });
}
BENCHMARK(bm_path_cow_copy)->Arg(0)->Arg(1)->UseManualTime();

void bm_path_cow_reuse(benchmark::State& state) {
  const std::vector<std::uint64_t> order = page_order(state.range(0) != 0);
  Filled filled(false);
  measure(
      state, kPages,
      [&] {
        filled.fork_child();
        filled.end_child();
      },
      [&] {
        if (state.range(0) == 0) {
          filled.fault_all();
        } else {
          for (const std::uint64_t page : order) filled.fault_one(page);
        }
      },
      [] {});
}
BENCHMARK(bm_path_cow_reuse)->Arg(0)->Arg(1)->UseManualTime();

void bm_path_unmap(benchmark::State& state) {
  const std::vector<std::uint64_t> order = page_order(state.range(0) != 0);
  Bed<P> bed(kPages + 4096);
  const ProcessId process = bed.spawn();
  measure(
      state, kPages,
      [&] {
        bed.map(process, 0, kPages);
        for (const std::uint64_t page : order) bed.put(process, page);
      },
      [&] { benchmark::DoNotOptimize(munmap(*bed, process, Vaddr{0}, Bed<P>::length(kPages)).ok()); }, [] {});
}
BENCHMARK(bm_path_unmap)->Arg(0)->Arg(1)->UseManualTime();

void bm_path_mprotect(benchmark::State& state) {
  const bool down = state.range(0) != 0;
  Filled filled(false);
  const auto set = [&](Protection protection) {
    benchmark::DoNotOptimize(mprotect(*filled.bed, filled.parent, Vaddr{0}, Bed<P>::length(kPages), protection).ok());
  };
  const Protection before = down ? Protection::kReadWrite : Protection::kRead;
  const Protection after = down ? Protection::kRead : Protection::kReadWrite;
  measure(
      state, kPages, [&] { set(before); }, [&] { set(after); }, [] {});
  state.SetLabel(down ? "to read-only" : "to writable");
}
BENCHMARK(bm_path_mprotect)->Arg(0)->Arg(1)->UseManualTime();

/// Pins of `pages` pages, one after the other in a random order, and how they are given back.
void bm_path_pin(benchmark::State& state) {
  const auto pages = static_cast<std::uint64_t>(state.range(0));
  const bool unpins = state.range(1) != 0;
  Filled filled(false);
  std::vector<std::uint64_t> starts(kPages / pages / 4);
  std::iota(starts.begin(), starts.end(), 0);
  std::shuffle(starts.begin(), starts.end(), std::mt19937_64(1));
  std::vector<PinId> pins;
  pins.reserve(starts.size());
  const auto pin_all = [&] {
    for (const std::uint64_t start : starts) {
      const Vaddr at = Bed<P>::at(start * 4 * pages);
      pins.push_back(Bed<P>::must(pin(*filled.bed, filled.parent, at, PageCount{pages}, kFastDma)).id);
    }
  };
  const auto unpin_all = [&] {
    for (const PinId id : pins) unpin(*filled.bed, id, true);
    pins.clear();
  };
  if (unpins) {
    measure(state, kPages / 4, pin_all, unpin_all, [] {});
  } else {
    measure(
        state, kPages / 4, [] {}, pin_all, unpin_all);
  }
  state.SetLabel(unpins ? "unpin" : "pin");
}
BENCHMARK(bm_path_pin)->Args({1, 0})->Args({1, 1})->Args({512, 0})->Args({512, 1})->UseManualTime();

/// One page's protection changes and comes back: two splits, two merges.
void bm_path_split_merge(benchmark::State& state) {
  Bed<P> bed(4096);
  const ProcessId process = bed.spawn();
  bed.map(process, 0, 512, MapFlags::kFixed | MapFlags::kPopulate);
  std::uint64_t page = 1;
  const auto set = [&](Protection protection) {
    benchmark::DoNotOptimize(mprotect(*bed, process, Bed<P>::at(page), Bed<P>::length(1), protection).ok());
  };
  for (auto _ : state) {
    set(Protection::kRead);
    set(Protection::kReadWrite);
    page = page % 510 + 1;
  }
}
BENCHMARK(bm_path_split_merge);

void bm_path_fork_vmas(benchmark::State& state) {
  constexpr std::uint64_t kVmas = 4096;
  Bed<P> bed(16384);
  const ProcessId parent = bed.spawn();
  for (std::uint64_t i = 0; i < kVmas; ++i) {
    bed.map(parent, 2 * i, 1);
    bed.put(parent, 2 * i);
  }
  ProcessId child;
  measure(
      state, kVmas, [] {}, [&] { child = Bed<P>::must(fork(*bed, parent)); },
      [&] {
        disown(*bed, child);
        benchmark::DoNotOptimize(exit(*bed, child).ok());
      });
}
BENCHMARK(bm_path_fork_vmas)->UseManualTime();

}  // namespace
}  // namespace cowherd::mm
