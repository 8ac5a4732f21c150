#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "measure/line.hpp"
#include "measure/plot.hpp"

namespace cowherd::measure {

/// A line with its figures.
struct Result {
  const Line* line = nullptr;
  Load load = {};
  Rounds rounds = {};
  /// Why a side has no figures; empty where it has, or where the line has no such side.
  std::string linux_missing = {};
  std::string floor_missing = {};
  std::string ours_missing = {};
  /// A check of the work failed: the line has no figures at all.
  std::string wrong = {};

  /// The line wants the wall clock, and others were using the processors: it was taken by processor time, which does
  /// not see a thread sleep, and is not judged.
  bool disturbed = false;

  [[nodiscard]] Met must() const { return disturbed ? Met::kUnknown : judge(line->must, rounds); }
  [[nodiscard]] Met stretch() const { return disturbed ? Met::kUnknown : judge(line->stretch, rounds); }
};

/// A run of some lines on this machine.
struct Report {
  std::string kernel;
  /// busy_share() before the run and after it.
  double busy_before = 0;
  double busy_after = 0;
  unsigned rounds = 0;
  Sizes sizes{};
  std::vector<Result> results;
  std::vector<Plot> plots;
};

/// The sides of a line in turn, round after round. A side that has no figure in one round has none at all.
Result run_line(const Line& line, const Load& load, unsigned rounds);

struct Plan {
  std::vector<const Line*> lines;
  Sizes sizes = kFullSizes;
  unsigned rounds = 3;
  unsigned repetitions = 3;
  bool with_plots = false;
};

/// Runs the plan on the first processor, and the second where a line has two threads. `next` is told before each line;
/// it may be empty.
Report run(const Plan& plan, const std::function<void(std::string_view)>& next);

}  // namespace cowherd::measure
