#include "measure/goals.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "measure/engine_side.hpp"
#include "measure/floor_side.hpp"
#include "measure/line.hpp"
#include "measure/linux_side.hpp"
#include "measure/scaling.hpp"

namespace cowherd::measure {
namespace {

constexpr std::string_view kByException = "Linux's figure is by exception";
constexpr std::string_view kLess = "Linux's figure is of 256 MiB: it copies every entry";
constexpr std::string_view kHardware = "hardware translates for Linux";

/// A line of faults, or of what else is done to each of the pages that faults are measured with.
Line to_pages(std::string_view row, std::string what, Side of_linux, Side floor, Side ours) {
  return {.row = row,
          .what = std::move(what),
          .unit = "ns/page",
          .extent = Extent::kFault,
          .of_linux = of_linux,
          .floor = floor,
          .ours = ours};
}

void add_with(Lines& lines, Line line, std::vector<Bound> must, std::vector<Bound> stretch, double floor_there,
              std::string_view apart = {}) {
  line.must = std::move(must);
  line.stretch = std::move(stretch);
  line.floor_there = floor_there;
  line.apart = apart;
  lines.push_back(std::move(line));
}

void add_faults(Lines& lines) {
  add_with(lines,
           to_pages("5", "zero fill, batch", on_linux::zero_fill_batch, floor::clear_page, engine::zero_fill_batch),
           {floor_plus(150), times_linux(3.5)}, {floor_plus(80)}, 177);
  add_with(lines,
           to_pages("5", "zero fill, a store to each page", on_linux::zero_fill_trap, floor::clear_page,
                    engine::zero_fill_store),
           {floor_plus(150)}, {floor_plus(80)}, 177, kByException);
  add_both(lines, to_pages("", "", on_linux::cow_copy_batch, floor::copy_page, engine::cow_copy_batch),
           {.row = "6",
            .what = "COW copy, batch, in order",
            .must = {floor_plus(200), times_linux(2)},
            .stretch = {floor_plus(100)},
            .floor_there = 465},
           {.row = "6",
            .what = "COW copy, batch, shuffled",
            .must = {floor_plus(200), times_linux(2)},
            .stretch = {floor_plus(100)},
            .floor_there = 804});
  add_with(lines,
           to_pages("6", "COW copy, a store to each page", on_linux::cow_copy_trap, floor::copy_page,
                    engine::cow_copy_store),
           {floor_plus(200)}, {floor_plus(100)}, 465, kByException);
  add_both(lines, to_pages("", "", on_linux::reuse_batch, floor::reuse_loop, engine::reuse_batch),
           {.row = "7",
            .what = "COW re-use, batch, in order",
            .must = {at_most(60)},
            .stretch = {at_most(30)},
            .floor_there = 8.4},
           {.row = "7",
            .what = "COW re-use, batch, shuffled",
            .must = {at_most(120)},
            .stretch = {at_most(80)},
            .floor_there = 45});
  add_with(
      lines,
      to_pages("7", "COW re-use, a store to each page", on_linux::reuse_trap, floor::reuse_loop, engine::reuse_store),
      {at_most(60)}, {at_most(30)}, 8.4, kByException);
}

void add_pins(Lines& lines) {
  add_both(lines, to_pages("", "", on_linux::pin, floor::pin_loop, engine::pin),
           {.row = "8", .what = "pin, one range", .must = {at_most(12)}, .stretch = {at_most(7)}, .floor_there = 3.1},
           {.row = "8",
            .what = "pin, single random pages",
            .must = {at_most(60)},
            .stretch = {at_most(40)},
            .floor_there = 25});
  add_both(
      lines, to_pages("", "", on_linux::unpin, floor::unpin_loop, engine::unpin),
      {.row = "8b", .what = "unpin, one range", .must = {at_most(12)}, .stretch = {at_most(6)}, .floor_there = 3.1},
      {.row = "8b",
       .what = "unpin, single random pages",
       .must = {at_most(50)},
       .stretch = {at_most(35)},
       .floor_there = 25});
  lines.push_back({.row = "8c",
                   .what = "race check of fork and pin, to a pin",
                   .unit = "ns",
                   .extent = Extent::kNothing,
                   .floor = floor::two_loads,
                   .ours = engine::race_check,
                   .beside = "two loads of a word",
                   .must = {at_most(2)}});
  // The count lies in the same 32 bytes as all else of an address space, wherever it is put in them.
  lines.push_back({.row = "8c",
                   .what = "reads beside forks, sequence count written / never",
                   .unit = "x",
                   .extent = Extent::kNothing,
                   .clock = Clock::kWall,
                   .ours = engine::reads_beside_forks,
                   .two_threads = true,
                   .timed = false,
                   .must = {at_most(1.05)}});
}

void add_mappings(Lines& lines) {
  add_both(lines, to_pages("", "", on_linux::unmap, floor::unmap_loop, engine::unmap),
           {.row = "9", .what = "unmap, in order", .must = {at_most(40)}, .stretch = {at_most(20)}, .floor_there = 8.4},
           {.row = "9", .what = "unmap, shuffled", .must = {at_most(70)}, .stretch = {at_most(45)}, .floor_there = 34});
  Line protect = to_pages("10", "mprotect of everything", on_linux::protect, floor::protect_loop, engine::protect);
  protect.unit = "ns/PTE";
  add_with(lines, protect, {at_most(6)}, {at_most(2)}, 0.65);
  Line split =
      to_pages("11", "split and merge of one page's VMA", on_linux::split_and_merge, nullptr, engine::split_and_merge);
  split.unit = "ns";
  add_with(lines, split, {at_most(500)}, {at_most(250)}, 0);
  lines.push_back({.row = "11",
                   .what = "fork, one VMA more",
                   .unit = "ns/VMA",
                   .extent = Extent::kVmas,
                   .of_linux = on_linux::fork_per_vma,
                   .ours = engine::fork_per_vma,
                   .must = {at_most(150)},
                   .stretch = {at_most(60)}});
  const auto count = [&lines](const char* what, Extent extent, Side ours, double must, double stretch) {
    lines.push_back({.row = "12",
                     .what = what,
                     .unit = "B",
                     .extent = extent,
                     .ours = ours,
                     .timed = false,
                     .must = {at_most(must)},
                     .stretch = {at_most(stretch)}});
  };
  count("metadata of a frame (Linux: 64 B struct page)", Extent::kNothing, engine::metadata_per_frame, 32, 16);
  // With the entry of 8 B that every mapped page has, Linux's too.
  count("metadata of a mapped page, all in (Linux: 64 + 8 B)", Extent::kFork, engine::metadata_per_page, 40, 24);
}

void add_threads(Lines& lines) {
  const auto add = [&lines](std::string_view row, const char* what, Side of_linux, Side floor, Side ours,
                            std::vector<Bound> must, std::vector<Bound> stretch) {
    lines.push_back({.row = row,
                     .what = what,
                     .unit = "x",
                     .extent = Extent::kFault,
                     .clock = Clock::kWall,
                     .of_linux = of_linux,
                     .floor = floor,
                     .ours = ours,
                     .higher_is_better = true,
                     .two_threads = true,
                     .timed = false,
                     .must = std::move(must),
                     .stretch = std::move(stretch)});
  };
  add("13", "1 -> 2 threads: COW re-use", scaling<on_linux::reuse_batch>, nullptr, scaling<engine::reuse_batch>,
      {at_least(1.8)}, {at_least(1.95)});
  add("13", "1 -> 2 threads: pin and unpin", nullptr, nullptr, scaling<engine::pin_and_unpin>, {at_least(1.8)},
      {at_least(1.95)});
  add("13", "1 -> 2 threads: unmap", scaling<on_linux::unmap>, nullptr, scaling<engine::unmap>, {at_least(1.8)},
      {at_least(1.95)});
  add("13", "1 -> 2 threads: small reads", nullptr, nullptr, scaling<engine::small_reads>, {at_least(1.8)},
      {at_least(1.95)});
  add("13b", "1 -> 2 threads: zero fill", scaling<on_linux::zero_fill_batch>, scaling<floor::clear_page>,
      scaling<engine::zero_fill_batch>, {of_floor(0.9)}, {of_floor(0.97)});
  add("13b", "1 -> 2 threads: COW copy", scaling<on_linux::cow_copy_batch>, scaling<floor::copy_page>,
      scaling<engine::cow_copy_batch>, {of_floor(0.9)}, {of_floor(0.97)});
  const auto stall = [&lines](const char* what, Side of_linux, Side ours, std::vector<Bound> must,
                              std::vector<Bound> stretch) {
    lines.push_back({.row = "13c",
                     .what = what,
                     .unit = "us",
                     .extent = Extent::kTables,
                     .clock = Clock::kWall,
                     .mode = ForkMode::kSharedLeaves,
                     .of_linux = of_linux,
                     .ours = ours,
                     .apart = kLess,
                     .two_threads = true,
                     .must = std::move(must),
                     .stretch = std::move(stretch)});
  };
  stall("a fault beside a fork of 64 GiB, p99.9", nullptr, engine::fault_stall_p999, {at_most(100)}, {at_most(20)});
  stall("a fault beside a fork of 64 GiB, longest", on_linux::fault_stall_most, engine::fault_stall_most,
        {at_most(500)}, {});
  stall("a pin beside a fork of 64 GiB, p99.9", nullptr, engine::pin_stall_p999, {at_most(100)}, {at_most(20)});
  stall("a pin beside a fork of 64 GiB, longest", on_linux::pin_stall_most, engine::pin_stall_most, {at_most(500)}, {});
}

/// floor::fork_loop() with an entry to each huge page.
Figure loop_over_runs(const Load& load) {
  Load entries = load;
  entries.pages /= kRunPages;
  return floor::fork_loop(entries);
}

void add_embedding(Lines& lines) {
  lines.push_back({.row = "14",
                   .what = "fork of a 2 MiB mapping",
                   .unit = "ns",
                   .extent = Extent::kBig,
                   .huge = true,
                   .of_linux = on_linux::fork_per_run,
                   .floor = loop_over_runs,
                   .ours = engine::fork_per_run,
                   .floor_there = 3,
                   .must = {at_most(60)},
                   .stretch = {at_most(20)}});
  lines.push_back({.row = "15",
                   .what = "snapshot: fork, 8 pages dirtied, drop",
                   .unit = "cycles/s",
                   .clock = Clock::kWall,
                   .mode = ForkMode::kSharedSubtrees,
                   .of_linux = on_linux::fork_cycles,
                   .ours = engine::fork_cycles,
                   .higher_is_better = true,
                   .must = {at_least(25000)},
                   .stretch = {at_least(60000)}});
  const auto translate = [&lines](const char* what, Extent extent, Side of_linux, Side floor, Side ours, double must,
                                  double stretch, double floor_there) {
    lines.push_back({.row = "16",
                     .what = what,
                     .unit = "ns",
                     .extent = extent,
                     .of_linux = of_linux,
                     .floor = floor,
                     .ours = ours,
                     .floor_there = floor_there,
                     .apart = kHardware,
                     .must = {at_most(must)},
                     .stretch = {at_most(stretch)}});
  };
  translate("an accessor's load, page remembered", Extent::kNothing, on_linux::load_hit, floor::remembered_translation,
            engine::accessor_hit, 2, 1.3, 1.2);
  translate("an accessor's load, random page of 64 GiB", Extent::kTables, on_linux::load_miss, floor::walk,
            engine::accessor_miss, 35, 25, 21);
  const auto bulk = [&lines](const char* what, Side of_linux, Side ours) {
    lines.push_back({.row = "16b",
                     .what = what,
                     .unit = "GiB/s",
                     .extent = Extent::kFault,
                     .of_linux = of_linux,
                     .floor = floor::bulk_copy,
                     .ours = ours,
                     .higher_is_better = true,
                     .must = {of_floor(0.9)},
                     .stretch = {of_floor(0.97)}});
  };
  bulk("bulk read through the memory system", on_linux::bulk_read, engine::bulk_read);
  bulk("bulk write through the memory system", nullptr, engine::bulk_write);
}

/// "3b" comes after "3" and before "10".
std::pair<int, std::string_view> place_of(std::string_view row) {
  const std::size_t digits = std::min(row.find_first_not_of("0123456789"), row.size());
  int number = 0;
  for (const char digit : row.substr(0, digits)) number = number * 10 + (digit - '0');
  return {number, row.substr(digits)};
}

}  // namespace

const std::vector<Line>& all_lines() {
  static const std::vector<Line> lines = [] {
    Lines made;
    add_forks(made);
    add_faults(made);
    add_pins(made);
    add_mappings(made);
    add_threads(made);
    add_embedding(made);
    std::ranges::stable_sort(made, {}, [](const Line& line) { return place_of(line.row); });
    return made;
  }();
  return lines;
}

}  // namespace cowherd::measure
