#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "measure/host.hpp"
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

  /// How many times as long as the machine that the goals were set on this one takes, for what the line measures. 0:
  /// the line is no time, or this was not measured.
  double pace = 0;

  [[nodiscard]] Met must() const { return judged(line->must); }
  [[nodiscard]] Met stretch() const { return judged(line->stretch); }
  /// The same goals for a machine of this pace; as written where there is none.
  [[nodiscard]] std::vector<Bound> must_here() const { return here(line->must); }
  [[nodiscard]] std::vector<Bound> stretch_here() const { return here(line->stretch); }
  [[nodiscard]] Met judged(const std::vector<Bound>& bounds) const {
    return disturbed ? Met::kUnknown : judge(bounds, rounds);
  }

 private:
  [[nodiscard]] std::vector<Bound> here(const std::vector<Bound>& bounds) const {
    return pace == 0 ? bounds : at_pace(bounds, pace);
  }
};

/// How fast this machine is beside the one that the goals were set on: one atomic count of a 16-byte descriptor in
/// order, the inner loop of fork, the least of some measurements. Lines whose own floor is known there have a pace of
/// their own.
struct Pace {
  /// ns.
  static constexpr double kThere = 2.83;
  /// ns. 0: not measured.
  double here = 0;

  [[nodiscard]] double factor() const { return here / kThere; }
};

/// Of the least figure of the floor, where it is known there: a goal is never made easier than the machine was at its
/// best. `pace` for lines whose floor is not known. 0 for what is no time.
double pace_of(const Line& line, const Rounds& rounds, const Pace& pace);

/// A run of some lines on this machine.
struct Report {
  HostFacts host;
  /// busy_share() before the run and after it.
  double busy_before = 0;
  double busy_after = 0;
  unsigned rounds = 0;
  Sizes sizes{};
  Pace pace = {};
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
