#include "litmus/printer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "litmus/parser.hpp"
#include "litmus/random.hpp"
#include "litmus/samples_test.hpp"

namespace cowherd::litmus {
namespace {

Term random_term(Random& random) {
  static constexpr std::array<std::int64_t, 8> kLiterals{
      0, 1, -1, -12, -1011, 4711, std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()};
  Term term;
  // The program that it is for has no file.
  do {
    term.kind = static_cast<Term::Kind>(random.below(static_cast<std::uint32_t>(Term::Kind::kSwapCache) + 1));
  } while (term.kind == Term::Kind::kFileWord || term.kind == Term::Kind::kDiskWord);
  switch (term.kind) {
    case Term::Kind::kLiteral:
      term.literal = kLiterals[random.below(kLiterals.size())];
      break;
    case Term::Kind::kRegister:
      break;
    case Term::Kind::kFinding:
      term.label = "wrong-cow_2";
      break;
    case Term::Kind::kFaults:
    case Term::Kind::kRss:
      term.block = static_cast<std::uint8_t>(random.below(2));
      break;
    case Term::Kind::kMemory:
      term.place.word = static_cast<std::uint8_t>(random.below(4));
      [[fallthrough]];
    default:
      term.block = static_cast<std::uint8_t>(random.below(2));
      term.place.variable = 1;
      term.place.page = static_cast<std::uint8_t>(random.below(2));
      break;
  }
  return term;
}

Condition random_condition(Random& random, int depth) {
  Condition condition;
  condition.kind = static_cast<Condition::Kind>(random.below(depth > 0 ? 5 : 2));
  std::uint32_t children = 0;
  if (condition.kind == Condition::Kind::kCompare) {
    condition.compare = static_cast<Condition::Compare>(random.below(6));
    condition.left = random_term(random);
    condition.right = random_term(random);
  } else if (condition.kind == Condition::Kind::kNot) {
    children = 1;
  } else if (condition.kind != Condition::Kind::kTrue) {
    children = 2 + random.below(2);
  }
  for (std::uint32_t c = 0; c < children; ++c) condition.children.push_back(random_condition(random, depth - 1));
  return condition;
}

TEST(Printer, EveryConditionPrintsBack) {
  Program program = parsed(with_statements("fork(P1); r0 = READ_ONCE(*x);"));
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Random random(seed);
    program.quantifier = static_cast<Quantifier>(1 + random.below(3));
    program.condition = random_condition(random, 4);
    program.filter = random_condition(random, 2);
    const ParseResult again = parse(print(program), "printed");
    ASSERT_TRUE(again.ok()) << again.to_text();
    ASSERT_TRUE(*again.program == program) << print(program) << print(*again.program);
  }
}

TEST(Printer, ResultsHaveNamesAndInternalStateHasNumbers) {
  const Program program =
      parsed(with_statements("r0 = READ_ONCE(*x);") + "exists (0:r0=-1 /\\ frame(0:x)=-1 /\\ -12=0:r0)");
  EXPECT_EQ(print_final_condition(program), "exists (0:r0=-EPERM /\\ frame(0:x)=-1 /\\ -ENOMEM=0:r0)");
}

TEST(Printer, NoConditionIsNoText) { EXPECT_EQ(print_final_condition(parsed(with_statements("exec();"))), ""); }

TEST(Printer, OneStatementAtATime) {
  const Program program = parsed(kEverything);
  EXPECT_EQ(print_operation(program, 0, program.blocks[0].operations[0]),
            "r5 = pin(d, x, FOLL_WRITE | FOLL_LONGTERM) times 3 fail_nth 2");
  EXPECT_EQ(print_place(program, program.blocks[0].operations[5]), "y[2].3");
  EXPECT_EQ(print_operation(program, 4, program.blocks[4].operations[0]), "r0 = dma_read(d[1].2)");
}

TEST(Printer, LongRemarksAreBrokenBetweenWords) {
  std::string words;
  for (int i = 0; i < 60; ++i) words += (i > 0 ? " word" : "word") + std::to_string(i);
  const Program program = parsed("COW t\n(* Remark: " + words + " *)\n{}\nP0() {}\n");
  EXPECT_EQ(program.remark, words);
  const std::string printed = print(program);
  for (std::size_t begin = 0; begin < printed.size();) {
    const std::size_t end = printed.find('\n', begin);
    EXPECT_LE(end - begin, 120u);
    begin = end + 1;
  }
  EXPECT_TRUE(parsed(printed) == program);
}

TEST(Printer, ABrokenRemarkKeepsItsStars) {
  const std::string words = "words " + std::string(100, 'w') + " *star *" + std::string(120, 's') + " end";
  const Program program = parsed("COW t\n(* Remark: " + words + " *)\n{}\nP0() {}\n");
  EXPECT_EQ(program.remark, words);
  EXPECT_TRUE(parsed(print(program)) == program);
}

}  // namespace
}  // namespace cowherd::litmus
