#include "litmus/generator.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "litmus/parser.hpp"
#include "litmus/printer.hpp"
#include "litmus/random.hpp"
#include "litmus/resolve.hpp"

namespace cowherd::litmus {
namespace {

/// Everything that the generator can be asked for.
GeneratorOptions wild_options() {
  GeneratorOptions options;
  options.max_operations = 20;
  options.max_pages = 16;
  options.max_devices = 8;
  options.max_blocks = 6;
  options.times_percent = 10;
  options.fail_percent = 10;
  options.rare_flags_percent = 30;
  options.weights.fill(5);
  return options;
}

TEST(Random, IsTheSameEverywhere) {
  Random random(0);
  EXPECT_EQ(random.next(), 0xe220a8397b1dcdafu);
  EXPECT_EQ(random.next(), 0x6e789e6aa1b965f4u);
}

TEST(Random, StaysBelowItsBound) {
  Random random(7);
  std::array<int, 5> seen{};
  for (int i = 0; i < 5000; ++i) ++seen.at(random.below(5));
  for (const int count : seen) EXPECT_GT(count, 800);
}

TEST(Generator, ASeedNamesAProgram) {
  EXPECT_TRUE(random_program(42) == random_program(42));
  EXPECT_FALSE(random_program(42) == random_program(43));
}

TEST(Generator, ProgramsAreSoundAndPrintBack) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    Program program = random_program(seed, seed % 2 == 0 ? GeneratorOptions{} : wild_options());
    const std::vector<Problem> problems = resolve(program);
    ASSERT_TRUE(problems.empty()) << seed << " " << problems[0].message << "\n" << print(program);
    const ParseResult again = parse(print(program), "generated");
    ASSERT_TRUE(again.ok()) << seed << "\n" << again.to_text() << print(program);
    ASSERT_TRUE(*again.program == program) << seed << "\n" << print(program);
    ASSERT_EQ(print(*again.program), print(program));
  }
}

TEST(Generator, ProgramsKeepToTheirLimits) {
  GeneratorOptions options;
  options.min_operations = 5;
  options.max_operations = 7;
  options.max_pages = 2;
  options.max_devices = 1;
  options.max_blocks = 2;
  std::size_t in_range = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const Program program = random_program(seed, options);
    EXPECT_LE(program.operation_count(), 7u);
    in_range += program.operation_count() >= 5 ? 1 : 0;
    EXPECT_LE(program.page_count(), 2u);
    EXPECT_LE(program.devices.size(), 1u);
    EXPECT_LE(program.blocks.size(), 4u) << "with a device block and a kernel block";
  }
  // Where everything exits early there is nobody left to read.
  EXPECT_GT(in_range, 950u);
}

TEST(Generator, StoredValuesDiffer) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const Program program = random_program(seed, wild_options());
    std::set<std::int64_t> values;
    std::size_t stores = 0;
    for (const Variable& variable : program.variables) {
      if (variable.kind != VariableKind::kAnonValue) continue;
      values.insert(variable.value);
      ++stores;
    }
    for (const Block& block : program.blocks) {
      for (const Operation& op : block.operations) {
        if (op.code != OpCode::kWrite && op.code != OpCode::kDmaWrite && op.code != OpCode::kPtraceWrite) continue;
        values.insert(op.value.literal);
        ++stores;
      }
    }
    EXPECT_EQ(values.size(), stores) << print(program);
    EXPECT_FALSE(values.contains(0));
  }
}

TEST(Generator, ReachesEveryOperationAndMostProgramsFork) {
  std::set<OpCode> seen;
  std::size_t forks = 0;
  std::size_t reads = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    for (const Block& block : random_program(seed, wild_options()).blocks) {
      for (const Operation& op : block.operations) seen.insert(op.code);
    }
    const Program program = random_program(seed);
    bool forked = false;
    bool read = false;
    for (const Block& block : program.blocks) {
      for (const Operation& op : block.operations) {
        forked = forked || op.code == OpCode::kFork || op.code == OpCode::kVfork;
        read = read || (op.result.has_value() && (op.code == OpCode::kRead || op.code == OpCode::kDmaRead));
      }
    }
    forks += forked ? 1 : 0;
    reads += read ? 1 : 0;
  }
  EXPECT_EQ(seen.size(), kOpCodes);
  EXPECT_GT(forks, 500u);
  EXPECT_GT(reads, 950u);
}

TEST(Generator, AWeightOfZeroForbids) {
  GeneratorOptions options;
  options.weights[static_cast<std::size_t>(OpCode::kFork)] = 0;
  options.weights[static_cast<std::size_t>(OpCode::kVfork)] = 0;
  options.get_percent = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    for (const Block& block : random_program(seed, options).blocks) {
      EXPECT_NE(block.start, BlockStart::kFork);
      for (const Operation& op : block.operations) EXPECT_FALSE(has(op.pin_flags, PinFlags::kGet));
    }
  }
}

TEST(Generator, NamesSpellTheOperations) {
  const ParseResult result = parse(
      "COW t { x = anon(1); d = device; } P0() { pin(d, x, FOLL_WRITE); fork(P1); WRITE_ONCE(*x, 2); r0 = dma_read(d); "
      "}"
      "P1() { r0 = READ_ONCE(*x); get(d, x, 0); put(d); }",
      "t");
  ASSERT_TRUE(result.ok());
  const std::string name = generated_name(*result.program);
  EXPECT_EQ(name.substr(0, name.rfind('-')), "PinW-Fork-Wr-DmaR+Rd-GetR-Put");
  EXPECT_EQ(name.size() - name.rfind('-'), 7u);
  // The name does not depend on the name, and does depend on every argument.
  Program renamed = *result.program;
  renamed.name = "other";
  EXPECT_EQ(generated_name(renamed), name);
  renamed.blocks[0].operations[2].value.literal = 3;
  EXPECT_NE(generated_name(renamed), name);
}

}  // namespace
}  // namespace cowherd::litmus
