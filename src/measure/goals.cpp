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

using Kind = Bound::Kind;

Bound at_most(double value) { return {Kind::kAtMost, value}; }
Bound at_least(double value) { return {Kind::kAtLeast, value}; }
Bound times_floor(double value) { return {Kind::kAtMostTimesFloor, value}; }
Bound of_floor(double value) { return {Kind::kAtLeastTimesFloor, value}; }
Bound floor_plus(double value) { return {Kind::kAtMostFloorPlus, value}; }
Bound times_linux(double value) { return {Kind::kTimesBetterThanLinux, value}; }

constexpr std::string_view kNoHugePages = "the memory system has no huge pages yet";

using Lines = std::vector<Line>;

void add_forks(Lines& lines) {
  lines.push_back({.row = "1",
                   .what = "classic fork, frames in order",
                   .unit = "ns/PTE",
                   .of_linux = on_linux::fork_latency,
                   .floor = floor::fork_loop,
                   .ours = engine::fork_latency,
                   .must = {at_most(7), times_floor(2.5), times_linux(8)},
                   .stretch = {at_most(4.5)},
                   .published = "15-17 ns/PTE, EPYC 7B12, Linux 6.x (mail Y+Z8ymNYc+vJMBx8@strix-laptop)"});
  lines.push_back({.row = "1b",
                   .what = "classic fork, frames shuffled",
                   .unit = "ns/PTE",
                   .shuffled = true,
                   .of_linux = on_linux::fork_latency,
                   .floor = floor::fork_loop,
                   .ours = engine::fork_latency,
                   .must = {at_most(18), times_linux(5)},
                   .stretch = {at_most(12)}});
  lines.push_back({.row = "3b",
                   .what = "fork, 1 % scattered pins",
                   .unit = "ns/PTE",
                   .extent = Extent::kBig,
                   .pinned = 1,
                   .of_linux = on_linux::fork_latency,
                   .floor = floor::fork_loop_with_pins,
                   .ours = engine::fork_latency,
                   .must = {times_linux(4)},
                   .stretch = {times_linux(6)}});
  lines.push_back({.row = "3c",
                   .what = "fork, all pinned as one range",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .pinned = 100,
                   .of_linux = on_linux::fork_latency,
                   .floor = floor::copy_page,
                   .ours = engine::fork_latency,
                   .must = {floor_plus(200)},
                   .stretch = {floor_plus(80)}});
  lines.push_back({.row = "3d", .what = "one pinned page of a 2 MiB mapping", .unit = "us", .missing = kNoHugePages});
}

/// Of forks that share tables. 64 GiB are tables over the zero page: see Load::tables_alone.
void add_sharing_forks(Lines& lines) {
  constexpr ForkMode kLeaves = ForkMode::kSharedLeaves;
  constexpr ForkMode kSubtrees = ForkMode::kSharedSubtrees;
  const auto whole = [&lines](std::string_view row, std::string_view what, std::string_view unit, ForkMode mode,
                              Side floor, Side ours, std::vector<Bound> must, std::vector<Bound> stretch) {
    lines.push_back({.row = row,
                     .what = what,
                     .unit = unit,
                     .extent = Extent::kTables,
                     .mode = mode,
                     .floor = floor,
                     .ours = ours,
                     .must = std::move(must),
                     .stretch = std::move(stretch)});
  };
  whole("2", "fork sharing leaves, 64 GiB of tables", "us", kLeaves, nullptr, engine::fork_whole, {at_most(350)},
        {at_most(180)});
  whole("2b", "fork sharing subtrees, 64 GiB of tables (floor: 1 GiB)", "us", kSubtrees, engine::fork_one_gib,
        engine::fork_whole, {at_most(25), times_floor(1.5)}, {at_most(10)});
  whole("9b", "drop of a child sharing leaves, 64 GiB", "us", kLeaves, nullptr, engine::drop_child, {at_most(300)},
        {at_most(150)});
  whole("9b", "drop of a child sharing subtrees, 64 GiB", "us", kSubtrees, nullptr, engine::drop_child, {at_most(10)},
        {at_most(3)});
  whole("12b", "metadata of a fork sharing leaves, 64 GiB", "KiB", kLeaves, nullptr, engine::fork_metadata,
        {at_most(512)}, {at_most(280)});
  whole("12b", "metadata of a fork sharing subtrees, 64 GiB", "KiB", kSubtrees, nullptr, engine::fork_metadata,
        {at_most(64)}, {at_most(16)});

  const auto add = [&lines](std::string_view row, std::string_view what, std::string_view unit, bool shuffled,
                            std::uint64_t pins, Side floor, Side ours, std::vector<Bound> must,
                            std::vector<Bound> stretch) {
    lines.push_back({.row = row,
                     .what = what,
                     .unit = unit,
                     .extent = Extent::kFork,
                     .shuffled = shuffled,
                     .pins = pins,
                     .mode = kLeaves,
                     .floor = floor,
                     .ours = ours,
                     .must = std::move(must),
                     .stretch = std::move(stretch)});
  };
  constexpr std::uint64_t kPins = 64;
  add("3", "fork sharing leaves, one isolated pin more", "us/pin", false, kPins, nullptr, engine::fork_per_pin,
      {at_most(7)}, {at_most(4.5)});
  add("3", "the same, shuffled", "us/pin", true, kPins, nullptr, engine::fork_per_pin, {at_most(18)}, {at_most(11)});
  add("4", "first write under a shared leaf, in order", "us", false, 0, nullptr, engine::first_write, {at_most(7)},
      {at_most(5)});
  add("4", "first write under a shared leaf, shuffled", "us", true, 0, nullptr, engine::first_write, {at_most(14)},
      {at_most(10)});
  add("4", "first write under a shared leaf, p99", "us", false, 0, nullptr, engine::first_write_p99, {at_most(30)}, {});
  add("4b", "fork sharing leaves, every page written (floor: classic)", "ns/page", false, 0,
      engine::classic_fork_and_write, engine::fork_and_write, {times_floor(1.1)}, {times_floor(1)});
}

void add_faults(Lines& lines) {
  lines.push_back({.row = "5",
                   .what = "zero fill, batch",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .of_linux = on_linux::zero_fill_batch,
                   .floor = floor::clear_page,
                   .ours = engine::zero_fill_batch,
                   .must = {floor_plus(150), times_linux(3.5)},
                   .stretch = {floor_plus(80)}});
  lines.push_back({.row = "5",
                   .what = "zero fill, a store to each page",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .of_linux = on_linux::zero_fill_trap,
                   .floor = floor::clear_page,
                   .ours = engine::zero_fill_store,
                   .comparable = false,
                   .must = {floor_plus(150)},
                   .stretch = {floor_plus(80)}});
  lines.push_back({.row = "6",
                   .what = "COW copy, batch, in order",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .of_linux = on_linux::cow_copy_batch,
                   .floor = floor::copy_page,
                   .ours = engine::cow_copy_batch,
                   .must = {floor_plus(200), times_linux(2)},
                   .stretch = {floor_plus(100)}});
  lines.push_back({.row = "6",
                   .what = "COW copy, batch, shuffled",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .shuffled = true,
                   .of_linux = on_linux::cow_copy_batch,
                   .floor = floor::copy_page,
                   .ours = engine::cow_copy_batch,
                   .must = {floor_plus(200), times_linux(2)},
                   .stretch = {floor_plus(100)}});
  lines.push_back({.row = "6",
                   .what = "COW copy, a store to each page",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .of_linux = on_linux::cow_copy_trap,
                   .floor = floor::copy_page,
                   .ours = engine::cow_copy_store,
                   .comparable = false,
                   .must = {floor_plus(200)},
                   .stretch = {floor_plus(100)}});
  lines.push_back({.row = "7",
                   .what = "COW re-use, batch, in order",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .of_linux = on_linux::reuse_batch,
                   .floor = floor::reuse_loop,
                   .ours = engine::reuse_batch,
                   .must = {at_most(60)},
                   .stretch = {at_most(30)}});
  lines.push_back({.row = "7",
                   .what = "COW re-use, batch, shuffled",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .shuffled = true,
                   .of_linux = on_linux::reuse_batch,
                   .floor = floor::reuse_loop,
                   .ours = engine::reuse_batch,
                   .must = {at_most(120)},
                   .stretch = {at_most(80)}});
  lines.push_back({.row = "7",
                   .what = "COW re-use, a store to each page",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .of_linux = on_linux::reuse_trap,
                   .floor = floor::reuse_loop,
                   .ours = engine::reuse_store,
                   .comparable = false,
                   .must = {at_most(60)},
                   .stretch = {at_most(30)}});
}

void add_pins(Lines& lines) {
  lines.push_back({.row = "8",
                   .what = "pin, one range",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .of_linux = on_linux::pin,
                   .floor = floor::pin_loop,
                   .ours = engine::pin,
                   .must = {at_most(12)},
                   .stretch = {at_most(7)}});
  lines.push_back({.row = "8",
                   .what = "pin, single random pages",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .shuffled = true,
                   .of_linux = on_linux::pin,
                   .floor = floor::pin_loop,
                   .ours = engine::pin,
                   .must = {at_most(60)},
                   .stretch = {at_most(40)}});
  lines.push_back({.row = "8b",
                   .what = "unpin, one range",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .of_linux = on_linux::unpin,
                   .floor = floor::unpin_loop,
                   .ours = engine::unpin,
                   .must = {at_most(12)},
                   .stretch = {at_most(6)}});
  lines.push_back({.row = "8b",
                   .what = "unpin, single random pages",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .shuffled = true,
                   .of_linux = on_linux::unpin,
                   .floor = floor::unpin_loop,
                   .ours = engine::unpin,
                   .must = {at_most(50)},
                   .stretch = {at_most(35)}});
  lines.push_back({.row = "8c",
                   .what = "race check of fork and pin",
                   .unit = "ns",
                   .missing = "needs a second build, in which the sequence count lies elsewhere"});
}

void add_mappings(Lines& lines) {
  lines.push_back({.row = "9",
                   .what = "unmap, in order",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .of_linux = on_linux::unmap,
                   .floor = floor::unmap_loop,
                   .ours = engine::unmap,
                   .must = {at_most(40)},
                   .stretch = {at_most(20)}});
  lines.push_back({.row = "9",
                   .what = "unmap, shuffled",
                   .unit = "ns/page",
                   .extent = Extent::kFault,
                   .shuffled = true,
                   .of_linux = on_linux::unmap,
                   .floor = floor::unmap_loop,
                   .ours = engine::unmap,
                   .must = {at_most(70)},
                   .stretch = {at_most(45)}});
  lines.push_back({.row = "10",
                   .what = "mprotect of everything",
                   .unit = "ns/PTE",
                   .extent = Extent::kFault,
                   .of_linux = on_linux::protect,
                   .floor = floor::protect_loop,
                   .ours = engine::protect,
                   .must = {at_most(6)},
                   .stretch = {at_most(2)}});
  lines.push_back({.row = "11",
                   .what = "split and merge of one page's VMA",
                   .unit = "ns",
                   .extent = Extent::kFault,
                   .of_linux = on_linux::split_and_merge,
                   .ours = engine::split_and_merge,
                   .must = {at_most(500)},
                   .stretch = {at_most(250)}});
  lines.push_back({.row = "11",
                   .what = "fork, one VMA more",
                   .unit = "ns/VMA",
                   .extent = Extent::kVmas,
                   .of_linux = on_linux::fork_per_vma,
                   .ours = engine::fork_per_vma,
                   .must = {at_most(150)},
                   .stretch = {at_most(60)}});
  lines.push_back({.row = "12",
                   .what = "metadata of a frame (Linux: 64 B struct page)",
                   .unit = "B",
                   .extent = Extent::kNothing,
                   .ours = engine::metadata_per_frame,
                   .timed = false,
                   .must = {at_most(32)},
                   .stretch = {at_most(16)}});
}

void add_threads(Lines& lines) {
  const auto add = [&lines](std::string_view row, std::string_view what, Side of_linux, Side floor, Side ours,
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
  lines.push_back({.row = "13c",
                   .what = "longest stall of others during a sharing fork",
                   .unit = "us",
                   .missing = "there is no measurement of it yet"});
}

void add_embedding(Lines& lines) {
  lines.push_back({.row = "14", .what = "fork of a 2 MiB mapping", .unit = "ns", .missing = kNoHugePages});
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
  lines.push_back({.row = "16",
                   .what = "translation for an accessor",
                   .unit = "ns",
                   .missing = "see bm_hit and bm_miss of cowherd_mm_bench"});
  lines.push_back({.row = "16b",
                   .what = "bulk read through the memory system",
                   .unit = "GiB/s",
                   .extent = Extent::kFault,
                   .of_linux = on_linux::bulk_read,
                   .floor = floor::bulk_copy,
                   .ours = engine::bulk_read,
                   .higher_is_better = true,
                   .must = {of_floor(0.9)},
                   .stretch = {of_floor(0.97)}});
  lines.push_back({.row = "16b",
                   .what = "bulk write through the memory system",
                   .unit = "GiB/s",
                   .extent = Extent::kFault,
                   .floor = floor::bulk_copy,
                   .ours = engine::bulk_write,
                   .higher_is_better = true,
                   .must = {of_floor(0.9)},
                   .stretch = {of_floor(0.97)}});
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
    add_sharing_forks(made);
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
