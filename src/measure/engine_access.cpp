#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "cowherd/accessor.hpp"
#include "measure/arrangement.hpp"
#include "measure/engine_bed.hpp"
#include "measure/engine_side.hpp"
#include "measure/host.hpp"
#include "measure/stopwatch.hpp"

namespace cowherd::measure::engine {
namespace {

enum class Way : std::uint8_t { kRead, kWrite };

Figure bulk(const Load& load, Way way) {
  constexpr std::uint64_t kCall = 1 << 20;
  Bed bed(load, 0, load.pages * kPageBytes);
  bed.map();
  bed.fill();
  const std::span<std::byte> buffer = bed.buffer();
  const Figure all = bed.measure([&](bool) -> Figure {
    for (std::uint64_t page = 0; page < load.pages; ++page) {
      buffer[page * kPageBytes] = way == Way::kRead ? std::byte{0} : std::byte{stamp(page)};
    }
    evict_caches();
    bool fine = true;
    const double time = timed(load.clock, [&] {
      for (std::uint64_t done = 0; done < buffer.size(); done += kCall) {
        const auto part = buffer.subspan(done, std::min<std::uint64_t>(kCall, buffer.size() - done));
        const Vaddr address = bed.at(0) + ByteCount{done};
        fine = fine && (way == Way::kRead ? bed.space().read(address, part) : bed.space().write(address, part)).ok();
      }
    });
    for (std::uint64_t page = 0; fine && page < load.pages; page += kCheckEvery) {
      fine = buffer[page * kPageBytes] == std::byte{stamp(page)};
    }
    if (!fine || !bed.stamped(bed.space())) return Figure::wrong("a page was not moved");
    return Figure::measured(time);
  });
  return all.ok() ? Figure::measured(static_cast<double>(buffer.size()) / all.value() * 1e9 / (1 << 30)) : all;
}

}  // namespace

Figure bulk_read(const Load& load) { return bulk(load, Way::kRead); }
Figure bulk_write(const Load& load) { return bulk(load, Way::kWrite); }

Figure small_reads(const Load& load) {
  Bed bed(load);
  return bed.measure_each([&](unsigned number) {
    bool fine = true;
    std::uint64_t word = 0;
    const auto bytes = std::as_writable_bytes(std::span(&word, 1));
    for (std::uint64_t page = 0; page < load.pages; ++page) {
      fine = bed.space().read(bed.at(page, number), bytes).ok() && (word & 0xFF) == stamp(page) && fine;
    }
    return fine;
  });
}

Figure accessor_hit(const Load& load) {
  Load few = load;
  few.pages = kHitPages;
  Bed bed(few);
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  const std::vector<std::uint64_t> offsets = scattered_words();
  std::vector<Vaddr> addresses;
  std::uint64_t stamps = 0;
  for (const std::uint64_t offset : offsets) {
    addresses.push_back(bed.at(0) + ByteCount{offset});
    if (offset % kPageBytes == 0) stamps += stamp(offset / kPageBytes);
  }
  Figure figure = Figure::unavailable("no accessor");
  if (auto accessor = bed.space().accessor()) {
    figure = repeat(load, [&](bool) {
      bool fine = true;
      std::uint64_t sum = 0;
      const double time = timed(load.clock, [&] {
        for (unsigned turn = 0; turn < kHitTurns; ++turn) {
          for (const Vaddr address : addresses) {
            const auto word = accessor->load<std::uint64_t>(address);
            if (word) {
              sum += *word;
            } else {
              fine = false;
            }
          }
        }
      });
      if (!fine || sum != kHitTurns * stamps) return Figure::wrong("a load did not find what was there");
      return Figure::measured(time / static_cast<double>(kHitTurns * addresses.size()));
    });
  }
  return bed.end(figure);
}

Figure accessor_miss(const Load& load) {
  Bed bed(load);
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  std::vector<Vaddr> addresses;
  for (const std::uint64_t page : scattered_pages(load.pages)) addresses.push_back(bed.at(page));
  Figure figure = Figure::unavailable("no accessor");
  if (auto accessor = bed.space().accessor()) {
    figure = repeat(load, [&](bool) {
      evict_caches();
      bool fine = true;
      const double time = timed(load.clock, [&] {
        for (const Vaddr address : addresses) {
          const auto word = accessor->load<std::uint64_t>(address);
          fine = fine && word.ok() && *word == 0;
        }
      });
      if (!fine) return Figure::wrong("a load did not find what was there");
      return Figure::measured(time / static_cast<double>(addresses.size()));
    });
  }
  return bed.end(figure);
}

}  // namespace cowherd::measure::engine
