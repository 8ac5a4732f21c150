#include <benchmark/benchmark.h>

#include <memory>

#include "mm/operations.hpp"
#include "mm/test_bed.hpp"

// The paths of the memory system one at a time, without an operating system below them.

namespace cowherd::mm {
namespace {

using P = ProductionGeometry;
constexpr PinFlags kDma = PinFlags::kWrite | PinFlags::kLongTerm;

constexpr MapFlags kFill = MapFlags::kFixed | MapFlags::kPopulate;

/// Fork of `pages` mapped pages of which `pinned` are pinned, and the child's exit.
void bm_fork_exit(benchmark::State& state) {
  const auto pages = static_cast<std::uint64_t>(state.range(0));
  const auto pinned = static_cast<std::uint64_t>(state.range(1));
  Bed<P> bed(pages * 2 + 4096);
  const ProcessId parent = bed.spawn();
  bed.map(parent, 0, pages, kFill);
  if (pinned != 0) {
    Bed<P>::must(pin(*bed, parent, Vaddr{0}, PageCount{pinned}, kDma));
  }
  for (auto _ : state) {
    const ProcessId child = Bed<P>::must(fork(*bed, parent));
    disown(*bed, child);
    benchmark::DoNotOptimize(exit(*bed, child));
  }
  state.counters["per page"] = benchmark::Counter(
      static_cast<double>(pages), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(bm_fork_exit)->Args({1, 0})->Args({512, 0})->Args({65536, 0})->Args({65536, 64})->Args({65536, 65536});

/// A family in which every generation forks the next and exits.
void bm_fork_in_line(benchmark::State& state) {
  Bed<P> bed(8192);
  ProcessId last = bed.spawn();
  bed.map(last, 0, 512, kFill);
  for (auto _ : state) {
    const ProcessId next = Bed<P>::must(fork(*bed, last));
    disown(*bed, next);
    benchmark::DoNotOptimize(exit(*bed, last));
    last = next;
  }
}
BENCHMARK(bm_fork_in_line);

/// First write to each page of a mapping.
void bm_fault_zero_fill(benchmark::State& state) {
  constexpr std::uint64_t kPages = 4096;
  Bed<P> bed(kPages + 64);
  const ProcessId process = bed.spawn();
  bed.map(process, 0, kPages);
  std::uint64_t page = 0;
  for (auto _ : state) {
    if (page == kPages) {
      state.PauseTiming();
      benchmark::DoNotOptimize(madvise(*bed, process, Vaddr{0}, Bed<P>::length(kPages), Advice::kDontNeed));
      page = 0;
      state.ResumeTiming();
    }
    bed.put(process, page++);
  }
}
BENCHMARK(bm_fault_zero_fill);

/// First write to each page after fork: the parent copies, the child, alone by then, reuses.
void bm_fault_after_fork(benchmark::State& state) {
  const bool reuse = state.range(0) != 0;
  constexpr std::uint64_t kPages = 4096;
  Bed<P> bed(kPages * 2 + 256);
  const ProcessId parent = bed.spawn();
  bed.map(parent, 0, kPages, kFill);
  ProcessId child = Bed<P>::must(fork(*bed, parent));
  if (reuse) {
    benchmark::DoNotOptimize(exit(*bed, child));
  }
  std::uint64_t page = 0;
  for (auto _ : state) {
    if (page == kPages) {
      state.PauseTiming();
      if (!reuse) {
        benchmark::DoNotOptimize(exit(*bed, child));
      }
      benchmark::DoNotOptimize(wait(*bed, parent, child));
      child = Bed<P>::must(fork(*bed, parent));
      if (reuse) {
        benchmark::DoNotOptimize(exit(*bed, child));
      }
      page = 0;
      state.ResumeTiming();
    }
    bed.put(parent, page++);
  }
  state.SetLabel(reuse ? "reuse" : "copy");
}
BENCHMARK(bm_fault_after_fork)->Arg(0)->Arg(1);

/// An access that needs no fault.
void bm_write_mapped(benchmark::State& state) {
  Bed<P> bed(2048);
  const ProcessId process = bed.spawn();
  bed.map(process, 0, 1024, kFill);
  std::uint64_t page = 0;
  for (auto _ : state) {
    bed.put(process, page++ % 1024);
  }
}
BENCHMARK(bm_write_mapped);

void bm_pin_unpin(benchmark::State& state) {
  const auto pages = static_cast<std::uint64_t>(state.range(0));
  Bed<P> bed(pages + 1024);
  const ProcessId process = bed.spawn();
  bed.map(process, 0, pages, kFill);
  for (auto _ : state) {
    unpin(*bed, Bed<P>::must(pin(*bed, process, Vaddr{0}, PageCount{pages}, kDma)).id, true);
  }
  state.counters["per page"] = benchmark::Counter(
      static_cast<double>(pages), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(bm_pin_unpin)->Arg(1)->Arg(64)->Arg(4096);

/// Into the lowest hole that is large enough, past holes that are not.
void bm_mmap_munmap(benchmark::State& state) {
  const auto others = static_cast<std::uint64_t>(state.range(0));
  Bed<P> bed(4096);
  const ProcessId process = bed.spawn();
  for (std::uint64_t i = 0; i < others; ++i) {
    bed.map(process, P::kFirstMapPage + 2 * i, 1);
  }
  for (auto _ : state) {
    const Vaddr at = Bed<P>::must(mmap(*bed, process, Vaddr{0}, Bed<P>::length(8), Protection::kRead, MapFlags::kNone));
    benchmark::DoNotOptimize(munmap(*bed, process, at, Bed<P>::length(8)));
  }
}
BENCHMARK(bm_mmap_munmap)->Arg(0)->Arg(100)->Arg(10000);

/// As many states as an explorer meets look: two processes, a few pages, a pin.
void bm_verify_small(benchmark::State& state) {
  using C = CheckedGeometry;
  Bed<C> bed(80);
  const ProcessId parent = bed.spawn();
  bed.map(parent, 0, 2, kFill);
  Bed<C>::must(pin(*bed, parent, Vaddr{0}, PageCount{1}, kDma));
  const ProcessId child = Bed<C>::must(fork(*bed, parent));
  bed.put(child, 1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(verify(*bed));
  }
}
BENCHMARK(bm_verify_small);

void bm_verify_large(benchmark::State& state) {
  Bed<P> bed(70000);
  const ProcessId parent = bed.spawn();
  bed.map(parent, 0, 65536, kFill);
  Bed<P>::must(fork(*bed, parent));
  for (auto _ : state) {
    benchmark::DoNotOptimize(verify(*bed));
  }
}
BENCHMARK(bm_verify_large);

// Several threads of the host in one address space, each on pages of its own: what they do has no lock in common but
// the mmap lock for reading, and the frame allocator.

constexpr std::uint64_t kPagesOfThread = 1024;

/// The first thread makes the machine before, and takes it away after, all threads have run.
class SharedBed {
 public:
  SharedBed(benchmark::State& state, bool filled) : state_(state) {
    if (state.thread_index() != 0) return;
    const auto pages = kPagesOfThread * static_cast<std::uint64_t>(state.threads());
    bed = std::make_unique<Bed<P>>(pages + 4096);
    process = bed->spawn();
    bed->map(process, 0, pages, filled ? kFill : MapFlags::kFixed);
  }
  ~SharedBed() {
    if (state_.thread_index() == 0) bed.reset();
  }
  SharedBed(const SharedBed&) = delete;
  SharedBed& operator=(const SharedBed&) = delete;

  [[nodiscard]] std::uint64_t page(std::uint64_t number) const {
    return kPagesOfThread * static_cast<std::uint64_t>(state_.thread_index()) + number % kPagesOfThread;
  }

  static inline std::unique_ptr<Bed<P>> bed;
  static inline ProcessId process;

 private:
  benchmark::State& state_;
};

void bm_threads_fault(benchmark::State& state) {
  const SharedBed shared(state, false);
  std::uint64_t next = 0;
  for (auto _ : state) {
    SharedBed::bed->put(SharedBed::process, shared.page(next++));
    if (next % kPagesOfThread == 0) {
      benchmark::DoNotOptimize(madvise(**SharedBed::bed, SharedBed::process, Bed<P>::at(shared.page(0)),
                                       Bed<P>::length(kPagesOfThread), Advice::kDontNeed));
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(bm_threads_fault)->ThreadRange(1, 2)->UseRealTime();

void bm_threads_write(benchmark::State& state) {
  const SharedBed shared(state, true);
  std::uint64_t next = 0;
  for (auto _ : state) SharedBed::bed->put(SharedBed::process, shared.page(next++));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(bm_threads_write)->ThreadRange(1, 2)->UseRealTime();

void bm_threads_pin_unpin(benchmark::State& state) {
  const PinFlags flags = kDma | (state.range(0) != 0 ? PinFlags::kFast : PinFlags::kNone);
  const SharedBed shared(state, true);
  std::uint64_t next = 0;
  for (auto _ : state) {
    const auto pinned = pin(**SharedBed::bed, SharedBed::process, Bed<P>::at(shared.page(next++)), PageCount{1}, flags);
    if (pinned) unpin(**SharedBed::bed, pinned->id, true);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
  state.SetLabel(state.range(0) != 0 ? "fast" : "slow");
}
BENCHMARK(bm_threads_pin_unpin)->Arg(0)->Arg(1)->ThreadRange(1, 2)->UseRealTime();

}  // namespace
}  // namespace cowherd::mm
