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
#include "measure/stopwatch.hpp"

namespace cowherd::measure::engine {
namespace {

/// Of a difference between two times.
constexpr const char* kLost = "lost in the noise of this machine";

/// ns that fork() and then `more()` take, from cold caches. `wrong(child)` is what is not as it should be, or null.
template <class More, class Wrong>
Figure time_fork(Bed& bed, const Load& load, More&& more, Wrong&& wrong) {
  evict_caches();
  std::optional<Result<AddressSpace>> child;
  bool fine = false;
  const double time = timed(load.clock, [&] {
    child.emplace(bed.space().fork(load.mode));
    fine = child->ok() && more();
  });
  if (!child->ok()) return Figure::unavailable("fork lacks memory");
  if (!fine) return Figure::wrong("a page could not be written");
  const char* const what = wrong(**child);
  return what == nullptr ? Figure::measured(time) : Figure::wrong(what);
}

bool nothing_more() { return true; }

/// Room for what pins_kept() and parted_from() need: pinned pages are copied at every fork.
std::uint64_t copies_of(const Load& load) { return load.pins + load.pages / kCheckEvery; }

/// ns of fork() alone, every page written since the last one. `last`: the checks that change something follow.
Figure time_fork_alone(Bed& bed, const Load& load, bool last) {
  if (!bed.store_all()) return Figure::wrong("pages could not be made writable again");
  const std::uint64_t free = bed.free_frames();
  Figure figure = time_fork(bed, load, nothing_more, [&](AddressSpace& child) -> const char* {
    if (!bed.stamped(child)) return "the child did not find its memory";
    if (last && !bed.pins_kept(child)) return "a pinned page was parted from its device";
    if (last && !bed.parted_from(child)) return "the child sees what its parent writes";
    return nullptr;
  });
  // The last check writes, and what was the zero page before is a page of its own now.
  const bool wrote = load.tables_alone && last;
  if (figure.ok() && bed.free_frames() != free && !wrote) return Figure::wrong("the child's frames did not come back");
  return figure;
}

/// Nanoseconds of fork() alone.
Figure time_forks(const Load& load) {
  Bed bed(load, copies_of(load));
  bed.map();
  bed.fill();
  bed.pin();
  return bed.measure([&](bool last) { return time_fork_alone(bed, load, last); });
}

/// us; the part of all first writes that are as fast.
Figure first_write(const Load& load, double part) {
  Bed bed(load, load.pages / kRunPages * 3 + 64);
  bed.map();
  bed.fill();
  // Of all repetitions but the first.
  std::vector<double> times;
  unsigned repetition = 0;
  Figure all = bed.measure([&](bool) -> Figure {
    if (repetition++ == 1) times.clear();
    if (!bed.store_all()) return Figure::wrong("pages could not be made writable again");
    auto child = bed.space().fork(load.mode);
    if (!child) return Figure::unavailable("fork lacks memory");
    const std::uint64_t free = bed.free_frames();
    evict_caches();
    for (std::uint64_t page = 0; page < load.pages; page += kRunPages) {
      const std::byte value{stamp(page)};
      bool fine = false;
      times.push_back(timed(load.clock, [&] { fine = bed.space().write(bed.at(page), {&value, 1}).ok(); }));
      if (!fine) return Figure::wrong("a page could not be written");
    }
    // A table and a page each, and what is above.
    if (free - bed.free_frames() < load.pages / kRunPages) return Figure::wrong("not every page was copied");
    if (!bed.stamped(*child)) return Figure::wrong("the child did not keep its memory");
    return Figure::measured(0);
  });
  if (!all.ok()) return all;
  std::ranges::sort(times);
  const auto last = static_cast<double>(times.size() - 1);
  return Figure::measured(times[static_cast<std::size_t>(last * part)] / 1e3);
}

}  // namespace

Figure fork_latency(const Load& load) { return time_forks(load).over(static_cast<double>(load.pages)); }

Figure fork_whole(const Load& load) { return time_forks(load).over(1e3); }

Figure fork_one_gib(const Load& load) {
  Load one = load;
  one.pages = 1 << 18;
  return fork_whole(one);
}

Figure fork_per_pin(const Load& load) {
  Bed bed(load, copies_of(load));
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  Figure without = repeat(load, [&](bool) { return time_fork_alone(bed, load, false); });
  if (!without.ok()) return without;
  bed.pin();
  Figure with = bed.measure([&](bool last) { return time_fork_alone(bed, load, last); });
  if (!with.ok()) return with;
  if (with.value() <= without.value()) return Figure::unavailable(kLost);
  return Figure::measured((with.value() - without.value()) / static_cast<double>(load.pins) / 1e3);
}

Figure fork_per_run(const Load& load) {
  Bed bed(load, copies_of(load) + load.pages / kRunPages);
  bed.map();
  bed.fill();
  Figure all = bed.measure([&](bool last) -> Figure {
    if (!bed.store_all()) return Figure::wrong("pages could not be made writable again");
    const std::uint64_t free = bed.free_frames();
    return time_fork(bed, load, nothing_more, [&](AddressSpace& child) -> const char* {
      // What is above them, of a small load too.
      constexpr std::uint64_t kAbove = 64;
      if (free - bed.free_frames() > load.pages / kRunPages / 64 + kAbove) return "the child has got lowest tables";
      if (!bed.stamped(child)) return "the child did not find its memory";
      return last && !bed.parted_from(child) ? "the child sees what its parent writes" : nullptr;
    });
  });
  return all.over(static_cast<double>(load.pages) / kRunPages);
}

Figure fork_per_piece_pin(const Load& load) {
  // Fork takes a run apart of which a page is pinned: each repetition makes its own.
  const auto measure = [&](std::uint64_t pins) {
    Load some = load;
    some.pins = pins;
    return repeat(load, [&](bool) -> Figure {
      Bed bed(some, load.pages / kRunPages * 4);
      bed.map();
      bed.fill();
      bed.pin();
      if (bed.failure()) return *bed.failure();
      const std::uint64_t free = bed.free_frames();
      Figure figure = time_fork(bed, some, nothing_more, [&](AddressSpace& child) -> const char* {
        // To a pin a page and two tables, to the child what is above.
        constexpr std::uint64_t kAbove = 64;
        if (free - bed.free_frames() > pins * 3 + kAbove) return "more than the pinned pages was copied";
        if (!bed.stamped(child)) return "the child did not find its memory";
        return bed.pins_kept(child) ? nullptr : "a pinned page was parted from its device";
      });
      return bed.end(std::move(figure));
    });
  };
  Figure without = measure(0);
  if (!without.ok()) return without;
  Figure with = measure(load.pins);
  if (!with.ok()) return with;
  if (with.value() <= without.value()) return Figure::unavailable(kLost);
  return Figure::measured((with.value() - without.value()) / static_cast<double>(load.pins) / 1e3);
}

Figure fork_per_vma(const Load& load) {
  const auto measure = [&](bool apart) -> Figure {
    Load doubled = load;
    doubled.pages = load.pages * 2;
    Bed bed(doubled);
    bed.map();
    const auto store = [&] {
      bool fine = true;
      for (std::uint64_t i = 0; i < load.pages; ++i) {
        const std::byte value{stamp(i)};
        fine = fine && bed.space().write(bed.at(2 * i), {&value, 1}).ok();
      }
      return fine;
    };
    if (bed.failure()) return *bed.failure();
    if (!store()) return Figure::unavailable("the machine is too small");
    for (std::uint64_t i = 0; apart && i < load.pages; ++i) {
      if (!bed.space().protect(bed.at(2 * i + 1), ByteCount{kPageBytes}, Protection::kNone)) {
        return Figure::unavailable("too many VMAs");
      }
    }
    return bed.measure([&](bool) -> Figure {
      if (!store()) return Figure::wrong("a page could not be written");
      return time_fork(bed, load, nothing_more, [&](AddressSpace& child) {
        std::byte value{};
        const bool found = child.read(bed.at(2 * (load.pages - 1)), {&value, 1}).ok();
        return found && value == std::byte{stamp(load.pages - 1)} ? nullptr : "the child did not find its memory";
      });
    });
  };
  Figure one = measure(false);
  if (!one.ok()) return one;
  Figure many = measure(true);
  if (!many.ok()) return many;
  if (many.value() <= one.value()) return Figure::unavailable(kLost);
  return Figure::measured((many.value() - one.value()) / static_cast<double>(2 * load.pages));
}

Figure fork_cycles(const Load& load) {
  Bed bed(load);
  bed.map();
  bed.fill();
  constexpr unsigned kDirtied = 8;
  const std::uint64_t apart = load.pages / 2;
  const Figure cycle = bed.measure([&](bool) -> Figure {
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
    return Figure::measured(time);
  });
  return cycle.ok() ? Figure::measured(1e9 / cycle.value()) : cycle;
}

Figure fork_and_write(const Load& load) {
  Bed bed(load, load.pages);
  bed.map();
  bed.fill();
  bed.pin();
  return bed
      .measure([&](bool) -> Figure {
        if (!bed.store_all()) return Figure::wrong("pages could not be made writable again");
        const std::uint64_t free = bed.free_frames();
        return time_fork(
            bed, load, [&] { return bed.populate_all(); },
            [&](AddressSpace& child) -> const char* {
              if (free - bed.free_frames() < load.pages) return "not every page was copied";
              return bed.stamped(child) ? nullptr : "the child did not keep its memory";
            });
      })
      .over(static_cast<double>(load.pages));
}

Figure classic_fork_and_write(const Load& load) {
  Load classic = load;
  classic.mode = ForkMode::kClassic;
  return fork_and_write(classic);
}

Figure drop_child(const Load& load) {
  Bed bed(load);
  bed.map();
  bed.fill();
  return bed
      .measure([&](bool) -> Figure {
        const std::uint64_t free = bed.free_frames();
        auto child = bed.space().fork(load.mode);
        if (!child) return Figure::unavailable("fork lacks memory");
        evict_caches();
        std::optional<AddressSpace> held(*std::move(child));
        const double time = timed(load.clock, [&] { held.reset(); });
        if (bed.free_frames() != free) return Figure::wrong("the child's frames did not come back");
        return Figure::measured(time);
      })
      .over(1e3);
}

Figure fork_metadata(const Load& load) {
  Bed bed(load);
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
  return bed.end(Figure::measured(static_cast<double>(taken * kPageBytes) / 1024));
}

Figure first_write(const Load& load) { return first_write(load, 0.5); }
Figure first_write_p99(const Load& load) { return first_write(load, 0.99); }

}  // namespace cowherd::measure::engine
