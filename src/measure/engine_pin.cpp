#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "measure/arrangement.hpp"
#include "measure/engine_bed.hpp"
#include "measure/engine_side.hpp"
#include "measure/host.hpp"
#include "measure/stopwatch.hpp"

namespace cowherd::measure::engine {
namespace {

struct Times {
  double pin;
  double unpin;
};

/// ns/page of both directions; `wanted` picks one.
Figure time_pins(const Load& load, double Times::*wanted) {
  Bed bed(load);
  bed.map();
  bed.fill();
  // As many as Linux's side registers.
  constexpr std::uint64_t kMost = 8192;
  const std::uint64_t alone = std::min(load.pages / 2, kMost);
  const std::vector<std::uint64_t> pages = load.shuffled ? scattered(alone, load.pages) : std::vector<std::uint64_t>{0};
  const ByteCount bytes = load.shuffled ? ByteCount{kPageBytes} : bed.length();
  const double count = static_cast<double>(load.shuffled ? alone : load.pages);
  std::vector<Pin> pins;
  pins.reserve(pages.size());
  return bed
      .measure([&](bool) -> Figure {
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
        return Figure::measured(Times{pin, unpin}.*wanted);
      })
      .over(count);
}

/// ns of a pin of one page and the way back, again and again from warm caches, under `rules`.
Figure time_warm_pins(const Load& load, const Rules& rules) {
  constexpr std::uint64_t kPages = 64;
  constexpr unsigned kTurns = 256;
  Load small = load;
  small.pages = kPages;
  Bed bed(small, 0, 0, rules);
  bed.map();
  bed.fill();
  return bed
      .measure([&](bool) -> Figure {
        bool fine = true;
        const double time = timed(load.clock, [&] {
          for (unsigned turn = 0; turn < kTurns; ++turn) {
            for (std::uint64_t page = 0; page < kPages; ++page) {
              const auto pinned = bed.space().pin(bed.at(page), ByteCount{kPageBytes}, kForDevice);
              fine = fine && pinned.ok();
            }
          }
        });
        return fine ? Figure::measured(time) : Figure::wrong("a page was not pinned");
      })
      .over(kPages * kTurns);
}

/// ns/page: one thread reads eight bytes of each page again and again, while another forks the address space and drops
/// the child, under `rules`.
Figure time_reads_beside_forks(const Load& load, const Rules& rules) {
  constexpr unsigned kTurns = 64;
  Load small = load;
  small.pages = 1024;
  small.mode = ForkMode::kSharedSubtrees;
  Bed bed(small, 0, 0, rules);
  bed.map();
  bed.fill();
  return bed
      .measure([&](bool) -> Figure {
        std::atomic<bool> done{false};
        bool fine = true;
        bool forked = true;
        double time = 0;
        (void)timed_on(2, load.clock, [&](unsigned number) {
          if (number == 0) {
            while (!done.load(std::memory_order_relaxed)) forked = forked && bed.space().fork(small.mode).ok();
            return;
          }
          std::uint64_t word = 0;
          const auto bytes = std::as_writable_bytes(std::span(&word, 1));
          time = timed(load.clock, [&] {
            for (unsigned turn = 0; turn < kTurns; ++turn) {
              for (std::uint64_t page = 0; page < small.pages; ++page) {
                fine = bed.space().read(bed.at(page), bytes).ok() && fine;
              }
            }
          });
          done.store(true);
        });
        return fine && forked ? Figure::measured(time) : Figure::wrong("a read or a fork failed");
      })
      .over(static_cast<double>(kTurns * small.pages));
}

/// combine(the best under the rules, the best under those without the sequence count): what is looked for is a
/// hundredth of what is measured, and whatever disturbs makes it longer.
template <class Time, class Combine>
Figure against_no_sequence(Time&& time, Combine&& combine) {
  constexpr unsigned kPairs = 12;
  Rules without = kCowherdRules;
  without.fork_sequence = ForkSequence::kNone;
  double with = std::numeric_limits<double>::max();
  double bare = with;
  for (unsigned i = 0; i < kPairs; ++i) {
    for (const bool counted : {true, false}) {
      Figure figure = time(counted ? kCowherdRules : without);
      if (!figure.ok()) return figure;
      double& best = counted ? with : bare;
      best = std::min(best, figure.value());
    }
  }
  return Figure::measured(combine(with, bare));
}

}  // namespace

Figure pin(const Load& load) { return time_pins(load, &Times::pin); }
Figure unpin(const Load& load) { return time_pins(load, &Times::unpin); }

Figure pin_and_unpin(const Load& load) {
  constexpr std::uint64_t kRun = 512;
  Bed bed(load);
  return bed.measure_each([&](unsigned number) {
    bool fine = true;
    for (std::uint64_t page = 0; page < load.pages; page += kRun) {
      const std::uint64_t pages = std::min(kRun, load.pages - page);
      const auto pinned = bed.space().pin(bed.at(page, number), ByteCount{pages * kPageBytes}, kForDevice);
      fine = fine && pinned.ok() && pinned->pages() == PageCount{pages};
    }
    return fine;
  });
}

Figure race_check(const Load& load) {
  return against_no_sequence([&](const Rules& rules) { return time_warm_pins(load, rules); },
                             [](double with, double bare) { return with - bare; });
}

Figure reads_beside_forks(const Load& load) {
  return against_no_sequence([&](const Rules& rules) { return time_reads_beside_forks(load, rules); },
                             [](double with, double bare) { return with / bare; });
}

}  // namespace cowherd::measure::engine
