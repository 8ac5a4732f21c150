#include "stress/oracle.hpp"

#include <gtest/gtest.h>

#include "litmus/parser.hpp"
#include "stress/failure_text.hpp"
#include "stress/litmus_text.hpp"

namespace cowherd::stress {
namespace {

Record record(Action action, Interval when, Life life = 1, std::uint64_t value = 0) {
  Record made;
  made.action = action;
  made.when = when;
  made.life = life;
  made.value = value;
  return made;
}

Record pin(Interval when, std::uint32_t number, PinFlags flags = PinFlags::kWrite) {
  Record made = record(Action::kPin, when);
  made.other = number;
  made.flags = flags;
  return made;
}

Record device(Action action, Interval when, std::uint32_t number, std::uint64_t value) {
  Record made = record(action, when, 1, value);
  made.other = number;
  return made;
}

Record fork(Interval when, Life parent, Life child) {
  Record made = record(Action::kFork, when, parent);
  made.other = child;
  made.count = kPages;
  return made;
}

class OracleTest : public testing::Test {
 protected:
  OracleTest() { oracle_.begin_life(1); }

  /// Judges what one thread did after it had mapped the memory, at ticks 1 to 2.
  std::optional<Finding> judge(Log log) {
    Record map = record(Action::kMap, {1, 2});
    map.count = kPages;
    log.insert(log.begin(), map);
    return oracle_.judge(std::vector<Log>{std::move(log)});
  }

  Oracle oracle_;
};

TEST_F(OracleTest, AReadSeesTheLastWriteOrOneInFlight) {
  EXPECT_FALSE(judge({record(Action::kWrite, {10, 20}, 1, 7), record(Action::kRead, {15, 16}, 1, 0),
                      record(Action::kRead, {15, 16}, 1, 7), record(Action::kRead, {30, 31}, 1, 7)}));
}

TEST_F(OracleTest, AReadOfWhatWasOverwrittenIsFound) {
  const auto finding = judge({record(Action::kWrite, {10, 20}, 1, 7), record(Action::kRead, {30, 31}, 1, 0)});
  ASSERT_TRUE(finding);
  EXPECT_NE(finding->reason.find("0x7 had been written from tick 10 to 20"), std::string::npos) << finding->reason;
  EXPECT_EQ(finding->since, 10u);
}

TEST_F(OracleTest, WhatOneReaderHasSeenHasHappenedForTheNext) {
  EXPECT_TRUE(judge({record(Action::kWrite, {10, 100}, 1, 7), record(Action::kRead, {20, 21}, 1, 7),
                     record(Action::kRead, {30, 31}, 1, 0)}));
}

TEST_F(OracleTest, AReadFromTheFutureIsFound) {
  EXPECT_TRUE(judge({record(Action::kRead, {3, 4}, 1, 7), record(Action::kWrite, {10, 20}, 1, 7)}));
}

TEST_F(OracleTest, AChildHasOneValueOfTheForksTime) {
  EXPECT_FALSE(judge({record(Action::kWrite, {10, 20}, 1, 7), fork({15, 30}, 1, 2),
                      record(Action::kWrite, {40, 50}, 1, 8), record(Action::kRead, {60, 61}, 2, 7)}));
}

TEST_F(OracleTest, AChildThatSeesItsParentsLaterWriteIsFound) {
  EXPECT_TRUE(judge({record(Action::kWrite, {10, 20}, 1, 7), fork({25, 30}, 1, 2),
                     record(Action::kWrite, {40, 50}, 1, 8), record(Action::kRead, {60, 61}, 2, 8)}));
}

TEST_F(OracleTest, TwoReadersOfAnInheritedWordAgree) {
  EXPECT_TRUE(judge({record(Action::kWrite, {10, 20}, 1, 7), fork({15, 30}, 1, 2),
                     record(Action::kRead, {60, 61}, 2, 7), record(Action::kRead, {62, 63}, 2, 0)}));
}

TEST_F(OracleTest, DeviceAndOwnerSeeTheSameBytes) {
  EXPECT_FALSE(
      judge({pin({10, 11}, 5), device(Action::kDmaWrite, {12, 13}, 5, 7), record(Action::kRead, {14, 15}, 1, 7),
             record(Action::kWrite, {16, 17}, 1, 8), device(Action::kDmaRead, {18, 19}, 5, 8)}));
  EXPECT_TRUE(judge({device(Action::kDmaWrite, {22, 23}, 5, 9), record(Action::kRead, {24, 25}, 1, 8)}));
}

TEST_F(OracleTest, BehindADiscardTheDeviceIsOnItsOwn) {
  Record discard = record(Action::kDiscard, {12, 13});
  EXPECT_FALSE(judge({pin({10, 11}, 5), discard, device(Action::kDmaWrite, {14, 15}, 5, 7),
                      record(Action::kRead, {16, 17}, 1, 0), device(Action::kDmaRead, {18, 19}, 5, 7)}));
}

TEST_F(OracleTest, AccessesObeyTheProtection) {
  Record protect = record(Action::kProtect, {10, 11});
  protect.protection = Protection::kRead;
  Record refused = record(Action::kWrite, {20, 21}, 1, 7);
  refused.error = Errno::kSigSegv;
  EXPECT_FALSE(judge({protect, refused, record(Action::kRead, {22, 23})}));
  EXPECT_TRUE(judge({record(Action::kWrite, {30, 31}, 1, 8)}));
  Oracle fresh;
  fresh.begin_life(1);
  oracle_ = fresh;
  EXPECT_TRUE(judge({refused}));
}

TEST_F(OracleTest, TheEndIsComparedExactly) {
  ASSERT_FALSE(judge({record(Action::kWrite, {10, 20}, 1, 7), pin({21, 22}, 5)}));
  Facts facts;
  std::uint64_t in_memory = 7;
  std::uint64_t under_device = 7;
  facts.protection = [](Life, std::uint8_t) { return static_cast<std::uint64_t>(Protection::kReadWrite); };
  facts.word = [&](Life, std::uint8_t page, std::uint8_t word) { return page == 0 && word == 0 ? in_memory : 0; };
  facts.device_word = [&](std::uint32_t, std::uint8_t, std::uint8_t word) { return word == 0 ? under_device : 0; };
  Oracle before = oracle_;
  EXPECT_FALSE(oracle_.settle(facts, 30));
  // The next round begins with what was there.
  EXPECT_FALSE(oracle_.judge(std::vector<Log>{{record(Action::kRead, {40, 41}, 1, 7)}}));
  EXPECT_TRUE(oracle_.judge(std::vector<Log>{{record(Action::kRead, {42, 43}, 1, 0)}}));

  under_device = 0;
  oracle_ = before;
  EXPECT_TRUE(oracle_.settle(facts, 30));
  in_memory = 0;
  oracle_ = before;
  EXPECT_TRUE(oracle_.settle(facts, 30));
}

/// The text that a failure prints can be read back.
TEST(LitmusText, IsALitmusTestOfWhatTheThreadsDid) {
  Record share = record(Action::kTryShare, {26, 27});
  Record clear = record(Action::kClearRefs, {26, 27});
  Record protect = record(Action::kProtect, {26, 27});
  protect.protection = Protection::kRead;
  Record far = record(Action::kWrite, {26, 27}, 1, 99);
  far.first = 3;
  Finding finding;
  finding.culprit = device(Action::kDmaRead, {60, 61}, 5, 3);
  finding.since = 12;
  const std::vector<Log> round{{pin({10, 11}, 5, PinFlags::kWrite | PinFlags::kFast),
                                device(Action::kDmaWrite, {28, 29}, 5, 7), finding.culprit, far},
                               {fork({20, 30}, 1, 2), record(Action::kWrite, {31, 32}, 1, 8)},
                               {record(Action::kPtraceRead, {33, 34}, 2, 7), record(Action::kWrite, {35, 36}, 2, 9)},
                               {share, clear, protect}};
  const std::string text = litmus_text(finding, std::nullopt, round, "stress-1", "cowherd");
  EXPECT_NE(text.find("P0()\n{\n  thread(P1);\n  thread(P2);\n  thread(P3);\n  pin(d0, x, FOLL_WRITE | FOLL_FAST);\n"
                      "  dma_write(d0, 2);\n  r0 = dma_read(d0);\n}\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("P1()\n{\n  fork(P4);\n  WRITE_ONCE(*x, 3);\n}\n"), std::string::npos) << text;
  EXPECT_NE(text.find("P4()\n{\n  WRITE_ONCE(*x, 4);\n}\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("99"), std::string::npos);
  const auto parsed = litmus::parse(text, "stress.litmus");
  EXPECT_TRUE(parsed.program) << parsed.to_text();
  EXPECT_NE(last_operations(finding, round).find("T1 [20, 30] space 1 fork page 0..3 -> space 2"), std::string::npos)
      << last_operations(finding, round);
}

}  // namespace
}  // namespace cowherd::stress
