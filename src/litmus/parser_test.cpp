#include "litmus/parser.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "litmus/printer.hpp"
#include "litmus/samples_test.hpp"

namespace cowherd::litmus {
namespace {

TEST(Parser, ReadsTheExampleOfTheDocument) {
  const Program program = parsed(R"(COW pin-fork-write-dma
"The failing test of 2020"
(* Result: Never *)
(* Rules: Never ..linux-5.8; Sometimes linux-5.9-rc5; Never linux-5.9.. *)
{
  x = anon(1);
  d = device;
}
P0(page *x, dev *d)
{
  pin(d, x, FOLL_WRITE | FOLL_LONGTERM);
  fork(P1);
  wait(P1);
  WRITE_ONCE(*x, 2);
  r0 = dma_read(d);
}
P1() { exec(); }
exists (0:r0=1)
)");
  EXPECT_EQ(program.name, "pin-fork-write-dma");
  EXPECT_EQ(program.doc, "The failing test of 2020");
  EXPECT_EQ(program.result, Verdict::kNever);
  ASSERT_EQ(program.expectations.size(), 3u);
  EXPECT_EQ(program.expectations[1], (Expectation{Verdict::kSometimes, "linux-5.9-rc5"}));
  ASSERT_EQ(program.variables.size(), 1u);
  EXPECT_EQ(program.variables[0].kind, VariableKind::kAnonValue);
  EXPECT_EQ(program.variables[0].value, 1);
  EXPECT_EQ(program.devices, std::vector<std::string>{"d"});
  ASSERT_EQ(program.blocks.size(), 2u);
  EXPECT_EQ(program.blocks[1].start, BlockStart::kFork);
  EXPECT_EQ(program.blocks[1].starter, 0);
  ASSERT_EQ(program.operation_count(), 6u);
  const Operation& pin = program.blocks[0].operations[0];
  EXPECT_EQ(pin.code, OpCode::kPin);
  EXPECT_EQ(pin.pin_flags, PinFlags::kWrite | PinFlags::kLongTerm);
  EXPECT_EQ(pin.position.line, 11u);
  EXPECT_EQ(pin.position.column, 3u);
  EXPECT_EQ(program.blocks[0].operations[4].result, std::uint8_t{0});
  EXPECT_EQ(program.blocks[0].registers, std::vector<std::string>{"r0"});
  EXPECT_EQ(program.quantifier, Quantifier::kExists);
  EXPECT_EQ(program.condition.left.kind, Term::Kind::kRegister);
  EXPECT_EQ(program.condition.right.literal, 1);
}

TEST(Parser, CountsPagesOverVariables) {
  const Program program = parsed("COW t { x = anon; y = anon[3]; z = zeropage[2]; } P0() {}");
  EXPECT_EQ(program.page_count(), 6u);
  EXPECT_EQ(program.variables[1].first_page, 1u);
  EXPECT_EQ(program.variables[2].first_page, 4u);
}

TEST(Parser, TakesWholeVariablesOrParts) {
  const Program program = parsed(with_statements(
      "munmap(y); munmap(y[1]); munmap(y[0..1]); r0 = READ_ONCE(y[1].3); r1 = READ_ONCE(y); r2 = READ_ONCE (* y);"));
  const std::vector<Operation>& operations = program.blocks[0].operations;
  EXPECT_EQ(operations[0].place, (Place{1, 0, 2, 0}));
  EXPECT_EQ(operations[1].place, (Place{1, 1, 1, 0}));
  EXPECT_EQ(operations[2], operations[0]);
  EXPECT_EQ(operations[3].place, (Place{1, 1, 1, 3}));
  EXPECT_EQ(operations[4].place, (Place{1, 0, 1, 0}));
  EXPECT_EQ(operations[5].place, operations[4].place);
}

TEST(Parser, AMissingTargetIsTheOwnProcess) {
  const Program program = parsed(R"(COW t { x = anon; d = device; }
P0() { thread(P1); fork(P2); pin(d, P0:x, 0); }
P1() { lock_page(P0:x); r0 = ptrace_read(P2:x); }
P2() { get(d, P1:x, 0); }
)");
  EXPECT_EQ(program.blocks[0].operations[2].target, std::nullopt);
  EXPECT_EQ(program.blocks[1].operations[0].target, std::nullopt);
  EXPECT_EQ(program.blocks[1].operations[1].target, std::uint8_t{2});
  // A thread's memory is that of its process.
  EXPECT_EQ(program.blocks[2].operations[0].target, std::uint8_t{0});
}

TEST(Parser, AcceptsEveryKindOfComment) {
  const Program program = parsed(
      "# one\nCOW t (* two *) // three\n/* four\n five */ { (* x *) x = anon /* six */ (1); }\r\n"
      "P0() { // seven\r\n WRITE_ONCE(*x, /* eight */ 2); (* nine *) READ_ONCE(*x) # ten\n ; }\n"
      "exists (* eleven *) (0:x=2) (**)");
  EXPECT_EQ(program.operation_count(), 2u);
  EXPECT_TRUE(program.expectations.empty());
}

TEST(Parser, AcceptsBothSpellingsOfConnectivesAndComparisons) {
  const std::string text = with_statements("r0 = READ_ONCE(*x);");
  const Program a = parsed(text + "exists (0:r0=1 /\\ ~(0:r0!=2 \\/ 0:r0>3))");
  const Program b = parsed(text + "exists 0:r0==1 && not (0:r0<>2 || 0:r0>3)");
  const Program c = parsed(text + "exists ((P0:r0=1) /\\ !((0:r0!=2) \\/ (0:r0>3)))");
  EXPECT_EQ(a, b);
  EXPECT_EQ(a, c);
}

TEST(Parser, AndBindsTighterThanOr) {
  const std::string text = with_statements("r0 = READ_ONCE(*x);");
  EXPECT_EQ(parsed(text + "exists (0:r0=1 \\/ 0:r0=2 /\\ 0:r0=3)"),
            parsed(text + "exists (0:r0=1 \\/ (0:r0=2 /\\ 0:r0=3))"));
  EXPECT_NE(parsed(text + "exists (0:r0=1 \\/ 0:r0=2 /\\ 0:r0=3)"),
            parsed(text + "exists ((0:r0=1 \\/ 0:r0=2) /\\ 0:r0=3)"));
}

TEST(Parser, ReadsExpectationsInTheKernelsCommentStyle) {
  const Program program = parsed("COW t\n(*\n * Result: Always\n *)\n(* Remark: two\n * lines *)\n{} P0() {}");
  EXPECT_EQ(program.result, Verdict::kAlways);
  EXPECT_EQ(program.remark, "two lines");
}

TEST(Parser, ReadsNumbersUpToTheirLimits) {
  const Program program = parsed(with_statements(
      "WRITE_ONCE(*x, 9223372036854775807); WRITE_ONCE(*x, -9223372036854775808); WRITE_ONCE(*x, 0xff);"));
  EXPECT_EQ(program.blocks[0].operations[0].value.literal, INT64_MAX);
  EXPECT_EQ(program.blocks[0].operations[1].value.literal, INT64_MIN);
  EXPECT_EQ(program.blocks[0].operations[2].value.literal, 255);
}

TEST(Parser, DeepConditionsAreRefusedAndNeverOverflowTheStack) {
  const std::string text = with_statements("r0 = READ_ONCE(*x);");
  const auto nested = [&](std::size_t levels, const std::string& open, const std::string& close) {
    std::string condition = "0:r0=1";
    for (std::size_t i = 0; i < levels; ++i) condition = open + condition + close;
    return parse(text + "exists (" + condition + ")", "t");
  };
  EXPECT_TRUE(nested(kMaxNesting, "~", "").ok());
  EXPECT_FALSE(nested(kMaxNesting + 1, "~", "").ok());
  EXPECT_TRUE(nested(kMaxNesting, "(", ")").ok());
  EXPECT_FALSE(nested(30000, "(", "").ok());
  EXPECT_FALSE(nested(60000, "~", "").ok());
  EXPECT_TRUE(nested(16, "(0:r0=2 /\\ (0:r0=3 \\/ ", "))").ok());
}

TEST(Parser, LimitsHold) {
  const auto repeat = [](std::size_t count, const auto& make) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += make(i);
    return out;
  };
  const auto number = [](std::string_view before, std::size_t i, std::string_view after) {
    return std::string(before) + std::to_string(i) + std::string(after);
  };
  struct Limit {
    const char* what;
    std::size_t most;
    std::function<std::string(std::size_t)> text;
  };
  const std::vector<Limit> limits{
      {"blocks", kMaxBlocks,
       [&](std::size_t n) { return "COW t {}" + repeat(n, [&](std::size_t i) { return number("P", i, "() {}\n"); }); }},
      {"variables", kMaxVariables,
       [&](std::size_t n) {
         return "COW t {" + repeat(n, [&](std::size_t i) { return number("x", i, " = anon;"); }) + "} P0() {}";
       }},
      {"pages", kMaxPages, [&](std::size_t n) { return number("COW t { x = anon; y = anon[", n - 1, "]; } P0() {}"); }},
      {"devices", kMaxDevices,
       [&](std::size_t n) {
         return "COW t {" + repeat(n, [&](std::size_t i) { return number("d", i, " = device;"); }) + "} P0() {}";
       }},
      {"registers", kMaxRegisters,
       [&](std::size_t n) {
         return with_statements(repeat(n, [&](std::size_t i) { return number("r", i, " = READ_ONCE(*x);"); }));
       }},
      {"statements", kMaxOperations,
       [&](std::size_t n) { return with_statements(repeat(n, [&](std::size_t) { return "READ_ONCE(*x);"; })); }},
      {"times", kMaxTimes, [&](std::size_t n) { return with_statements(number("pin(d, x, 0) times ", n, ";")); }},
      {"bytes", kMaxFileBytes,
       [&](std::size_t n) {
         std::string text = with_statements("");
         text.resize(n, ' ');
         return text;
       }},
  };
  for (const Limit& limit : limits) {
    const ParseResult most = parse(limit.text(limit.most), "t");
    EXPECT_TRUE(most.ok()) << limit.what << "\n" << most.to_text();
    const ParseResult more = parse(limit.text(limit.most + 1), "t");
    EXPECT_FALSE(more.ok()) << limit.what;
    EXPECT_EQ(more.diagnostics.size(), 1u) << limit.what << "\n" << more.to_text();
  }
}

TEST(Parser, PrintsBackWhatItReads) {
  const Program program = parsed(kEverything);
  EXPECT_EQ(print(program), kEverything);
  const Program again = parsed(print(program));
  EXPECT_TRUE(again == program);
}

/// The catalogue next to the sources, where the tests run inside the tree.
std::filesystem::path catalogue() { return std::filesystem::path(COWHERD_SOURCE_DIR) / "litmus"; }

TEST(Parser, EveryTestOfTheCatalogueIsNamedAsItsFileAndPrintsBack) {
  if (!std::filesystem::exists(catalogue())) return;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(catalogue())) {
    if (entry.path().extension() != ".litmus") continue;
    std::ifstream file(entry.path());
    std::stringstream text;
    text << file.rdbuf();
    const ParseResult result = parse(text.str(), entry.path().string());
    ASSERT_TRUE(result.ok()) << result.to_text();
    EXPECT_EQ(result.program->name, entry.path().stem().string());
    const ParseResult again = parse(print(*result.program), "printed");
    ASSERT_TRUE(again.ok()) << again.to_text();
    EXPECT_TRUE(*again.program == *result.program) << print(*result.program);
  }
}

}  // namespace
}  // namespace cowherd::litmus
