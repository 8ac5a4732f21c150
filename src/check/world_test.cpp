#include "check/world.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "check/program_test.hpp"
#include "check/step.hpp"
#include "litmus/generator.hpp"

namespace cowherd::check {
namespace {

using Bytes = std::vector<std::byte>;

Bytes packed(World& world) {
  const auto bytes = world.pack();
  return {bytes.begin(), bytes.end()};
}

/// The next block that can go on, chosen by `random`; -1 at the end.
int step_somebody(World& world, std::mt19937& random) {
  const Bytes here = packed(world);
  std::vector<std::uint8_t> candidates;
  for (std::uint8_t block = 0; block < world.scene().blocks(); ++block) {
    if (contains(world.runnable(), block)) candidates.push_back(block);
  }
  while (!candidates.empty()) {
    const std::size_t at = random() % candidates.size();
    if (!step(world, candidates[at]).blocked) return candidates[at];
    world.restore(here);
    candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return -1;
}

/// A state that was left and restored goes on exactly as it would have: nothing of what happened in between stays,
/// above all not in frames that the snapshot does not hold.
TEST(World, ARestoredStateIsTheSameState) {
  std::mt19937 random(7);
  litmus::GeneratorOptions generator;
  generator.max_operations = 14;
  generator.min_operations = 8;
  generator.max_blocks = 4;
  World world;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    const litmus::Program program = litmus::random_program(seed, generator);
    const Scene scene(program);
    ASSERT_EQ(world.begin(scene, kCowherdRules), "");
    std::vector<Bytes> states = {packed(world)};
    std::vector<std::uint8_t> schedule;
    for (int block = step_somebody(world, random); block >= 0; block = step_somebody(world, random)) {
      schedule.push_back(static_cast<std::uint8_t>(block));
      states.push_back(packed(world));
    }
    for (std::size_t from = states.size(); from-- > 0;) {
      world.restore(states[from]);
      ASSERT_EQ(packed(world), states[from]);
      for (std::size_t i = from; i < schedule.size(); ++i) {
        ASSERT_FALSE(step(world, schedule[i]).blocked);
        ASSERT_EQ(packed(world), states[i + 1]) << "seed " << seed << ", from " << from << ", step " << i;
      }
    }
    ASSERT_TRUE(verify_step(world).none());
  }
}

TEST(World, BeginsAnewFromAnyState) {
  const litmus::Program program = program_of(kPinForkWrite);
  const Scene scene(program);
  World world;
  ASSERT_EQ(world.begin(scene, kCowherdRules), "");
  const Bytes first = packed(world);
  std::mt19937 random(1);
  while (step_somebody(world, random) >= 0) {
  }
  EXPECT_NE(packed(world), first);
  ASSERT_EQ(world.begin(scene, kCowherdRules), "");
  EXPECT_EQ(packed(world), first);
}

TEST(World, InitBlockIsWhatItSays) {
  const litmus::Program program = program_of(R"(COW init
{
  a = anon;
  v = anon[2](5);
  z = zeropage;
  u = unmapped;
  r = anon(6) PROT_READ;
}
P0() { }
locations [0:a; 0:v[1]; 0:v[1].1; 0:z; 0:u; 0:r; frame(0:a); frame(0:z); writable(0:v); writable(0:r); rss(P0);]
)");
  const CheckResult result = check(program, under("cowherd"));
  EXPECT_EQ(outcomes_text(program, result),
            "0:a=0; 0:v[1]=5; 0:v[1].1=0; 0:z=0; 0:u=-SIGSEGV; 0:r=6; frame(0:a)=-1; frame(0:z)=0; writable(0:v)=1; "
            "writable(0:r)=0; rss(P0)=3;");
}

TEST(Scene, VariablesLieApart) {
  const litmus::Program program = program_of("COW t\n{ x = anon[2]; y = anon; }\nP0() { thread(P1); }\nP1() { }\n");
  const Scene scene(program);
  EXPECT_EQ(scene.address_of_page(1) - scene.address_of_page(0), ByteCount{Geometry<G>::kPageBytes});
  EXPECT_EQ(scene.address_of_page(2) - scene.address_of_page(1), ByteCount{2 * Geometry<G>::kPageBytes});
  EXPECT_EQ(scene.page_name(1), "x[1]");
  EXPECT_EQ(scene.page_name(2), "y");
  EXPECT_EQ(scene.page_at(Geometry<G>::page_of(scene.address_of_page(2))), 2);
  EXPECT_EQ(scene.page_at(Vpn{0}), litmus::kMaxPages);
  EXPECT_EQ(scene.agent_name(0), "P0/T0");
  EXPECT_EQ(scene.agent_name(1), "P0/T1");
}

TEST(Scene, OperationsThatNameNoPageAreAboutTheFirst) {
  const litmus::Program program =
      program_of("COW t\n{ d = device; }\nP0() { fork(P1); r0 = dma_read(d[2]); }\nP1() { }\n");
  const Scene scene(program);
  EXPECT_EQ(scene.page_of_operation(0, 0), 0);
  EXPECT_EQ(scene.page_of_operation(0, 1), 2);
}

}  // namespace
}  // namespace cowherd::check
