// Files and shared memory on the kernel at hand.

#include "live/files.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "live/host.hpp"
#include "live/play_test.hpp"

namespace cowherd::live {
namespace {

constexpr const char* kFiles =
    "f = memfd[2](1); g = file(1); x = f shared; y = f[1] private; z = g shared; s = anon(4) shared; d = device;";

/// A disk, or why there is none.
std::string with_disk(KernelWork& work) { return work.open({.disk = true}); }

TEST(Files, ADiskHasWhatWasWrittenBackAndNothingElse) {
  KernelWork work;
  if (const std::string problem = with_disk(work); !problem.empty()) GTEST_SKIP() << problem;
  const litmus::Program test = program("P0() { r0 = read(f); }", "f = file[2](7); g = memfd(3);");
  Files files;
  ASSERT_EQ(files.open(test, work.disk()), "");
  for (int run = 0; run < 3; ++run) {
    ASSERT_EQ(files.begin(test), "");
    EXPECT_EQ(files.word(0, kPageBytes).value, 7);
    EXPECT_EQ(files.word(1, 0).value, 3);
    EXPECT_EQ(files.word(0, 2 * kPageBytes).value, 0) << "behind the end";
    EXPECT_EQ(files.disk_word(0, kPageBytes).value, 0) << "nothing has gone there, in run " << run;
    ASSERT_EQ(files.write_back(0).error, 0);
    EXPECT_EQ(files.disk_word(0, kPageBytes).value, 7);
    const std::int64_t other = 8;
    ASSERT_EQ(::pwrite(files.descriptor(0), &other, sizeof other, kPageBytes), 8);
    ASSERT_EQ(files.drop_clean(0).error, 0);
    EXPECT_EQ(files.word(0, kPageBytes).value, 8) << "a dirty page stays";
    EXPECT_EQ(files.disk_word(0, kPageBytes).value, 7) << "and is not written for that";
  }
  EXPECT_EQ(files.disk_word(1, 0).value, 0) << "no disk is behind memory";
}

TEST(Files, SharedMemoryIsOneAndPrivateMemoryFollowsUntilItIsWritten) {
  Play play(
      "P0() { WRITE_ONCE(*x, 2); WRITE_ONCE(x.1, 5); r0 = read(f); write(f[1], 6); r1 = READ_ONCE(*y); "
      "WRITE_ONCE(*y, 7); r2 = read(f[1]); fork(P1); wait(P1); r3 = READ_ONCE(*s); r4 = read(f.1); r5 = READ_ONCE(*y); "
      "} "
      "P1() { WRITE_ONCE(*s, 9); WRITE_ONCE(*y, 8); r0 = READ_ONCE(x.1); write(f.1, 3); }\nlocations [f; f[1];]",
      kFiles);
  SKIP_UNLESS_PLAYED(play);
  const std::int64_t expected[] = {2, 6, 6, 9, 3, 7};
  for (std::uint8_t i = 0; i < 6; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
  EXPECT_EQ(play.reg(1, 0), 5);
  EXPECT_EQ(play.term(0), 2);
  EXPECT_EQ(play.term(1), 6);
}

TEST(Files, AFileEndsWhereItIsCutAndAHoleIsEmpty) {
  Play play(
      "P0() { WRITE_ONCE(*y, 2); truncate(f, 1); r0 = READ_ONCE(*y); r1 = read(f[1]); truncate(f, 2); r2 = "
      "READ_ONCE(*y); punch(f[0]); r3 = READ_ONCE(*x); exec(); r4 = mmap(x, PROT_READ, MAP_FIXED); write(f, 3); r5 = "
      "READ_ONCE(*x); }",
      kFiles);
  SKIP_UNLESS_PLAYED(play);
  const std::int64_t expected[] = {-static_cast<std::int64_t>(Errno::kSigBus), 0, 0, 0, 0, 3};
  for (std::uint8_t i = 0; i < 6; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
}

TEST(Files, WhatIsWrittenBackIsOnTheDisk) {
  const auto on_disk = [](const char* statements) {
    Play play(std::string("P0() { ") + statements + " }\nlocations [disk(g); g;]", kFiles);
    EXPECT_EQ(play.reason(), "");
    return std::pair(play.term(0), play.term(1));
  };
  KernelWork work;
  if (const std::string problem = with_disk(work); !problem.empty()) GTEST_SKIP() << problem;
  EXPECT_EQ(on_disk("WRITE_ONCE(*z, 2);"), (std::pair<std::int64_t, std::int64_t>{0, 2}));
  EXPECT_EQ(on_disk("WRITE_ONCE(*z, 2); writeback(g); WRITE_ONCE(*z, 3);"),
            (std::pair<std::int64_t, std::int64_t>{2, 3}));
  EXPECT_EQ(on_disk("WRITE_ONCE(*z, 2); msync(z);"), (std::pair<std::int64_t, std::int64_t>{2, 2}));
  EXPECT_EQ(on_disk("WRITE_ONCE(*z, 2); fsync(g); punch(g[0]);"), (std::pair<std::int64_t, std::int64_t>{0, 0}));
}

TEST(Files, WhenAllIsOverTheDiskHasEverything) {
  Play play("P0() { WRITE_ONCE(*z, 2); fork(P1); }\nP1() { WRITE_ONCE(*z, 3); }\nlocations [disk(g);]", kFiles);
  SKIP_UNLESS_PLAYED(play);
  ASSERT_EQ(play.stage().end_all().lost, "");
  EXPECT_EQ(play.stage().pid_of(0) != 0 && ::kill(play.stage().pid_of(0), 0) == 0, false) << "nobody is left";
  EXPECT_EQ(play.term(0), 3);
}

}  // namespace
}  // namespace cowherd::live
