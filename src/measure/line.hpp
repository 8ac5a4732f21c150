#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "measure/bound.hpp"
#include "measure/figure.hpp"
#include "measure/load.hpp"

namespace cowherd::measure {

/// One side of a line: makes its load, times it, checks the work.
using Side = Figure (*)(const Load& load);

/// How much a line maps; how many pages that is depends on the run.
enum class Extent : std::uint8_t { kFork, kFault, kBig, kVmas, kTables, kNothing };

struct Sizes {
  std::uint64_t fork_pages;
  std::uint64_t fault_pages;
  std::uint64_t big_pages;
  /// Of mappings that are made of tables alone.
  std::uint64_t table_pages;
  /// The most pins of tables alone: each has 512 pages beside it.
  std::uint64_t most_table_pins = 4096;

  [[nodiscard]] std::uint64_t pages(Extent extent) const;
};
inline constexpr Sizes kFullSizes = {
    .fork_pages = 1 << 18, .fault_pages = 1 << 16, .big_pages = 1 << 20, .table_pages = 1 << 24};
inline constexpr Sizes kQuickSizes = {
    .fork_pages = 1 << 16, .fault_pages = 1 << 14, .big_pages = 1 << 17, .table_pages = 1 << 24, .most_table_pins = 1};

/// A line of the table: a goal, or one of the cases that a goal is made of.
struct Line {
  /// Of the table of goals: "1b". Several lines may have one.
  std::string_view row = {};
  std::string what = {};
  std::string_view unit = {};
  Extent extent = Extent::kFork;
  bool shuffled = false;
  /// Of a hundred pages.
  unsigned pinned = 0;
  /// A number of pages, where it is no part of all.
  std::uint64_t pins = 0;
  Clock clock = Clock::kProcessor;
  ForkMode mode = ForkMode::kClassic;
  bool huge = false;
  /// Null: there is nothing to measure on this side.
  Side of_linux = nullptr;
  Side floor = nullptr;
  Side ours = nullptr;
  /// What stands in the floor's place where that is no floor but another operation of ours: "a classic fork".
  std::string_view beside = {};
  /// What the floor is on the machine that the goals were set on; of a range the upper end, so that a goal at this
  /// machine's pace is the stricter one. 0: not known.
  double floor_there = 0;
  bool higher_is_better = false;
  /// Why Linux's figure is only shown, where it is not of the same thing as ours.
  std::string_view apart = {};
  bool two_threads = false;
  /// What is no time but a count or a ratio says nothing of how fast a machine is.
  bool timed = true;
  std::vector<Bound> must = {};
  std::vector<Bound> stretch = {};
  /// The best figure of Linux that somebody else has published.
  std::string_view published = {};
};

/// The table of goals, in its order.
const std::vector<Line>& all_lines();

/// A guess at the bytes that any side has at one time: pages, their copies, a buffer.
std::uint64_t bytes_of(const Load& load);

Load load_of(const Line& line, const Sizes& sizes, unsigned repetitions);

/// The lines that `words` choose: a word is a row ("1b"), or a part of what a line is about ("fork"), whatever the
/// case. No words: all. `unknown` gets the words that choose nothing.
std::vector<const Line*> select(const std::vector<Line>& lines, const std::vector<std::string>& words,
                                std::vector<std::string>& unknown);

}  // namespace cowherd::measure
