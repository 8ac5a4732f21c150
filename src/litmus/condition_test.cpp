#include "litmus/condition.hpp"

#include <gtest/gtest.h>

#include "litmus/parser.hpp"
#include "litmus/printer.hpp"

namespace cowherd::litmus {
namespace {

Program with_condition(std::string_view tail) {
  ParseResult result = parse(
      "COW t { x = anon(1); y = anon[2]; d = device; }\n"
      "P0() { r0 = READ_ONCE(*x); r1 = READ_ONCE(*x); r10 = READ_ONCE(*x); r9 = READ_ONCE(*x); fork(P1); }\n"
      "P1() { r0 = READ_ONCE(*x); }\n"
      "device D0() { r0 = dma_read(d); }\n" +
          std::string(tail),
      "t");
  EXPECT_TRUE(result.ok()) << result.to_text();
  return result.ok() ? std::move(*result.program) : Program{};
}

struct ConditionCase {
  const char* condition;
  bool holds;
};

class Evaluate : public testing::TestWithParam<ConditionCase> {};

/// 0:r0 is 1, 0:r1 is -ENOMEM, 1:r0 is 2, every other term is 0.
std::int64_t value_of(const Term& term) {
  if (term.kind != Term::Kind::kRegister) return 0;
  if (term.block == 1) return 2;
  return term.reg == 0 ? 1 : term.reg == 1 ? -12 : 0;
}

TEST_P(Evaluate, Holds) {
  const Program program = with_condition(std::string("exists (") + GetParam().condition + ")");
  EXPECT_EQ(evaluate(program.condition, value_of), GetParam().holds) << GetParam().condition;
}

INSTANTIATE_TEST_SUITE_P(
    Table, Evaluate,
    testing::Values(ConditionCase{"true", true}, ConditionCase{"~true", false}, ConditionCase{"0:r0=1", true},
                    ConditionCase{"0:r0=2", false}, ConditionCase{"1=0:r0", true}, ConditionCase{"0:r0!=1", false},
                    ConditionCase{"0:r0<1:r0", true}, ConditionCase{"0:r0<=1", true}, ConditionCase{"0:r0<1", false},
                    ConditionCase{"0:r0>1", false}, ConditionCase{"0:r0>=1", true}, ConditionCase{"0:r1=-ENOMEM", true},
                    ConditionCase{"0:r1<0", true}, ConditionCase{"0:r0", true}, ConditionCase{"0:r9", false},
                    ConditionCase{"~0:r9", true}, ConditionCase{"0:r0=1 /\\ 1:r0=2", true},
                    ConditionCase{"0:r0=1 /\\ 1:r0=1", false}, ConditionCase{"0:r0=3 \\/ 1:r0=2", true},
                    ConditionCase{"0:r0=3 \\/ 1:r0=3", false}, ConditionCase{"0:r0=1 \\/ 0:r0=2 /\\ 0:r0=3", true},
                    ConditionCase{"(0:r0=1 \\/ 0:r0=2) /\\ 0:r0=3", false}, ConditionCase{"~(0:r0=1 /\\ 1:r0=1)", true},
                    ConditionCase{"~~0:r0=1", true}, ConditionCase{"excl(0:x)", false},
                    ConditionCase{"0:x=0 /\\ fault(P0)=0 /\\ ~finding(leak)", true}));

TEST(Condition, AnEmptyConditionHolds) { EXPECT_TRUE(evaluate(Condition{}, value_of)); }

TEST(Condition, StopsAtThePartThatDecides) {
  const Program program = with_condition("exists (0:r0=7 /\\ 1:r0=2)");
  int asked = 0;
  EXPECT_FALSE(evaluate(program.condition, [&](const Term&) {
    ++asked;
    return std::int64_t{0};
  }));
  EXPECT_EQ(asked, 1);
}

std::string names(const Program& program, const std::vector<Term>& terms) {
  std::string out;
  for (const Term& term : terms) out += print_term(program, term) + " ";
  return out;
}

TEST(Condition, ObservedTermsAreThoseMentionedOnceAndInOrder) {
  const Program program = with_condition(
      "filter (0:r10=1 \\/ 0:r1=1)\nlocations [1:x; 0:y[1]; D0:r0; excl(0:x)]\nexists (1:r0=1 /\\ 0:r9=1 /\\ "
      "0:r9=0:x)");
  EXPECT_EQ(names(program, observed_terms(program)), "0:r1 0:r9 0:r10 1:r0 D0:r0 0:x 0:y[1] 1:x excl(0:x) ");
  EXPECT_EQ(names(program, terms_of(program.condition)), "1:r0 0:r9 0:x ");
}

TEST(Condition, WithoutAnythingMentionedEveryRegisterIsObserved) {
  const Program program = with_condition("");
  EXPECT_EQ(names(program, observed_terms(program)), "0:r0 0:r1 0:r9 0:r10 1:r0 D0:r0 ");
}

TEST(Condition, StatesShowResultsByNameAndInternalStateAsNumbers) {
  const Program program = with_condition("locations [0:r0; 0:x; frame(0:x); 1:r0]");
  EXPECT_EQ(format_state(program, observed_terms(program), {-12, 2, -1011, -1}),
            "0:r0=-ENOMEM; 1:r0=2; 0:x=-SIGSEGV; frame(0:x)=-1;");
}

TEST(Condition, KnowsWhatARunningKernelDoesNotShow) {
  const Program program =
      with_condition("locations [0:r0; 0:x; fault(P0); frame(0:x); refcount(0:x); rss(P0); finding(a)]");
  std::string internal;
  for (const Term& term : program.locations) internal += is_internal(term) ? 'i' : 'o';
  EXPECT_EQ(internal, "oooiiii");
}

}  // namespace
}  // namespace cowherd::litmus
