#include <fmt/format.h>

#include <cstdint>
#include <string_view>
#include <utility>

#include "measure/engine_side.hpp"
#include "measure/floor_side.hpp"
#include "measure/goals.hpp"
#include "measure/linux_side.hpp"

namespace cowherd::measure {
namespace {

constexpr ForkMode kLeaves = ForkMode::kSharedLeaves;
constexpr ForkMode kSubtrees = ForkMode::kSharedSubtrees;

void add_classic(Lines& lines) {
  add_both(
      lines,
      {.unit = "ns/PTE", .of_linux = on_linux::fork_latency, .floor = floor::fork_loop, .ours = engine::fork_latency},
      {.row = "1",
       .what = "classic fork, frames in order",
       .must = {at_most(7), times_floor(2.5), times_linux(8)},
       .stretch = {at_most(4.5)},
       .floor_there = 2.83},
      {.row = "1b",
       .what = "classic fork, frames shuffled",
       .must = {at_most(18), times_linux(5)},
       .stretch = {at_most(12)},
       .floor_there = 8.5});
  (lines.end() - 2)->published = "15-17 ns/PTE, EPYC 7B12, Linux 6.x (mail Y+Z8ymNYc+vJMBx8@strix-laptop)";
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
                   .floor_there = 717,
                   .must = {floor_plus(200)},
                   .stretch = {floor_plus(80)}});
  lines.push_back({.row = "3d",
                   .what = "one pinned page of a 2 MiB mapping",
                   .unit = "us/pin",
                   .extent = Extent::kFault,
                   .pins = 16,
                   .huge = true,
                   .of_linux = on_linux::fork_per_piece_pin,
                   .floor = floor::table_and_page,
                   .ours = engine::fork_per_piece_pin,
                   .floor_there = 2.8,
                   .must = {at_most(15)},
                   .stretch = {at_most(8)}});
}

/// Of forks that share tables. 64 GiB are tables over the zero page: see Load::tables_alone.
void add_sharing(Lines& lines) {
  const Line fork = {.unit = "us", .floor = floor::fork_of_tables, .ours = engine::fork_whole};
  const Line drop = {.row = "9b", .unit = "us", .floor = floor::drop_of_tables, .ours = engine::drop_child};
  const Line frames = {.row = "12b", .unit = "KiB", .ours = engine::fork_metadata, .timed = false};
  const auto add = [&lines](Line line, std::string_view row, const char* what, Extent extent, ForkMode mode,
                            std::vector<Bound> must, std::vector<Bound> stretch, double floor_there = 0) {
    line.row = row;
    line.what = what;
    line.extent = extent;
    line.mode = mode;
    line.must = std::move(must);
    line.stretch = std::move(stretch);
    line.floor_there = floor_there;
    lines.push_back(std::move(line));
  };
  add(fork, "2", "fork sharing leaves, 64 GiB of tables", Extent::kTables, kLeaves, {at_most(350)}, {at_most(180)},
      100);
  add(fork, "2b", "fork sharing subtrees, 64 GiB of tables", Extent::kTables, kSubtrees, {at_most(25)}, {at_most(10)});
  Line sizes = fork;
  sizes.floor = engine::fork_one_gib;
  sizes.beside = "the same fork of 1 GiB of tables";
  add(sizes, "2b", "the same, beside 1 GiB of tables", Extent::kTables, kSubtrees, {times_floor(1.5)}, {});
  Line real = fork;
  real.of_linux = on_linux::fork_whole;
  add(real, "2", "fork sharing leaves, pages written", Extent::kFork, kLeaves, {}, {});
  add(real, "2b", "fork sharing subtrees, pages written", Extent::kFork, kSubtrees, {at_most(25)}, {at_most(10)});
  add(drop, "9b", "drop of a child sharing leaves, 64 GiB", Extent::kTables, kLeaves, {at_most(300)}, {at_most(150)});
  add(drop, "9b", "drop of a child sharing subtrees, 64 GiB", Extent::kTables, kSubtrees, {at_most(10)}, {at_most(3)});
  add(frames, "12b", "metadata of a fork sharing leaves, 64 GiB", Extent::kTables, kLeaves, {at_most(512)},
      {at_most(280)});
  add(frames, "12b", "metadata of a fork sharing subtrees, 64 GiB", Extent::kTables, kSubtrees, {at_most(64)},
      {at_most(16)});
}

/// What a pin adds, by how many there are and how much is mapped.
void add_pinned(Lines& lines) {
  for (const bool tables : {false, true}) {
    for (const std::uint64_t pins : {1u, 16u, 256u, 4096u}) {
      const auto what = [&](std::string_view order) {
        return fmt::format("fork sharing leaves, each of {} pins,{} {}", pins, tables ? " 64 GiB," : "", order);
      };
      add_both(
          lines,
          {.unit = "us/pin",
           .extent = tables ? Extent::kTables : Extent::kFork,
           .pins = pins,
           .mode = kLeaves,
           .of_linux = tables ? nullptr : on_linux::fork_per_pin,
           .floor = floor::table_and_page,
           .ours = engine::fork_per_pin,
           .apart = "Linux copies every table, pins or not"},
          {.row = "3", .what = what("in order"), .must = {at_most(7)}, .stretch = {at_most(4.5)}, .floor_there = 2.8},
          {.row = "3", .what = what("shuffled"), .must = {at_most(18)}, .stretch = {at_most(11)}, .floor_there = 7.2});
    }
  }
}

void add_first_writes(Lines& lines) {
  const Line first = {.unit = "us", .mode = kLeaves, .floor = floor::table_and_page, .ours = engine::first_write};
  add_both(lines, first,
           {.row = "4",
            .what = "first write under a shared leaf, in order",
            .must = {at_most(7)},
            .stretch = {at_most(5)},
            .floor_there = 3.2},
           {.row = "4",
            .what = "first write under a shared leaf, shuffled",
            .must = {at_most(14)},
            .stretch = {at_most(10)},
            .floor_there = 7.2});
  lines.push_back({.row = "4",
                   .what = "first write under a shared leaf, p99",
                   .unit = "us",
                   .mode = kLeaves,
                   .floor = floor::table_and_page,
                   .ours = engine::first_write_p99,
                   .floor_there = 3.2,
                   .must = {at_most(30)}});
  lines.push_back({.row = "4b",
                   .what = "fork sharing leaves, every page written",
                   .unit = "ns/page",
                   .mode = kLeaves,
                   .floor = engine::classic_fork_and_write,
                   .ours = engine::fork_and_write,
                   .beside = "a classic fork and the same writes",
                   .must = {times_floor(1.1)},
                   .stretch = {times_floor(1)}});
}

}  // namespace

void add_both(Lines& lines, Line line, const Order& in_order, const Order& shuffled) {
  for (const Order* order : {&in_order, &shuffled}) {
    line.row = order->row;
    line.what = order->what;
    line.shuffled = order == &shuffled;
    line.must = order->must;
    line.stretch = order->stretch;
    line.floor_there = order->floor_there;
    lines.push_back(line);
  }
}

void add_forks(Lines& lines) {
  add_classic(lines);
  add_sharing(lines);
  add_pinned(lines);
  add_first_writes(lines);
}

}  // namespace cowherd::measure
