#include "live/course.hpp"

#include <gtest/gtest.h>

#include <set>

#include "live/program_test.hpp"

namespace cowherd::live {
namespace {

/// Answers as told, and remembers what it was asked.
class Fake final : public Executor {
 public:
  Answer begin(const litmus::Program&) override {
    log.clear();
    return {};
  }
  Answer perform(std::uint8_t block, std::uint8_t, const litmus::Operation& op, std::int64_t value) override {
    log += static_cast<char>('0' + block);
    stored = value;
    if (op.code == litmus::OpCode::kPin) return {Errno{0}, op.place.pages, {}};
    return answer;
  }
  Answer exit(std::uint8_t process) override {
    log += static_cast<char>('a' + process);
    return {};
  }
  Answer look(std::uint8_t, const litmus::Place&) override { return {Errno{0}, 42, {}}; }
  Answer inspect(std::uint8_t, const litmus::Term&) override { return {Errno{0}, 5, {}}; }

  Answer answer;
  std::string log;
  std::int64_t stored = 0;
};

/// Every way through the test, as the executor saw it.
std::set<std::string> all_ways(const litmus::Program& test, Fake& fake) {
  Course course(test, fake);
  Choices choices;
  std::set<std::string> ways;
  do {
    EXPECT_EQ(course.begin(), "");
    while (const BlockSet runnable = course.runnable()) EXPECT_EQ(course.step(choices.choose(runnable)).lost, "");
    EXPECT_EQ(course.unfinished(), 0);
    EXPECT_TRUE(ways.insert(fake.log).second) << "twice: " << fake.log;
  } while (choices.next());
  return ways;
}

TEST(Course, AChildOfVforkThatVforksEndsAfterItsChild) {
  Fake fake;
  const auto ways = all_ways(
      program("P0() { vfork(P1); r0 = READ_ONCE(*x); } P1() { vfork(P2); } P2() { WRITE_ONCE(*x, 2); }"), fake);
  EXPECT_EQ(ways, std::set<std::string>{"012cb0"});
}

TEST(Course, EveryInterleavingComesOnce) {
  Fake fake;
  const auto ways = all_ways(
      program("P0() { WRITE_ONCE(*x, 1); WRITE_ONCE(*x, 2); } P1() { r0 = READ_ONCE(*x); r1 = READ_ONCE(*x); }"), fake);
  EXPECT_EQ(ways, (std::set<std::string>{"0011", "0101", "0110", "1001", "1010", "1100"}));
}

TEST(Course, AChildBeginsAtItsForkAndIsWaitedFor) {
  Fake fake;
  const auto ways =
      all_ways(program("P0() { fork(P1); wait(P1); WRITE_ONCE(*x, 2); } P1() { r0 = READ_ONCE(*x); }"), fake);
  // Whoever waits ends the child that ran off its end.
  EXPECT_EQ(ways, (std::set<std::string>{"01b00"}));
}

TEST(Course, AParentIsSuspendedByVfork) {
  Fake fake;
  EXPECT_EQ(
      all_ways(program("P0() { vfork(P1); WRITE_ONCE(*x, 2); } P1() { WRITE_ONCE(*x, 3); WRITE_ONCE(*x, 4); }"), fake),
      (std::set<std::string>{"011b0"}));
  EXPECT_EQ(all_ways(program("P0() { vfork(P1); WRITE_ONCE(*x, 2); } P1() { exec(); mmap(x, PROT_READ, 0); }"), fake),
            (std::set<std::string>{"0101", "0110"}));
}

TEST(Course, AProcessThatIsSuspendedAtItsEndIsWaitedForUntilItsChildIsGone) {
  Fake fake;
  const auto ways = all_ways(
      program("P0() { fork(P1); wait(P1); } P1() { vfork(P2); } P2() { WRITE_ONCE(*x, 2); WRITE_ONCE(*x, 3); }"), fake);
  EXPECT_EQ(ways, (std::set<std::string>{"0122cb0"}));
}

TEST(Course, WhatIsNeverStartedIsNeverWaitedFor) {
  Fake fake;
  fake.answer = {Errno::kAgain, 0, {}};
  const litmus::Program test = program("P0() { r0 = fork(P1); r1 = wait(P1); } P1() { WRITE_ONCE(*x, 1); }");
  Course course(test, fake);
  ASSERT_EQ(course.begin(), "");
  (void)course.step(0);
  (void)course.step(0);
  EXPECT_EQ(course.unfinished(), 0);
  EXPECT_EQ(course.reg(0, 0), -11);
  EXPECT_EQ(course.reg(0, 1), -10);
}

TEST(Course, ADriverRefusesBeforeTheKernelIsAsked) {
  Fake fake;
  const litmus::Program test = program(
      "P0() { r0 = dma_read(d); r1 = pin(d, x, FOLL_LONGTERM); r2 = pin(d, x, FOLL_WRITE); r3 = dma_write(d, 1); "
      "r4 = dma_read(d[1]); unpin(d); r5 = unpin(d); }");
  Course course(test, fake);
  ASSERT_EQ(course.begin(), "");
  while (course.runnable() != 0) (void)course.step(0);
  EXPECT_EQ(fake.log, "00") << "the pin and the unpin";
  const std::int64_t expected[] = {-6, 1, -16, -1, -6, -6};
  for (std::uint8_t i = 0; i < 6; ++i) EXPECT_EQ(course.reg(0, i), expected[i]) << i;
}

TEST(Course, RegistersAreStoredAndMemoryIsReadAtTheEnd) {
  Fake fake;
  fake.answer = {Errno{0}, 7, {}};
  const litmus::Program test =
      program("P0() { r0 = READ_ONCE(*x); WRITE_ONCE(*x, r0); exit(); } exists (0:x=7 /\\ fault(P0)=0)");
  Course course(test, fake);
  ASSERT_EQ(course.begin(), "");
  (void)course.step(0);
  (void)course.step(0);
  EXPECT_EQ(fake.stored, 7);
  const litmus::Term memory = test.condition.children[0].left;
  EXPECT_EQ(course.value_of(memory), 42);
  (void)course.step(0);
  EXPECT_EQ(course.value_of(memory), -1011) << "nobody lives there any longer";
}

TEST(Course, FaultsAreCountedAndLostAnswersEndTheRun) {
  Fake fake;
  fake.answer = {Errno::kSigSegv, 0, {}};
  const litmus::Program test = program("P0() { WRITE_ONCE(*x, 1); } exists (fault(P0)=1)");
  Course course(test, fake);
  ASSERT_EQ(course.begin(), "");
  (void)course.step(0);
  EXPECT_EQ(course.value_of(test.condition.left), 1);
  fake.answer.lost = "hangs";
  ASSERT_EQ(course.begin(), "");
  EXPECT_EQ(course.step(0).lost, "hangs");
}

/// Reads wait until somebody has brought a page.
class FakeHandler final : public Executor {
 public:
  Answer begin(const litmus::Program&) override {
    log.clear();
    there_ = false;
    return {};
  }
  Answer perform(std::uint8_t block, std::uint8_t, const litmus::Operation& op, std::int64_t) override {
    log += static_cast<char>('0' + block);
    if (op.code == litmus::OpCode::kUffdCopy) there_ = true;
    Answer answer{Errno{0}, 7, {}};
    answer.waits = op.code == litmus::OpCode::kRead && !there_;
    return answer;
  }
  Answer resume(std::uint8_t block) override {
    log += static_cast<char>('A' + block);
    Answer answer{Errno{0}, 7, {}};
    answer.waits = !there_;
    return answer;
  }
  Answer exit(std::uint8_t) override { return {}; }
  Answer look(std::uint8_t, const litmus::Place&) override { return {}; }
  Answer inspect(std::uint8_t, const litmus::Term&) override { return {}; }

  std::string log;

 private:
  bool there_ = false;
};

TEST(Course, WhoeverWaitsLooksAgainWhenSomethingMayHaveChanged) {
  FakeHandler fake;
  const litmus::Program test = program(
      "P0() { uffd_register(x, UFFD_MISSING); thread(P1); r0 = READ_ONCE(*x); } "
      "P1() { uffd_wp(x); uffd_copy(x, 7); WRITE_ONCE(*x, 1); } exists (waiting(P0))");
  Course course(test, fake);
  Choices choices;
  std::set<std::string> ways;
  do {
    ASSERT_EQ(course.begin(), "");
    while (const BlockSet runnable = course.runnable()) ASSERT_EQ(course.step(choices.choose(runnable)).lost, "");
    EXPECT_EQ(course.unfinished(), 0);
    EXPECT_EQ(course.reg(0, 0), 7);
    EXPECT_EQ(course.value_of(test.condition.left), 0);
    EXPECT_TRUE(ways.insert(fake.log).second) << "twice: " << fake.log;
  } while (choices.next());
  // A small letter's turn is the operation; a capital's, a look. It waits from the begin, or comes late enough.
  EXPECT_TRUE(ways.contains("000111A"));
  EXPECT_TRUE(ways.contains("0001A1A1"));
  EXPECT_TRUE(ways.contains("001110"));
  EXPECT_FALSE(ways.contains("000A111A")) << "nothing has changed since it began to wait";
}

TEST(Course, WhoWaitsAtTheEndIsUnfinished) {
  FakeHandler fake;
  const litmus::Program test =
      program("P0() { uffd_register(x, UFFD_MISSING); r0 = READ_ONCE(*x); r1 = READ_ONCE(*x); } exists (waiting(P0))");
  Course course(test, fake);
  ASSERT_EQ(course.begin(), "");
  EXPECT_FALSE(course.step(0).waits);
  EXPECT_TRUE(course.step(0).waits);
  EXPECT_EQ(course.runnable(), 0);
  EXPECT_EQ(course.unfinished(), 1);
  EXPECT_TRUE(course.waits(0));
  EXPECT_FALSE(course.waits_for_block(0));
  EXPECT_EQ(course.value_of(test.condition.left), 1);
}

TEST(Choices, AtRandomTheSeedDecides) {
  const auto way = [](std::uint64_t seed) {
    Choices choices(seed);
    for (int i = 0; i < 64; ++i) (void)choices.choose(0b1011);
    return choices.taken();
  };
  EXPECT_EQ(way(1), way(1));
  EXPECT_NE(way(1), way(2));
  const auto taken = way(3);
  EXPECT_EQ(std::set<std::uint8_t>(taken.begin(), taken.end()), (std::set<std::uint8_t>{0, 1, 3}));
}

}  // namespace
}  // namespace cowherd::live
