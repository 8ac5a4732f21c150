#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "measure/arrangement.hpp"
#include "measure/engine_bed.hpp"
#include "measure/engine_side.hpp"
#include "measure/host.hpp"
#include "measure/spread.hpp"
#include "measure/stopwatch.hpp"

namespace cowherd::measure::engine {
namespace {

struct Times {
  double pin;
  double unpin;
};

/// ns/page of both directions; `wanted` picks one.
Figure time_pins(const Load& load, double Times::*wanted) {
  Bed bed(load, 0);
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  // As many as Linux's side registers.
  constexpr std::uint64_t kMost = 8192;
  const std::uint64_t alone = std::min(load.pages / 2, kMost);
  const std::vector<std::uint64_t> pages = load.shuffled ? scattered(alone, load.pages) : std::vector<std::uint64_t>{0};
  const ByteCount bytes = load.shuffled ? ByteCount{kPageBytes} : bed.length();
  const double count = static_cast<double>(load.shuffled ? alone : load.pages);
  std::vector<double> times;
  std::vector<Pin> pins;
  pins.reserve(pages.size());
  for (unsigned round = 0; round <= load.repetitions; ++round) {
    const std::uint64_t free = bed.free_frames();
    evict_caches();
    bool fine = true;
    const double pin = timed(load.clock, [&] {
      for (const std::uint64_t page : pages) {
        auto pinned = bed.space().pin(bed.at(page), bytes, kForDevice);
        fine = fine && pinned.ok();
        if (pinned) pins.push_back(*std::move(pinned));
      }
    });
    for (std::size_t i = 0; i < pins.size(); ++i) {
      fine = fine && pins[i].pages() == PageCount{bytes.value() / kPageBytes};
      const std::uint64_t last = pins[i].pages().value() - 1;
      fine = fine && pins[i].bytes(PageCount{last})[0] == std::byte{stamp(pages[i] + last)};
    }
    if (!fine) return Figure::wrong("not every page was pinned");
    evict_caches();
    const double unpin = timed(load.clock, [&] {
      for (Pin& one : pins) one.release(true);
    });
    pins.clear();
    if (bed.free_frames() != free) return Figure::wrong("a pin left something behind");
    if (round != 0) times.push_back(Times{pin, unpin}.*wanted / count);
  }
  if (!bed.ends_well()) return Figure::wrong("the machine did not end as it began");
  return Figure::measured(spread_of(times).median);
}

enum class Way : std::uint8_t { kRead, kWrite };

Figure bulk(const Load& load, Way way) {
  constexpr std::uint64_t kCall = 1 << 20;
  Bed bed(load, 0, load.pages * kPageBytes);
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  const std::span<std::byte> buffer = bed.buffer();
  std::vector<double> times;
  for (unsigned round = 0; round <= load.repetitions; ++round) {
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
    if (round != 0) times.push_back(time);
  }
  if (!bed.ends_well()) return Figure::wrong("the machine did not end as it began");
  return Figure::measured(static_cast<double>(buffer.size()) / spread_of(times).median * 1e9 / (1 << 30));
}

/// ns/page to one thread of what each does on pages of its own; `work(number)` says whether it went well.
template <class Work>
Figure time_each(const Load& load, Bed& bed, Work&& work) {
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  std::vector<double> times;
  for (unsigned round = 0; round <= load.repetitions; ++round) {
    evict_caches();
    std::vector<char> fine(load.threads, 0);
    const double time = timed_on(load.threads, load.clock, [&](unsigned number) { fine[number] = work(number); });
    for (const char one : fine) {
      if (one == 0) return Figure::wrong("an operation failed");
    }
    if (round != 0) times.push_back(time);
  }
  if (!bed.ends_well()) return Figure::wrong("the machine did not end as it began");
  return Figure::measured(spread_of(times).median / static_cast<double>(load.pages));
}

}  // namespace

Figure pin(const Load& load) { return time_pins(load, &Times::pin); }
Figure unpin(const Load& load) { return time_pins(load, &Times::unpin); }
Figure bulk_read(const Load& load) { return bulk(load, Way::kRead); }
Figure bulk_write(const Load& load) { return bulk(load, Way::kWrite); }

Figure pin_and_unpin(const Load& load) {
  constexpr std::uint64_t kRun = 512;
  Bed bed(load, 0);
  return time_each(load, bed, [&](unsigned number) {
    bool fine = true;
    for (std::uint64_t page = 0; page < load.pages; page += kRun) {
      const std::uint64_t pages = std::min(kRun, load.pages - page);
      const auto pinned = bed.space().pin(bed.at(page, number), ByteCount{pages * kPageBytes}, kForDevice);
      fine = fine && pinned.ok() && pinned->pages() == PageCount{pages};
    }
    return fine;
  });
}

Figure small_reads(const Load& load) {
  Bed bed(load, 0);
  return time_each(load, bed, [&](unsigned number) {
    bool fine = true;
    std::uint64_t word = 0;
    const auto bytes = std::as_writable_bytes(std::span(&word, 1));
    for (std::uint64_t page = 0; page < load.pages; ++page) {
      fine = bed.space().read(bed.at(page, number), bytes).ok() && (word & 0xFF) == stamp(page) && fine;
    }
    return fine;
  });
}

}  // namespace cowherd::measure::engine
