#include "measure/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

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

/// A guess at the bytes that any side of a line has at one time: pages, their copies, a buffer.
std::size_t bytes_of(const Load& load, bool two_threads) {
  if (load.tables_alone) return load.pages * 32;
  return load.pages * (two_threads ? 2 : 1) * 4096 * 5 / 2;
}

std::string not_here(const Line& line, const Load& load) {
  if (line.ours == nullptr) return std::string(line.missing);
  if (line.two_threads && processors() < 2) return "there is only one processor here";
  const std::size_t available = available_memory();
  if (available != 0 && bytes_of(load, line.two_threads) > available) {
    return fmt::format("needs {} MiB of memory", bytes_of(load, line.two_threads) >> 20);
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

Report run(const Plan& plan, const std::function<void(std::string_view)>& next) {
  Report report;
  report.kernel = kernel_line();
  report.busy_before = busy_share();
  report.rounds = plan.rounds;
  report.sizes = plan.sizes;
  stay_on_processor(0);
  // Mapped here so that child processes inherit it.
  evict_caches();
  std::size_t most = 0;
  for (const Line* line : plan.lines) {
    if (line->of_linux == nullptr || line->ours == nullptr) continue;
    most = std::max(most, bytes_of(load_of(*line, plan.sizes, 1), line->two_threads));
  }
  if (plan.with_plots) most = std::max(most, std::size_t{plan.sizes.fork_pages} * 4096 * 5 / 2);
  if (next && most != 0) next("memory");
  std::optional<WarmPool> pool;
  if (most != 0) pool.emplace(std::min(most, available_memory() / 3));
  for (const Line* line : plan.lines) {
    if (next) next(fmt::format("{} {}", line->row, line->what));
    report.results.push_back(run_line(*line, load_of(*line, plan.sizes, plan.repetitions), plan.rounds));
  }
  if (plan.with_plots) {
    if (next) next("plots");
    report.plots = measure_plots(plan.sizes, plan.repetitions);
  }
  report.busy_after = busy_share();
  return report;
}

}  // namespace cowherd::measure
