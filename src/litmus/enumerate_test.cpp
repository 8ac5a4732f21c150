#include "litmus/enumerate.hpp"

#include <gtest/gtest.h>

#include <set>

#include "litmus/parser.hpp"
#include "litmus/printer.hpp"
#include "litmus/resolve.hpp"

namespace cowherd::litmus {
namespace {

TEST(Enumerate, HandsOutEveryProgramOnceShorterOnesFirst) {
  std::set<std::string> names;
  std::size_t length = 1;
  const std::uint64_t count = enumerate_programs(4, [&](const Program& program) {
    EXPECT_TRUE(names.insert(program.name).second) << program.name;
    EXPECT_GE(program.operation_count(), length);
    length = program.operation_count();
    return true;
  });
  EXPECT_EQ(count, names.size());
  EXPECT_EQ(length, 4u);
  for (const char* expected :
       {"W", "PF+", "PFD+", "PFW+E", "WPFD", "F+WR", "GFD+", "pWFd", "MF+X", "FX+R", "PCW", "FC+C"}) {
    const std::string name = std::string(expected);
    const bool forks = name.find('F') != std::string::npos;
    EXPECT_TRUE(names.contains(forks && name.find('+') == std::string::npos ? name + "+" : name)) << name;
  }
  for (const char* absent : {"U", "D", "pD", "XW", "EW", "PP", "WF", "FF+", "F+F"}) {
    EXPECT_FALSE(names.contains(absent)) << absent;
  }
}

/// Counted by hand: of one letter W R P G p F X E M C; U, D, d need a reference.
TEST(Enumerate, CountsOfTheShortestPrograms) {
  const auto count = [](std::size_t most) { return enumerate_programs(most, [](const Program&) { return true; }); };
  EXPECT_EQ(count(0), 0u);
  EXPECT_EQ(count(1), 10u);
  // W, R, M, C before one of ten: 40. P, G: W R M C F X E U D d are 10 each; p: 9. F before W R P G p X E M C: 9,
  // for parent and for child. E before X: 1. X: none.
  EXPECT_EQ(count(2) - count(1), 40u + 10 + 10 + 9 + 18 + 1);
}

TEST(Enumerate, ProgramsAreSoundAndPrintBack) {
  std::size_t checked = 0;
  enumerate_programs(5, [&](const Program& program) {
    if (checked++ % 50 != 0) return true;
    Program copy = program;
    EXPECT_TRUE(resolve(copy).empty()) << print(program);
    const ParseResult again = parse(print(program), "enumerated");
    EXPECT_TRUE(again.ok()) << again.to_text() << print(program);
    EXPECT_TRUE(again.ok() && *again.program == program) << print(program);
    return !testing::Test::HasFailure();
  });
}

TEST(Enumerate, StopsWhenTold) {
  std::size_t seen = 0;
  EXPECT_EQ(enumerate_programs(6, [&](const Program&) { return ++seen < 17; }), 17u);
}

TEST(Enumerate, SpellsAProgram) {
  EXPECT_EQ(print(spell_program("WPFDd+GDRU")), R"(COW WPFDd+GDRU
{
  x = anon(1);
  d = device;
  e = device;
}
P0(page *x, dev *d)
{
  WRITE_ONCE(*x, 2);
  pin(d, x, FOLL_WRITE | FOLL_LONGTERM);
  fork(P1);
  dma_write(d, 3);
  r0 = dma_read(d);
}
P1(page *x, dev *e)
{
  get(e, x, FOLL_WRITE);
  dma_write(e, 4);
  r0 = READ_ONCE(*x);
  put(e);
}
locations [0:r0; 0:x; 1:r0; 1:x;]
)");
}

}  // namespace
}  // namespace cowherd::litmus
