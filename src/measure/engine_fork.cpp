#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
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

/// Of a difference between two times.
constexpr const char* kLost = "lost in the noise of this machine";

Figure over(const Figure& figure, double divisor) {
  return figure.ok() ? Figure::measured(figure.value() / divisor) : figure;
}

/// Nanoseconds of fork() alone.
Figure time_forks(const Load& load) {
  // Pinned pages are copied at every fork, and the last round's check writes to some others.
  Bed bed(load, load.pins + load.pages / kCheckEvery);
  bed.map();
  bed.fill();
  bed.pin();
  if (bed.failure()) return *bed.failure();
  std::vector<double> times;
  for (unsigned round = 0; round <= load.repetitions; ++round) {
    if (!bed.store_all()) return Figure::wrong("pages could not be made writable again");
    const std::uint64_t free = bed.free_frames();
    evict_caches();
    std::optional<Result<AddressSpace>> child;
    const double time = timed(load.clock, [&] { child.emplace(bed.space().fork(load.mode)); });
    if (!child->ok()) return Figure::unavailable("fork lacks memory");
    if (!bed.stamped(**child)) return Figure::wrong("the child did not find its memory");
    if (round == load.repetitions) {
      if (!bed.pins_kept(**child)) return Figure::wrong("a pinned page was parted from its device");
      if (!bed.parted_from(**child)) return Figure::wrong("the child sees what its parent writes");
    }
    child.reset();
    // The last check writes, and what was the zero page before is a page of its own now.
    const bool wrote = load.tables_alone && round == load.repetitions;
    if (bed.free_frames() != free && !wrote) return Figure::wrong("the child's frames did not come back");
    if (round != 0) times.push_back(time);
  }
  if (!bed.ends_well()) return Figure::wrong("the machine did not end as it began");
  return Figure::measured(spread_of(times).median);
}

/// us; the part of all first writes that are as fast.
Figure first_write(const Load& load, double part) {
  constexpr std::uint64_t kEntries = 512;
  Bed bed(load, load.pages / kEntries * 3 + 64);
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  std::vector<double> times;
  for (unsigned round = 0; round <= load.repetitions; ++round) {
    if (!bed.store_all()) return Figure::wrong("pages could not be made writable again");
    auto child = bed.space().fork(load.mode);
    if (!child) return Figure::unavailable("fork lacks memory");
    const std::uint64_t free = bed.free_frames();
    evict_caches();
    for (std::uint64_t page = 0; page < load.pages; page += kEntries) {
      const std::byte value{stamp(page)};
      bool fine = false;
      const double time = timed(load.clock, [&] { fine = bed.space().write(bed.at(page), {&value, 1}).ok(); });
      if (!fine) return Figure::wrong("a page could not be written");
      if (round != 0) times.push_back(time);
    }
    // A table and a page each, and what is above.
    if (free - bed.free_frames() < load.pages / kEntries) return Figure::wrong("not every page was copied");
    if (!bed.stamped(*child)) return Figure::wrong("the child did not keep its memory");
  }
  if (!bed.ends_well()) return Figure::wrong("the machine did not end as it began");
  std::ranges::sort(times);
  const auto last = static_cast<double>(times.size() - 1);
  return Figure::measured(times[static_cast<std::size_t>(last * part)] / 1e3);
}

}  // namespace

Figure fork_latency(const Load& load) { return over(time_forks(load), static_cast<double>(load.pages)); }

Figure fork_whole(const Load& load) { return over(time_forks(load), 1e3); }

Figure fork_one_gib(const Load& load) {
  Load one = load;
  one.pages = 1 << 18;
  return fork_whole(one);
}

Figure fork_per_pin(const Load& load) {
  Load without = load;
  without.pins = 0;
  Figure base = time_forks(without);
  if (!base.ok()) return base;
  Figure with = time_forks(load);
  if (!with.ok()) return with;
  if (with.value() <= base.value()) return Figure::unavailable(kLost);
  return Figure::measured((with.value() - base.value()) / static_cast<double>(load.pins) / 1e3);
}

Figure fork_per_vma(const Load& load) {
  const auto measure = [&](bool apart) -> Figure {
    Load doubled = load;
    doubled.pages = load.pages * 2;
    Bed bed(doubled, 0);
    bed.map();
    if (bed.failure()) return *bed.failure();
    const auto store = [&] {
      bool fine = true;
      for (std::uint64_t i = 0; i < load.pages; ++i) {
        const std::byte value{stamp(i)};
        fine = fine && bed.space().write(bed.at(2 * i), {&value, 1}).ok();
      }
      return fine;
    };
    if (!store()) return Figure::unavailable("the machine is too small");
    for (std::uint64_t i = 0; apart && i < load.pages; ++i) {
      if (!bed.space().protect(bed.at(2 * i + 1), ByteCount{kPageBytes}, Protection::kNone)) {
        return Figure::unavailable("too many VMAs");
      }
    }
    std::vector<double> times;
    for (unsigned round = 0; round <= load.repetitions; ++round) {
      if (!store()) return Figure::wrong("a page could not be written");
      evict_caches();
      std::optional<Result<AddressSpace>> child;
      const double time = timed(load.clock, [&] { child.emplace(bed.space().fork(load.mode)); });
      std::byte value{};
      if (!child->ok() || !(*child)->read(bed.at(2 * (load.pages - 1)), {&value, 1}) ||
          value != std::byte{stamp(load.pages - 1)}) {
        return Figure::wrong("the child did not find its memory");
      }
      if (round != 0) times.push_back(time);
    }
    if (!bed.ends_well()) return Figure::wrong("the machine did not end as it began");
    return Figure::measured(spread_of(times).median);
  };
  Figure one = measure(false);
  if (!one.ok()) return one;
  Figure many = measure(true);
  if (!many.ok()) return many;
  if (many.value() <= one.value()) return Figure::unavailable(kLost);
  return Figure::measured((many.value() - one.value()) / static_cast<double>(2 * load.pages));
}

Figure fork_cycles(const Load& load) {
  Bed bed(load, 0);
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  constexpr unsigned kDirtied = 8;
  const std::uint64_t apart = load.pages / 2;
  std::vector<double> times;
  for (unsigned round = 0; round <= load.repetitions; ++round) {
    const std::uint64_t free = bed.free_frames();
    std::uint64_t free_when_dirty = free;
    bool fine = true;
    const double time = timed(load.clock, [&] {
      auto child = bed.space().fork(load.mode);
      fine = child.ok();
      for (unsigned i = 0; fine && i < kDirtied; ++i) {
        const std::uint64_t page = (i % 2) * apart + i;
        const std::byte value{stamp(page)};
        fine = bed.space().write(bed.at(page), {&value, 1}).ok();
      }
      free_when_dirty = bed.free_frames();
    });
    if (!fine || free - free_when_dirty < kDirtied) return Figure::wrong("not every dirtied page was copied");
    if (bed.free_frames() != free) return Figure::wrong("the child's frames did not come back");
    if (round != 0) times.push_back(time);
  }
  if (!bed.ends_well()) return Figure::wrong("the machine did not end as it began");
  return Figure::measured(1e9 / spread_of(times).median);
}

Figure fork_and_write(const Load& load) {
  Bed bed(load, load.pages);
  bed.map();
  bed.fill();
  bed.pin();
  if (bed.failure()) return *bed.failure();
  std::vector<double> times;
  for (unsigned round = 0; round <= load.repetitions; ++round) {
    if (!bed.store_all()) return Figure::wrong("pages could not be made writable again");
    const std::uint64_t free = bed.free_frames();
    evict_caches();
    std::optional<Result<AddressSpace>> child;
    bool written = false;
    const double time = timed(load.clock, [&] {
      child.emplace(bed.space().fork(load.mode));
      written = child->ok() && bed.populate_all();
    });
    if (!written || free - bed.free_frames() < load.pages) return Figure::wrong("not every page was copied");
    if (!bed.stamped(**child)) return Figure::wrong("the child did not keep its memory");
    child.reset();
    if (round != 0) times.push_back(time);
  }
  if (!bed.ends_well()) return Figure::wrong("the machine did not end as it began");
  return Figure::measured(spread_of(times).median / static_cast<double>(load.pages));
}

Figure classic_fork_and_write(const Load& load) {
  Load classic = load;
  classic.mode = ForkMode::kClassic;
  return fork_and_write(classic);
}

Figure drop_child(const Load& load) {
  Bed bed(load, 0);
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  std::vector<double> times;
  for (unsigned round = 0; round <= load.repetitions; ++round) {
    const std::uint64_t free = bed.free_frames();
    auto child = bed.space().fork(load.mode);
    if (!child) return Figure::unavailable("fork lacks memory");
    evict_caches();
    std::optional<AddressSpace> held(*std::move(child));
    const double time = timed(load.clock, [&] { held.reset(); });
    if (bed.free_frames() != free) return Figure::wrong("the child's frames did not come back");
    if (round != 0) times.push_back(time);
  }
  if (!bed.ends_well()) return Figure::wrong("the machine did not end as it began");
  return Figure::measured(spread_of(times).median / 1e3);
}

Figure fork_metadata(const Load& load) {
  Bed bed(load, 0);
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  const std::uint64_t free = bed.free_frames();
  std::uint64_t taken = 0;
  {
    const auto child = bed.space().fork(load.mode);
    if (!child) return Figure::unavailable("fork lacks memory");
    taken = free - bed.free_frames();
  }
  if (!bed.ends_well()) return Figure::wrong("the machine did not end as it began");
  return Figure::measured(static_cast<double>(taken * kPageBytes) / 1024);
}

Figure first_write(const Load& load) { return first_write(load, 0.5); }
Figure first_write_p99(const Load& load) { return first_write(load, 0.99); }

}  // namespace cowherd::measure::engine
