#include "check/minimise.hpp"

#include <gtest/gtest.h>

#include "check/program_test.hpp"
#include "litmus/printer.hpp"

namespace cowherd::check {
namespace {

const Finding& only(const CheckResult& result) {
  EXPECT_EQ(result.findings.size(), 1u);
  return result.findings.at(0);
}

TEST(Minimise, KeepsWhatTheFindingNeeds) {
  const litmus::Program program = program_of(R"(COW t
{ x = anon(1); y = anon[2](9); d = device; e = device; }
P0()
{
  WRITE_ONCE(*y, 7);
  pin(e, y, FOLL_WRITE | FOLL_LONGTERM) times 3;
  pin(d, x, FOLL_WRITE | FOLL_LONGTERM);
  unpin(e);
  fork(P1);
  r0 = READ_ONCE(*x);
  WRITE_ONCE(*x, 2);
  madvise(y, MADV_DONTNEED);
  r1 = dma_read(d);
}
P1() { r0 = READ_ONCE(*y); exec(); }
exists (0:r1=1)
)");
  const CheckResult result = check(program, under("linux-5.9-rc5"));
  const Finding& finding = only(result);
  EXPECT_TRUE(finding.minimal);
  EXPECT_EQ(finding.program.operation_count(), 4u);
  EXPECT_EQ(finding.program.quantifier, litmus::Quantifier::kNone);
  EXPECT_EQ(finding.program.variables.size(), 1u);
  EXPECT_EQ(finding.program.devices.size(), 1u);
  EXPECT_EQ(finding.trace.schedule, "0*4");
  const std::string text = litmus::print(finding.program);
  EXPECT_NE(text.find("pin(d, x, FOLL_WRITE);"), std::string::npos) << text;
}

TEST(Minimise, TheResultShowsTheSameFinding) {
  const litmus::Program program = program_of(kPinForkWrite);
  const CheckResult result = check(program, under("linux-5.9-rc5"));
  CheckOptions options = under("linux-5.9-rc5");
  options.minimise = false;
  const CheckResult again = check(only(result).program, options);
  EXPECT_EQ(only(again).subtype, only(result).subtype);
  EXPECT_EQ(only(again).clause, only(result).clause);
  EXPECT_FALSE(only(again).minimal);
}

TEST(Minimise, SaysNothingOfMinimalityThatItHasNotTried) {
  // Too many operations to try all ways: what is left is small all the same.
  std::string text =
      "COW t\n{ x = anon(1); y = anon(1); d = device; e = device; f = device; }\nP0() { pin(d, x, "
      "FOLL_WRITE); thread(P2); fork(P1); ";
  for (int i = 2; i < 32; ++i) text += "WRITE_ONCE(*y, " + std::to_string(i) + "); ";
  text +=
      "wait(P1); wait(P2); WRITE_ONCE(*x, 40); dma_write(d, 41); r0 = READ_ONCE(*x); }\nP1() { exec(); }\nP2() { r0 = "
      "READ_ONCE(*y); }\n";
  CheckOptions options = under("linux-5.9-rc5");
  options.explain = false;
  const CheckResult result = check(program_of(text), options);
  const Finding& finding = only(result);
  EXPECT_EQ(finding.program.operation_count(), 5u);
  EXPECT_FALSE(finding.minimal);
}

}  // namespace
}  // namespace cowherd::check
