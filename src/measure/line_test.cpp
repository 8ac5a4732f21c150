#include "measure/line.hpp"

#include <gtest/gtest.h>

#include <set>

namespace cowherd::measure {
namespace {

std::vector<std::string> chosen(const std::vector<std::string>& words, std::vector<std::string>* unknown = nullptr) {
  static const std::vector<Line> kLines = {{.row = "1", .what = "classic fork, in order", .unit = "ns"},
                                           {.row = "1b", .what = "classic fork, shuffled", .unit = "ns"},
                                           {.row = "5", .what = "zero fill, 1 store", .unit = "ns"},
                                           {.row = "5", .what = "zero fill, batch", .unit = "ns"}};
  std::vector<std::string> lost;
  std::vector<std::string> names;
  for (const Line* line : select(kLines, words, unknown != nullptr ? *unknown : lost)) {
    names.push_back(std::string(line->row) + " " + std::string(line->what));
  }
  return names;
}

using Names = std::vector<std::string>;

TEST(Selection, NoWordsMeanAll) { EXPECT_EQ(chosen({}).size(), 4u); }

TEST(Selection, ARowIsThatRowAndAllOfIt) {
  EXPECT_EQ(chosen({"1"}), (Names{"1 classic fork, in order"}));
  EXPECT_EQ(chosen({"5"}).size(), 2u);
}

TEST(Selection, APartOfTheTextChoosesWhateverTheCase) {
  EXPECT_EQ(chosen({"Fork"}).size(), 2u);
  EXPECT_EQ(chosen({"batch", "shuffled"}), (Names{"1b classic fork, shuffled", "5 zero fill, batch"}));
}

TEST(Selection, WordsThatChooseNothingAreNamed) {
  std::vector<std::string> unknown;
  EXPECT_EQ(chosen({"1b", "99", "nothing", ""}, &unknown).size(), 1u);
  EXPECT_EQ(unknown, (Names{"99", "nothing", ""}));
}

TEST(Lines, EveryRowOfTheTableOfGoalsIsThere) {
  std::set<std::string_view> rows;
  for (const Line& line : all_lines()) {
    rows.insert(line.row);
    EXPECT_NE(line.ours, nullptr) << line.row << " " << line.what;
    EXPECT_FALSE(line.unit.empty()) << line.row;
    EXPECT_TRUE(line.floor_there == 0 || (line.floor != nullptr && line.beside.empty() && line.timed))
        << line.row << " " << line.what;
  }
  for (const std::string_view row :
       {"1",  "1b", "2",  "2b", "3",  "3b", "3c",  "3d", "4",   "4b",  "5",  "6",  "7",  "8",  "8b",
        "8c", "9",  "9b", "10", "11", "12", "12b", "13", "13b", "13c", "14", "15", "16", "16b"}) {
    EXPECT_TRUE(rows.contains(row)) << row;
  }
}

TEST(Lines, WhatLinuxIsComparedWithIsMeasuredOnBothSides) {
  for (const Line& line : all_lines()) {
    for (const Bound& bound : line.must) {
      if (bound.kind == Bound::Kind::kTimesBetterThanLinux) {
        EXPECT_TRUE(line.of_linux != nullptr && line.apart.empty()) << line.row << " " << line.what;
      }
    }
  }
}

TEST(Lines, ALoadIsWhatTheLineAsksFor) {
  const Line line = {
      .row = "3b", .what = "pins", .unit = "ns", .extent = Extent::kFault, .shuffled = true, .pinned = 1};
  const Load load = load_of(line, {.fork_pages = 1, .fault_pages = 5000, .big_pages = 1, .table_pages = 1}, 2);
  EXPECT_EQ(load.pages, 5000u);
  EXPECT_EQ(load.pins, 50u);
  EXPECT_TRUE(load.shuffled);
  EXPECT_EQ(load.repetitions, 2u);
}

}  // namespace
}  // namespace cowherd::measure
