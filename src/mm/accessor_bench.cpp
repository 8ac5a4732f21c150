#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "cowherd/accessor.hpp"
#include "mm/test_must.hpp"

// What an access to an address space costs: one word, and many bytes beside the host's memcpy().

namespace cowherd {
namespace {

/// An address space with one mapping of `pages` pages, all of them present and written.
struct Guest {
  explicit Guest(std::uint64_t pages)
      : machine(must(Machine::create(ByteCount{(pages + 4096) * kPageBytes * 2}))),
        space(must(machine.create_space())),
        at(must(space.map(ByteCount{pages * kPageBytes}, Protection::kReadWrite, MapFlags::kPopulate))) {}

  Machine machine;
  AddressSpace space;
  Vaddr at;
};

/// Addresses of words within `pages` pages, in an order that nobody can guess.
std::vector<Vaddr> scattered(Vaddr at, std::uint64_t pages) {
  std::mt19937_64 random(1);
  std::vector<Vaddr> addresses(4096);
  for (Vaddr& address : addresses) address = at + ByteCount{random() % (pages * kPageBytes) & ~std::uint64_t{7}};
  return addresses;
}

void bm_hit(benchmark::State& state) {
  constexpr std::uint64_t kPages = 8;
  Guest guest(kPages);
  Accessor accessor = must(guest.space.accessor());
  const std::vector<Vaddr> addresses = scattered(guest.at, kPages);
  const bool stores = state.range(0) != 0;
  std::uint64_t sum = 0;
  for (auto _ : state) {
    for (const Vaddr address : addresses) {
      if (stores) {
        if (!accessor.store<std::uint64_t>(address, sum)) std::abort();
      } else {
        sum += *accessor.load<std::uint64_t>(address);
      }
    }
    benchmark::DoNotOptimize(sum);
  }
  state.counters["per access"] =
      benchmark::Counter(static_cast<double>(addresses.size()),
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.SetLabel(stores ? "store" : "load");
}
BENCHMARK(bm_hit)->Arg(0)->Arg(1);

/// Pages in turn, more of them than are remembered: every access is a miss.
void bm_miss(benchmark::State& state) {
  const auto pages = static_cast<std::uint64_t>(state.range(0));
  Guest guest(pages);
  Accessor accessor = must(guest.space.accessor());
  std::uint64_t page = 0;
  std::uint64_t sum = 0;
  for (auto _ : state) {
    sum += *accessor.load<std::uint64_t>(guest.at + ByteCount{page * kPageBytes});
    page = (page + 257) % pages;
  }
  benchmark::DoNotOptimize(sum);
}
BENCHMARK(bm_miss)->Arg(1024)->Arg(65536);

enum class Way { kMemcpy, kSpace, kAccessor };

/// Moves `range(1)` bytes at a time out of `range(2)` MiB, or into them.
void bm_bulk(benchmark::State& state, bool write) {
  const auto way = static_cast<Way>(state.range(0));
  const auto size = static_cast<std::size_t>(state.range(1));
  const std::size_t total = static_cast<std::size_t>(state.range(2)) << 20;
  Guest guest(total / kPageBytes);
  Accessor accessor = must(guest.space.accessor());
  std::vector<std::byte> host(size, std::byte{1});
  std::vector<std::byte> other(way == Way::kMemcpy ? total : 0, std::byte{2});
  std::size_t offset = 0;
  for (auto _ : state) {
    const Vaddr at = guest.at + ByteCount{offset};
    switch (way) {
      case Way::kMemcpy:
        write ? std::memcpy(other.data() + offset, host.data(), size)
              : std::memcpy(host.data(), other.data() + offset, size);
        break;
      case Way::kSpace:
        if (!(write ? guest.space.write(at, host) : guest.space.read(at, host))) std::abort();
        break;
      case Way::kAccessor:
        if (!(write ? accessor.write(at, host) : accessor.read(at, host))) std::abort();
        break;
    }
    benchmark::ClobberMemory();
    offset = offset + 2 * size <= total ? offset + size : 0;
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(size));
  constexpr const char* kNames[] = {"memcpy", "AddressSpace", "Accessor"};
  state.SetLabel(kNames[state.range(0)]);
}
void bm_bulk_read(benchmark::State& state) { bm_bulk(state, false); }
void bm_bulk_write(benchmark::State& state) { bm_bulk(state, true); }
BENCHMARK(bm_bulk_read)->ArgsProduct({{0, 1, 2}, {4096, 65536}, {0 + 1, 256}});
BENCHMARK(bm_bulk_write)->ArgsProduct({{0, 1, 2}, {4096, 65536}, {0 + 1, 256}});

/// A change to an address space that an accessor of this thread, or of no thread, remembers.
void bm_protect(benchmark::State& state) {
  Guest guest(1);
  std::vector<Accessor> accessors;
  if (state.range(0) != 0) accessors.push_back(must(guest.space.accessor()));
  for (auto _ : state) {
    for (const Protection protection : {Protection::kRead, Protection::kReadWrite}) {
      for (Accessor& accessor : accessors) benchmark::DoNotOptimize(accessor.load<int>(guest.at));
      if (!guest.space.protect(guest.at, ByteCount{kPageBytes}, protection)) std::abort();
    }
  }
  state.SetLabel(state.range(0) != 0 ? "with an accessor" : "without");
}
BENCHMARK(bm_protect)->Arg(0)->Arg(1);

}  // namespace
}  // namespace cowherd
