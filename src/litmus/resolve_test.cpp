#include "litmus/resolve.hpp"

#include <gtest/gtest.h>

#include "litmus/parser.hpp"
#include "litmus/samples_test.hpp"

namespace cowherd::litmus {
namespace {

Program sample() {
  ParseResult result = parse(
      "COW t { x = anon(1); y = anon[2]; d = device; }\n"
      "P0() { r0 = READ_ONCE(*x); fork(P1); thread(P2); WRITE_ONCE(*x, r0); }\n"
      "P1() { pin(d, y, 0); }\n"
      "P2() { thread(P3); }\n"
      "P3() { vfork(P4); }\n"
      "P4() {}\n",
      "t");
  EXPECT_TRUE(result.ok()) << result.to_text();
  return result.ok() ? std::move(*result.program) : Program{};
}

TEST(Resolve, SaysHowEveryBlockStarts) {
  const Program program = sample();
  const std::vector<BlockStart> expected{BlockStart::kAtTimeZero, BlockStart::kFork, BlockStart::kThread,
                                         BlockStart::kThread, BlockStart::kVfork};
  const std::vector<std::uint8_t> starters{0, 0, 0, 2, 3};
  const std::vector<std::uint8_t> processes{0, 1, 0, 0, 4};
  for (std::uint8_t b = 0; b < 5; ++b) {
    EXPECT_EQ(program.blocks[b].start, expected[b]) << int{b};
    EXPECT_EQ(program.blocks[b].starter, starters[b]) << int{b};
    EXPECT_EQ(process_of(program, b), processes[b]) << int{b};
  }
}

TEST(Resolve, IsIdempotent) {
  Program program = sample();
  EXPECT_TRUE(resolve(program).empty());
  EXPECT_TRUE(program == sample());
}

/// Programs that no text can say but a program can build.
TEST(Resolve, RefusesNumbersThatNameNothing) {
  const auto problems = [](auto&& change) {
    Program program = sample();
    change(program);
    return resolve(program).size();
  };
  EXPECT_EQ(problems([](Program&) {}), 0u);
  EXPECT_EQ(problems([](Program& p) { p.blocks[0].operations[0].place.variable = 2; }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.blocks[0].operations[0].place.page = 1; }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.blocks[0].operations[0].place.word = 4; }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.blocks[0].operations[0].result = 3; }), 2u + 1u);
  EXPECT_EQ(problems([](Program& p) { p.blocks[0].operations[1].block = 9; }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.blocks[0].operations[3].value.reg = 5; }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.blocks[0].operations[3].target = 7; }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.blocks[1].operations[0].device = 1; }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.blocks[1].operations[0].place.pages = 3; }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.blocks[1].operations[0].place.pages = 0; }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.blocks[1].operations[0].times = 0; }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.blocks[1].operations[0].times = kMaxTimes + 1; }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.blocks[1].registers.emplace_back("r0"); }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.variables[1].pages = 16; }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.blocks.clear(); }), 1u);
  EXPECT_EQ(problems([](Program& p) { p.devices.resize(kMaxDevices + 1); }), 1u);
}

}  // namespace
}  // namespace cowherd::litmus
