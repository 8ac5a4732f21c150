#include "measure/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "measure/floor_side.hpp"
#include "measure/host.hpp"

namespace cowherd::measure {
namespace {

/// One side of a line while its rounds go by.
struct Course {
  Side side;
  std::vector<double>& figures;
  std::string& missing;

  /// False: the work was not what was asked for, `wrong` says how.
  bool step(const Load& load, const char* name, std::string& wrong) const {
    if (side == nullptr || !missing.empty()) return true;
    const Figure figure = side(load);
    switch (figure.state()) {
      case Figure::State::kMeasured:
        figures.push_back(figure.value());
        return true;
      case Figure::State::kUnavailable:
        missing = figure.text();
        figures.clear();
        return true;
      case Figure::State::kWrong:
        break;
    }
    wrong = fmt::format("{}: {}", name, figure.text());
    return false;
  }
};

/// With as many threads as the line has.
std::uint64_t bytes_of(const Line& line, Load load) {
  load.threads = line.two_threads ? 2 : 1;
  return measure::bytes_of(load);
}

/// By the floor of row 1, whatever the sizes of this run: 1 GiB.
Pace measure_pace(const Plan& plan) {
  Pace pace;
  const Load load = {.pages = 1 << 18, .repetitions = plan.repetitions};
  for (unsigned round = 0; round < plan.rounds; ++round) {
    const Figure figure = floor::fork_loop(load);
    if (figure.ok() && (pace.here == 0 || figure.value() < pace.here)) pace.here = figure.value();
  }
  return pace;
}

std::string not_here(const Line& line, const Load& load) {
  if (line.pins >= load.pages && line.pins != 0) return "more pins than pages";
  if (line.two_threads && processors() < 2) return "there is only one processor here";
  const std::size_t available = available_memory();
  if (available != 0 && bytes_of(line, load) > available) {
    return fmt::format("needs {} MiB of memory", bytes_of(line, load) >> 20);
  }
  return {};
}

}  // namespace

Result run_line(const Line& line, const Load& load, unsigned rounds) {
  Result result{.line = &line, .load = load};
  result.ours_missing = not_here(line, load);
  result.disturbed = load.clock == Clock::kWall && result.ours_missing.empty() && busy_share() > kQuiet;
  if (result.disturbed) result.load.clock = Clock::kProcessor;
  const Course ours{line.ours, result.rounds.ours, result.ours_missing};
  const Course of_linux{line.of_linux, result.rounds.of_linux, result.linux_missing};
  const Course floor{line.floor, result.rounds.floor, result.floor_missing};
  for (unsigned round = 0; round < rounds && result.ours_missing.empty(); ++round) {
    const bool fine = ours.step(result.load, "ours", result.wrong) &&
                      of_linux.step(result.load, "Linux", result.wrong) &&
                      floor.step(result.load, "floor", result.wrong);
    if (fine) continue;
    result.rounds = {};
    break;
  }
  if (!result.ours_missing.empty()) result.rounds = {};
  return result;
}

double pace_of(const Line& line, const Rounds& rounds, const Pace& pace) {
  if (!line.timed) return 0;
  if (line.floor_there == 0 || rounds.floor.empty()) return pace.factor();
  return *std::ranges::min_element(rounds.floor) / line.floor_there;
}

Report run(const Plan& plan, const std::function<void(std::string_view)>& next) {
  Report report;
  report.host = host_facts();
  report.busy_before = busy_share();
  report.rounds = plan.rounds;
  report.sizes = plan.sizes;
  stay_on_processor(0);
  // Mapped here so that child processes inherit it.
  evict_caches();
  std::uint64_t most = 0;
  for (const Line* line : plan.lines) {
    if (line->of_linux == nullptr || line->ours == nullptr) continue;
    most = std::max(most, bytes_of(*line, load_of(*line, plan.sizes, 1)));
  }
  if (plan.with_plots) most = std::max(most, measure::bytes_of({.pages = plan.sizes.fork_pages}));
  if (next && most != 0) next("memory");
  std::optional<WarmPool> pool;
  if (most != 0) pool.emplace(std::min<std::size_t>(most, available_memory() / 3));
  if (std::ranges::any_of(plan.lines, [](const Line* line) { return line->timed && line->ours != nullptr; })) {
    if (next) next("this machine's pace");
    report.pace = measure_pace(plan);
  }
  for (const Line* line : plan.lines) {
    if (next) next(fmt::format("{} {}", line->row, line->what));
    const Load load = load_of(*line, plan.sizes, plan.repetitions);
    if (load.tables_alone && load.pins > plan.sizes.most_table_pins) {
      report.results.push_back({.line = line, .load = load, .ours_missing = "so many pins only at full size"});
      continue;
    }
    // What is counted is the same in every round.
    const bool counted = !line->timed && !line->two_threads;
    report.results.push_back(run_line(*line, load, counted ? 1 : plan.rounds));
    Result& result = report.results.back();
    result.pace = pace_of(*line, result.rounds, report.pace);
  }
  if (plan.with_plots) {
    if (next) next("plots");
    report.plots = measure_plots(plan.sizes, plan.repetitions);
  }
  report.busy_after = busy_share();
  return report;
}

}  // namespace cowherd::measure
