#include "litmus/shrink.hpp"

#include <gtest/gtest.h>

#include "litmus/generator.hpp"
#include "litmus/parser.hpp"
#include "litmus/printer.hpp"
#include "litmus/random.hpp"
#include "litmus/resolve.hpp"
#include "litmus/samples_test.hpp"

namespace cowherd::litmus {
namespace {

struct ShrinkCase {
  const char* what;
  const char* text;
  std::vector<std::size_t> removed;
  /// Any spelling of the expected program; null for nothing.
  const char* expected;
};

class Shrink : public testing::TestWithParam<ShrinkCase> {};

TEST_P(Shrink, RemovesWhatLostItsMeaning) {
  const Program program = parsed(GetParam().text);
  std::vector<bool> keep(program.operation_count(), true);
  for (const std::size_t i : GetParam().removed) keep.at(i) = false;
  const std::optional<Program> shrunk = remove_operations(program, keep);
  if (GetParam().expected == nullptr) {
    EXPECT_FALSE(shrunk.has_value()) << print(*shrunk);
    return;
  }
  ASSERT_TRUE(shrunk.has_value());
  EXPECT_EQ(print(*shrunk), print(parsed(GetParam().expected)));
}

INSTANTIATE_TEST_SUITE_P(
    Table, Shrink,
    testing::Values(
        ShrinkCase{"nothing removed",
                   "COW t {x=anon(1);} P0() { WRITE_ONCE(*x, 2); } exists (0:x=1)",
                   {},
                   "COW t {x=anon(1);} P0() { WRITE_ONCE(*x, 2); } exists (0:x=1)"},
        ShrinkCase{"one statement",
                   "COW t {x=anon(1);} P0() { WRITE_ONCE(*x, 2); READ_ONCE(*x); }",
                   {0},
                   "COW t {x=anon(1);} P0() { READ_ONCE(*x); }"},
        ShrinkCase{"all statements", "COW t {x=anon(1);} P0() { WRITE_ONCE(*x, 2); }", {0}, nullptr},
        ShrinkCase{
            "a fork takes its block and the wait for it",
            "COW t {x=anon(1);} P0() { fork(P1); fork(P2); wait(P1); wait(P2); } P1() { exec(); } P2() { exit(); }",
            {0},
            "COW t {x=anon(1);} P0() { fork(P1); wait(P1); } P1() { exit(); }"},
        ShrinkCase{"and the blocks that it started",
                   "COW t {x=anon(1);} P0() { fork(P1); READ_ONCE(*x); } P1() { thread(P2); } P2() { READ_ONCE(*x); }",
                   {0},
                   "COW t {x=anon(1);} P0() { READ_ONCE(*x); }"},
        ShrinkCase{"an empty child stays",
                   "COW t {x=anon(1);} P0() { fork(P1); READ_ONCE(*x); } P1() { READ_ONCE(*x); }",
                   {2},
                   "COW t {x=anon(1);} P0() { fork(P1); READ_ONCE(*x); } P1() { }"},
        ShrinkCase{"an emptied block that began at time zero goes",
                   "COW t {x=anon(1);} P0() { READ_ONCE(*x); } P1() { READ_ONCE(*x); }",
                   {0},
                   "COW t {x=anon(1);} P0() { READ_ONCE(*x); }"},
        ShrinkCase{"a pin takes its unpin and its DMA",
                   "COW t {x=anon(1); d=device;} P0() { pin(d,x,0); dma_read(d); unpin(d); READ_ONCE(*x); }",
                   {0},
                   "COW t {x=anon(1);} P0() { READ_ONCE(*x); }"},
        ShrinkCase{"another pin to the device keeps them",
                   "COW t {x=anon(1); d=device;} P0() { pin(d,x,0); pin(d,x,0); unpin(d); }",
                   {0},
                   "COW t {x=anon(1); d=device;} P0() { pin(d,x,0); unpin(d); }"},
        ShrinkCase{"DMA where nothing was ever pinned stays",
                   "COW t {x=anon(1); d=device;} P0() { dma_read(d); READ_ONCE(*x); }",
                   {1},
                   "COW t {d=device;} P0() { dma_read(d); }"},
        ShrinkCase{"a register that is still needed",
                   "COW t {x=anon(1);} P0() { r0 = READ_ONCE(*x); WRITE_ONCE(*x, r0); }",
                   {0},
                   nullptr},
        ShrinkCase{"a register assigned twice",
                   "COW t {x=anon(1);} P0() { r0 = READ_ONCE(*x); r0 = READ_ONCE(*x); WRITE_ONCE(*x, r0); }",
                   {0},
                   "COW t {x=anon(1);} P0() { r0 = READ_ONCE(*x); WRITE_ONCE(*x, r0); }"},
        ShrinkCase{"a condition over a removed register",
                   "COW t {x=anon(1);} P0() { r0 = READ_ONCE(*x); r1 = READ_ONCE(*x); } locations [0:r0; 0:r1;] "
                   "exists (0:r0=1 /\\ 0:r1=1)",
                   {0},
                   "COW t {x=anon(1);} P0() { r1 = READ_ONCE(*x); } locations [0:r1;]"},
        ShrinkCase{"a filter over a removed block",
                   "COW t {x=anon(1);} P0() { fork(P1); READ_ONCE(*x); } P1() { } filter (1:x=1) exists (0:x=1)",
                   {0},
                   "COW t {x=anon(1);} P0() { READ_ONCE(*x); } exists (0:x=1)"},
        ShrinkCase{"conditions follow the numbers of blocks and variables",
                   "COW t {x=anon(1); y=anon(2);} P0() { READ_ONCE(*x); fork(P1); fork(P2); } P1() { } "
                   "P2() { r3 = READ_ONCE(*y); r4 = READ_ONCE(*y); } exists (2:r4=1 /\\ 2:y=1)",
                   {0, 1, 3},
                   "COW t {y=anon(2);} P0() { fork(P1); } P1() { r4 = READ_ONCE(*y); } exists (1:r4=1 /\\ 1:y=1)"},
        ShrinkCase{"a variable that the condition names stays",
                   "COW t {x=anon(1); y=anon(2);} P0() { READ_ONCE(*x); READ_ONCE(*y); } exists (0:x=1)",
                   {0},
                   "COW t {x=anon(1); y=anon(2);} P0() { READ_ONCE(*y); } exists (0:x=1)"},
        ShrinkCase{"access to a process that is gone",
                   "COW t {x=anon(1);} P0() { fork(P1); ptrace_write(P1:x, 2); READ_ONCE(*x); } P1() { }",
                   {0},
                   "COW t {x=anon(1);} P0() { READ_ONCE(*x); }"}));

TEST(ShrinkTest, WhatRemainsIsAlwaysSound) {
  GeneratorOptions options;
  options.max_operations = 12;
  options.max_blocks = 5;
  options.weights.fill(5);
  std::size_t kept = 0;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const Program program = random_program(seed, options);
    Random random(seed);
    std::vector<bool> keep(program.operation_count());
    for (std::size_t i = 0; i < keep.size(); ++i) keep[i] = random.percent(70);
    const std::optional<Program> shrunk = remove_operations(program, keep);
    if (!shrunk.has_value()) continue;
    ++kept;
    const ParseResult again = parse(print(*shrunk), "shrunk");
    ASSERT_TRUE(again.ok()) << again.to_text() << print(program);
    ASSERT_TRUE(*again.program == *shrunk) << print(*shrunk);
    ASSERT_LE(shrunk->operation_count(), program.operation_count());
  }
  EXPECT_GT(kept, 450u);
}

TEST(ShrinkTest, UnusedVariablesAndDevicesGo) {
  EXPECT_EQ(print(remove_unused(parsed("COW t {w=anon; x=anon[2]; y=anon(1); d=device; e=device;} "
                                       "P0() { pin(e, y, 0); } exists (0:x[1]=0)"))),
            print(parsed("COW t {x=anon[2]; y=anon(1); e=device;} P0() { pin(e, y, 0); } exists (0:x[1]=0)")));
  EXPECT_EQ(print(remove_unused(parsed("COW t {w=anon; x=anon;} P0() { exit(); }"))),
            print(parsed("COW t {w=anon;} P0() { exit(); }")));
}

TEST(ShrinkTest, KeepingAllChangesNothing) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const Program program = random_program(seed);
    const std::optional<Program> same = remove_operations(program, std::vector<bool>(program.operation_count(), true));
    ASSERT_TRUE(same.has_value());
    EXPECT_TRUE(*same == program) << print(program) << print(*same);
  }
}

TEST(ShrinkTest, SimplerProgramsDropOneThingEach) {
  const Program program = parsed(
      "COW t {x=anon(1); d=device;} P0() { pin(d, x, FOLL_WRITE | FOLL_FORCE) times 3 fail_nth 2; "
      "mmap(x, PROT_READ, MAP_FIXED | MAP_POPULATE) fail_nth(any); }");
  std::vector<std::string> texts;
  for (const Program& simpler : simpler_programs(program)) {
    for (const Operation& op : simpler.blocks[0].operations) {
      if (!(op == program.blocks[0].operations[static_cast<std::size_t>(&op - simpler.blocks[0].operations.data())])) {
        texts.push_back(print_operation(simpler, 0, op));
      }
    }
  }
  EXPECT_EQ(texts, (std::vector<std::string>{
                       "pin(d, x, FOLL_WRITE | FOLL_FORCE) fail_nth 2",
                       "pin(d, x, FOLL_WRITE | FOLL_FORCE) times 3",
                       "pin(d, x, FOLL_FORCE) times 3 fail_nth 2",
                       "pin(d, x, FOLL_WRITE) times 3 fail_nth 2",
                       "mmap(x, PROT_READ, MAP_FIXED | MAP_POPULATE)",
                       "mmap(x, PROT_READ, MAP_FIXED) fail_nth(any)",
                   }));
}

}  // namespace
}  // namespace cowherd::litmus
