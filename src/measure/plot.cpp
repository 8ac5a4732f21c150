#include "measure/plot.hpp"

#include <algorithm>

#include "measure/engine_bed.hpp"
#include "measure/engine_side.hpp"
#include "measure/host.hpp"
#include "measure/linux_side.hpp"

namespace cowherd::measure {
namespace {

constexpr std::uint64_t kPagesToAMebibyte = 256;

struct Fork {
  const char* name;
  Side side;
  ForkMode mode;
};

/// Linux, and the modes of fork that there are.
std::vector<Fork> forks(Side of_linux, Side ours) {
  std::vector<Fork> result = {{"Linux", of_linux, ForkMode::kClassic}};
  const std::pair<const char*, ForkMode> kModes[] = {{"classic", ForkMode::kClassic},
                                                     {"shared leaf", ForkMode::kSharedLeaves},
                                                     {"shared subtree", ForkMode::kSharedSubtrees}};
  for (const auto& [name, mode] : kModes) {
    result.push_back({name, ours, mode});
  }
  return result;
}

void add_point(Series& series, double x, const Figure& figure, double factor) {
  if (figure.ok() && figure.value() > 0) series.points.emplace_back(x, figure.value() * factor);
}

void add_series(Plot& plot, Series series) {
  if (!series.points.empty()) plot.series.push_back(std::move(series));
}

Plot fork_against_size(const Sizes& sizes, unsigned repetitions) {
  Plot plot{.title = "Latency of fork against what is mapped", .x_label = "MiB", .y_label = "ms", .series = {}};
  for (const Fork& fork : forks(on_linux::fork_latency, engine::fork_latency)) {
    for (const bool shuffled : {false, true}) {
      Series series{std::string(fork.name) + (shuffled ? ", frames shuffled" : ", in order"), {}};
      for (std::uint64_t pages = sizes.fork_pages / 64; pages <= sizes.fork_pages; pages *= 4) {
        if (pages == 0) continue;
        const Figure figure =
            fork.side({.pages = pages, .shuffled = shuffled, .repetitions = repetitions, .mode = fork.mode});
        add_point(series, static_cast<double>(pages) / kPagesToAMebibyte, figure, static_cast<double>(pages) / 1e6);
      }
      add_series(plot, std::move(series));
    }
  }
  return plot;
}

Plot fork_against_pins(const Sizes& sizes, unsigned repetitions) {
  const std::uint64_t pages = sizes.fork_pages;
  Plot plot{.title = "Latency of fork against the number of scattered pins",
            .x_label = "pins (1: none)",
            .y_label = "ms",
            .series = {}};
  for (const Fork& fork : forks(on_linux::fork_latency, engine::fork_latency)) {
    Series series{fork.name, {}};
    for (const std::uint64_t pins : {0u, 16u, 256u, 4096u}) {
      if (pins >= pages) continue;
      const Figure figure = fork.side({.pages = pages, .pins = pins, .repetitions = repetitions, .mode = fork.mode});
      add_point(series, static_cast<double>(std::max<std::uint64_t>(pins, 1)), figure,
                static_cast<double>(pages) / 1e6);
    }
    add_series(plot, std::move(series));
  }
  return plot;
}

Plot one_and_two_threads(const Sizes& sizes, unsigned repetitions) {
  Plot plot{.title = "Pages in a second, one and two threads",
            .x_label = "threads",
            .y_label = "million pages/s",
            .logarithmic = false,
            .series = {}};
  const std::pair<const char*, Side> kSides[] = {{"Linux, zero fill", on_linux::zero_fill_batch},
                                                 {"Linux, COW copy", on_linux::cow_copy_batch},
                                                 {"zero fill", engine::zero_fill_batch},
                                                 {"COW copy", engine::cow_copy_batch},
                                                 {"COW re-use", engine::reuse_batch},
                                                 {"unmap", engine::unmap}};
  for (const auto& [name, side] : kSides) {
    Series series{name, {}};
    for (unsigned threads = 1; threads <= std::min(2u, processors()); ++threads) {
      const Figure figure =
          side({.pages = sizes.fault_pages, .threads = threads, .repetitions = repetitions, .clock = Clock::kWall});
      if (!figure.ok()) continue;
      // Nanoseconds to a page of one thread.
      series.points.emplace_back(threads, threads * 1e3 / figure.value());
    }
    add_series(plot, std::move(series));
  }
  return plot;
}

}  // namespace

std::vector<Plot> measure_plots(const Sizes& sizes, unsigned repetitions) {
  std::vector<Plot> plots = {fork_against_size(sizes, repetitions), fork_against_pins(sizes, repetitions),
                             one_and_two_threads(sizes, repetitions)};
  std::erase_if(plots, [](const Plot& plot) { return plot.series.empty(); });
  return plots;
}

}  // namespace cowherd::measure
