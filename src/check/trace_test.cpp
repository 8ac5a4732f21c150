#include "check/trace.hpp"

#include <gtest/gtest.h>

#include "check/program_test.hpp"
#include "check/replay.hpp"
#include "litmus/parser.hpp"

namespace cowherd::check {
namespace {

Finding example() {
  CheckOptions options = under("linux-5.9-rc5");
  CheckResult result = check(program_of(kPinForkWrite), options);
  return result.findings.at(0);
}

TEST(Trace, IsAFileThatShowsTheSameRunAgain) {
  const Finding finding = example();
  const std::string text = write_trace(finding);
  EXPECT_TRUE(is_trace(text));
  std::string error;
  const auto file = read_trace(text, error);
  ASSERT_TRUE(file.has_value()) << error;
  EXPECT_EQ(file->test, "pin-fork-write-dma");
  EXPECT_EQ(file->rules, "linux-5.9-rc5");
  EXPECT_EQ(file->replay, finding.trace.replay);
  const auto parsed = litmus::parse(file->program_text, "trace");
  ASSERT_TRUE(parsed.ok()) << parsed.to_text();
  EXPECT_EQ(*parsed.program, finding.program);
  EXPECT_EQ(file->hash, program_hash(*parsed.program));

  const ReplayResult again = replay(*parsed.program, under(file->rules), file->replay);
  ASSERT_TRUE(again.ok()) << again.error;
  ASSERT_EQ(again.findings.size(), 1u);
  EXPECT_EQ(again.findings[0].subtype, finding.subtype);
  EXPECT_EQ(again.trace.replay, finding.trace.replay);
  EXPECT_EQ(again.findings[0].parting->decision_name, "fork-pinned");
}

TEST(Trace, ReadsForPeople) {
  const std::string text = write_trace(example());
  EXPECT_NE(text.find("# wrong COW: stale DMA\n"), std::string::npos) << text;
  EXPECT_NE(text.find("2) P0/T0: fork(P1)"), std::string::npos) << text;
  EXPECT_NE(text.find("fork-pinned=share"), std::string::npos) << text;
  EXPECT_NE(text.find("minimal: no program with fewer operations"), std::string::npos) << text;
  EXPECT_NE(text.find("4) P0/T0: r0 = dma_read(d) -> 1"), std::string::npos) << text;
}

TEST(Trace, LineEndsDoNotMatter) {
  std::string text = write_trace(example());
  std::string dos;
  for (const char c : text) dos += c == '\n' ? std::string("\r\n") : std::string(1, c);
  std::string error;
  const auto file = read_trace(dos, error);
  ASSERT_TRUE(file.has_value()) << error;
  EXPECT_EQ(file->rules, "linux-5.9-rc5");
}

TEST(Trace, BrokenFilesAreRefused) {
  const std::string text = write_trace(example());
  const std::size_t schedule = text.find("schedule:");
  const std::size_t test = text.find("# test:");
  const std::string bad[] = {"",
                             "COW t\n",
                             "# cow trace v1\n",
                             "# cow trace v1 test=t rules=cowherd hash=12\n",
                             text.substr(0, schedule),
                             text.substr(0, test),
                             text.substr(0, schedule) + text.substr(test)};
  for (const std::string& broken : bad) {
    std::string error;
    EXPECT_FALSE(read_trace(broken, error).has_value()) << broken;
    EXPECT_NE(error, "");
  }
}

TEST(Replay, NeedsNoHashes) {
  const ReplayResult result = replay(program_of(kPinForkWrite), under("cowherd"), "0*2 1 0*3");
  ASSERT_TRUE(result.ok()) << result.error;
  EXPECT_TRUE(result.findings.empty());
  EXPECT_EQ(result.trace.steps.back().result, 2);
  EXPECT_EQ(result.trace.preemptions, 0u);
}

TEST(Replay, CountsPreemptions) {
  const ReplayResult result = replay(program_of(R"(COW t
{ x = anon(1); }
P0() { WRITE_ONCE(*x, 2); WRITE_ONCE(*x, 3); }
P1() { WRITE_ONCE(*x, 4); }
)"),
                                     under("cowherd"), "0 1 0");
  ASSERT_TRUE(result.ok()) << result.error;
  EXPECT_EQ(result.trace.preemptions, 1u);
}

struct BadReplay {
  const char* schedule;
  bool diverged;
  const char* words;
};

class BadReplays : public testing::TestWithParam<BadReplay> {};

TEST_P(BadReplays, SayWhy) {
  const ReplayResult result = replay(program_of(kPinForkWrite), under("cowherd"), GetParam().schedule);
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.diverged, GetParam().diverged);
  EXPECT_NE(result.error.find(GetParam().words), std::string::npos) << result.error;
}

INSTANTIATE_TEST_SUITE_P(All, BadReplays,
                         testing::Values(BadReplay{"0*2 x", false, "'x'"}, BadReplay{"0*2 5", false, "block number 5"},
                                         BadReplay{"1", true, "step 1: P1/T0 cannot go on"},
                                         BadReplay{"0*3", true, "step 3: P0/T0 cannot go on"},
                                         BadReplay{"0*2 1 0*4", true, "step 7"},
                                         BadReplay{"0*2=0000000000000000", true, "the schedule says"}));

}  // namespace
}  // namespace cowherd::check
