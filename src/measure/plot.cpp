#include "measure/plot.hpp"

#include <algorithm>
#include <string_view>

#include "measure/engine_side.hpp"
#include "measure/host.hpp"
#include "measure/linux_side.hpp"

namespace cowherd::measure {
namespace {

constexpr double kPagesToAMebibyte = 256;
constexpr double kMicrosecondsToAMillisecond = 1e3;

struct Fork {
  std::string_view name;
  /// us.
  Side side;
  ForkMode mode;
  unsigned colour;

  [[nodiscard]] bool shares() const { return mode != ForkMode::kClassic; }
};

constexpr Fork kForks[] = {{"Linux", on_linux::fork_whole, ForkMode::kClassic, 6},
                           {"classic", engine::fork_whole, ForkMode::kClassic, 0},
                           {"shared leaf", engine::fork_whole, ForkMode::kSharedLeaves, 1},
                           {"shared subtree", engine::fork_whole, ForkMode::kSharedSubtrees, 2}};

/// A curve of one fork: y in ms.
Series series_of(const Fork& fork, bool shuffled, std::string_view in_order = ", in order") {
  return {.name = std::string(fork.name) + std::string(shuffled ? std::string_view(", shuffled") : in_order),
          .colour = fork.colour,
          .dashed = shuffled};
}

void add_point(Series& series, double x, const Fork& fork, const Load& load) {
  if (bytes_of(load) > available_memory()) return;
  const Figure figure = fork.side(load);
  if (figure.ok() && figure.value() > 0) {
    series.points.emplace_back(x, figure.value() / kMicrosecondsToAMillisecond);
  }
}

void add_series(Plot& plot, Series series) {
  if (!series.points.empty()) plot.series.push_back(std::move(series));
}

Plot fork_against_size(const Sizes& sizes, unsigned repetitions) {
  Plot plot{.name = "fork-size",
            .title = "fork() against what is mapped",
            .x_label = "mapped (4 GiB and more: tables alone)",
            .y_label = "ms until fork() returns",
            .x_is_size = true};
  for (const Fork& fork : kForks) {
    // What shares tables looks at no frame.
    for (const bool shuffled : fork.shares() ? std::vector<bool>{false} : std::vector<bool>{false, true}) {
      Series series = series_of(fork, shuffled, fork.shares() ? "" : ", in order");
      const auto add = [&](std::uint64_t pages, bool tables_alone) {
        add_point(series, static_cast<double>(pages) / kPagesToAMebibyte, fork,
                  {.pages = pages,
                   .shuffled = shuffled,
                   .repetitions = repetitions,
                   .mode = fork.mode,
                   .tables_alone = tables_alone});
      };
      for (std::uint64_t pages = std::max<std::uint64_t>(sizes.fork_pages / 64, 1); pages <= sizes.fork_pages;
           pages *= 4) {
        add(pages, false);
      }
      for (std::uint64_t pages = std::uint64_t{1} << 20; fork.shares() && pages <= sizes.table_pages; pages *= 4) {
        add(pages, true);
      }
      add_series(plot, std::move(series));
    }
  }
  return plot;
}

Plot fork_against_pins(const Sizes& sizes, bool tables_alone, unsigned repetitions) {
  Plot plot{.name = tables_alone ? "fork-pins-64gib" : "fork-pins",
            .title = tables_alone ? "fork() of 64 GiB of tables against pinned pages"
                                  : "fork() of written pages against pinned pages",
            .x_label = "pinned pages, scattered",
            .y_label = "ms until fork() returns"};
  const std::uint64_t pages = tables_alone ? sizes.table_pages : sizes.fork_pages;
  for (const Fork& fork : kForks) {
    if (tables_alone && !fork.shares()) continue;
    for (const bool shuffled : {false, true}) {
      Series series = series_of(fork, shuffled);
      for (const std::uint64_t pins : {0u, 1u, 16u, 256u, 4096u}) {
        if (pins >= pages || (tables_alone && pins > sizes.most_table_pins)) continue;
        add_point(series, static_cast<double>(pins), fork,
                  {.pages = pages,
                   .shuffled = shuffled,
                   .pins = pins,
                   .repetitions = repetitions,
                   .mode = fork.mode,
                   .tables_alone = tables_alone});
      }
      add_series(plot, std::move(series));
    }
  }
  return plot;
}

Plot one_and_two_threads(const Sizes& sizes, unsigned repetitions) {
  Plot plot{.name = "threads",
            .title = "Pages in a second, one and two threads",
            .x_label = "threads",
            .y_label = "million pages/s",
            .logarithmic = false};
  struct Both {
    std::string_view name;
    Side of_linux;
    Side ours;
  };
  constexpr Both kBoth[] = {{"zero fill", on_linux::zero_fill_batch, engine::zero_fill_batch},
                            {"COW copy", on_linux::cow_copy_batch, engine::cow_copy_batch},
                            {"COW re-use", on_linux::reuse_batch, engine::reuse_batch},
                            {"unmap", on_linux::unmap, engine::unmap}};
  for (unsigned colour = 0; colour < std::size(kBoth); ++colour) {
    for (const bool of_linux : {false, true}) {
      Series series{
          .name = (of_linux ? "Linux, " : "") + std::string(kBoth[colour].name), .colour = colour, .dashed = of_linux};
      for (unsigned threads = 1; threads <= std::min(2u, processors()); ++threads) {
        const Side side = of_linux ? kBoth[colour].of_linux : kBoth[colour].ours;
        const Figure figure =
            side({.pages = sizes.fault_pages, .threads = threads, .repetitions = repetitions, .clock = Clock::kWall});
        // Nanoseconds to a page of one thread.
        if (figure.ok()) series.points.emplace_back(threads, threads * 1e3 / figure.value());
      }
      add_series(plot, std::move(series));
    }
  }
  return plot;
}

}  // namespace

std::vector<Plot> measure_plots(const Sizes& sizes, unsigned repetitions) {
  std::vector<Plot> plots = {fork_against_size(sizes, repetitions), fork_against_pins(sizes, false, repetitions),
                             fork_against_pins(sizes, true, repetitions), one_and_two_threads(sizes, repetitions)};
  std::erase_if(plots, [](const Plot& plot) { return plot.series.empty(); });
  return plots;
}

}  // namespace cowherd::measure
