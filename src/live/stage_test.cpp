// On the kernel at hand: processes, accesses, faults, exec and the end of everybody.

#include "live/stage.hpp"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iterator>

#include "live/play_test.hpp"

namespace cowherd::live {
namespace {

TEST(Stage, MemoryIsWhatTheInitBlockSays) {
  Play play(
      "P0() { r0 = READ_ONCE(*x); r1 = READ_ONCE(y[1].2); r2 = READ_ONCE(*u); r3 = READ_ONCE(*z); r4 = WRITE_ONCE(*z, "
      "1); }");
  ASSERT_EQ(play.reason(), "");
  const std::int64_t expected[] = {1, 0, -1011, 0, -1011};
  for (std::uint8_t i = 0; i < 5; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
}

TEST(Stage, AChildOfForkHasItsOwnMemory) {
  Play play("P0() { fork(P1); wait(P1); r0 = READ_ONCE(*x); } P1() { WRITE_ONCE(*x, 2); r0 = READ_ONCE(*x); }");
  ASSERT_EQ(play.reason(), "");
  EXPECT_EQ(play.reg(0, 0), 1);
  EXPECT_EQ(play.reg(1, 0), 2);
}

TEST(Stage, AChildOfVforkAndAThreadHaveTheirParents) {
  Play vfork("P0() { vfork(P1); r0 = READ_ONCE(*x); wait(P1); } P1() { WRITE_ONCE(*x, 2); exit(); }");
  ASSERT_EQ(vfork.reason(), "");
  EXPECT_EQ(vfork.reg(0, 0), 2);
  Play thread(
      "P0() { thread(P1); wait(P1); r0 = READ_ONCE(*x); } P1() { WRITE_ONCE(*x, 3); fork(P2); wait(P2); } P2() { "
      "WRITE_ONCE(*x, 4); }");
  ASSERT_EQ(thread.reason(), "");
  EXPECT_EQ(thread.reg(0, 0), 3);
}

TEST(Stage, OneThatWasNeverOpenedClosesNothing) {
  const int before = ::dup(0);
  ASSERT_GE(before, 0) << "standard input is there";
  { const Stage stage(shared_work()); }
  const int after = ::dup(0);
  EXPECT_GE(after, 0);
  for (const int file : {before, after}) ::close(file);
}

/// From here on this process and its children have no pidfd_open(), as before Linux 5.3 and in gVisor.
bool lose_pidfds() {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(rules), rules};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0 &&
         ::syscall(SYS_pidfd_open, ::getpid(), 0) < 0;
}

TEST(Stage, TheEndOfAProcessIsSeenWithoutPidfdsToo) {
  const Offers& offers = shared_offers();
  ASSERT_EQ(offers.size(), kNeeds);
  const pid_t child = ::fork();
  if (child == 0) {
    if (!lose_pidfds()) ::_exit(77);
    Play play(
        "P0() { fork(P1); wait(P1); r0 = READ_ONCE(*x); vfork(P2); r1 = READ_ONCE(*x); } P1() { WRITE_ONCE(*x, 2); "
        "exit(); } P2() { WRITE_ONCE(*x, 3); exit(); }");
    if (!play.reason().empty()) ::_exit(2);
    ::_exit(play.reg(0, 0) == 1 && play.reg(0, 1) == 3 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no seccomp filters";
  EXPECT_EQ(WEXITSTATUS(status), 0) << "2: nothing was played";
}

TEST(Stage, AChildOfVforkThatVforksEndsAfterItsChild) {
  Play play("P0() { vfork(P1); r0 = READ_ONCE(*x); } P1() { vfork(P2); } P2() { WRITE_ONCE(*x, 2); }");
  ASSERT_EQ(play.reason(), "");
  EXPECT_EQ(play.reg(0, 0), 2);
}

TEST(Stage, ExecLeavesNothingBehindAndGoesOn) {
  Play play(
      "P0() { fork(P1); wait(P1); r0 = READ_ONCE(*x); } "
      "P1() { exec(); r0 = READ_ONCE(*x); r1 = mmap(x, PROT_READ | PROT_WRITE, 0); WRITE_ONCE(*x, 5); r2 = "
      "READ_ONCE(*x); }");
  ASSERT_EQ(play.reason(), "");
  EXPECT_EQ(play.reg(1, 0), -1011);
  EXPECT_EQ(play.reg(1, 1), 0);
  EXPECT_EQ(play.reg(1, 2), 5);
  EXPECT_EQ(play.reg(0, 0), 1);
}

TEST(Stage, AVforkChildThatExecsLetsItsParentGoOn) {
  Play play(
      "P0() { vfork(P1); WRITE_ONCE(*x, 2); wait(P1); r0 = READ_ONCE(*x); } P1() { exec(); r0 = READ_ONCE(*x); }");
  ASSERT_EQ(play.reason(), "");
  EXPECT_EQ(play.reg(0, 0), 2);
  EXPECT_EQ(play.reg(1, 0), -1011);
}

TEST(Stage, ARingReadsAndWritesWhatItHolds) {
  Play play(
      "P0() { r0 = pin(d, y, FOLL_WRITE | FOLL_LONGTERM); WRITE_ONCE(y[1].2, 7); r1 = dma_read(d[1].2); "
      "dma_write(d[0].1, 8); r2 = READ_ONCE(y[0].1); r3 = unpin(d); r4 = dma_read(d); r5 = pin(d, u, FOLL_WRITE); }");
  SKIP_UNLESS_PLAYED(play);
  const std::int64_t expected[] = {2, 7, 8, 0, -6, -14};
  for (std::uint8_t i = 0; i < 6; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
}

TEST(Stage, APipeSeesTheFutureOfWhatItHolds) {
  Play play(
      "P0() { r0 = get(d, y, 0); r1 = dma_read(d[1].2); WRITE_ONCE(*x, 7); r2 = put(d); r3 = get(d, x, 0); "
      "WRITE_ONCE(*x, 9); r4 = dma_read(d); r5 = dma_read(d); r6 = dma_write(d, 1); }");
  SKIP_UNLESS_PLAYED(play);
  const std::int64_t expected[] = {2, 0, 0, 1, 9, 9, -1};
  for (std::uint8_t i = 0; i < 7; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
}

TEST(Stage, ATransferUnderWayHoldsItsPage) {
  // The child keeps the first contents, the disk gets the owner's last ones.
  Play to_disk(
      "P0() { r0 = pin(d, x, 0); fork(P1); WRITE_ONCE(*x, 7); r1 = dma_read(d); r2 = unpin(d); r3 = pin(d, u, 0); "
      "r4 = pin(d, x, 0); r5 = pin(d, x, 0); wait(P1); } P1() { r0 = READ_ONCE(*x); }");
  SKIP_UNLESS_PLAYED(to_disk);
  const std::int64_t written[] = {1, 7, 0, -14, 1, -16};
  for (std::uint8_t i = 0; i < 6; ++i) EXPECT_EQ(to_disk.reg(0, i), written[i]) << i;
  EXPECT_EQ(to_disk.reg(1, 0), 1);

  Play from_disk(
      "P0() { r0 = pin(d, x, FOLL_WRITE); fork(P1); WRITE_ONCE(*x, 7); dma_write(d, 8); r1 = READ_ONCE(*x); "
      "r2 = unpin(d); r3 = pin(d, y[1], FOLL_WRITE); r4 = unpin(d); r5 = READ_ONCE(y[1]); wait(P1); } "
      "P1() { r0 = READ_ONCE(*x); }");
  SKIP_UNLESS_PLAYED(from_disk);
  const std::int64_t read[] = {1, 8, 0, 1, 0, 0};
  for (std::uint8_t i = 0; i < 6; ++i) EXPECT_EQ(from_disk.reg(0, i), read[i]) << i;
  EXPECT_EQ(from_disk.reg(1, 0), 1);
}

TEST(Stage, ATransferHoldsSeveralPagesAsFarAsTheyAreThere) {
  Play both(
      "P0() { WRITE_ONCE(y[0], 1); WRITE_ONCE(y[1], 1); r0 = pin(d, y, 0); WRITE_ONCE(y[1], 7); r1 = dma_read(d[1]); "
      "r2 = unpin(d); r3 = munmap(y[1]); "
      "r4 = pin(d, y, 0); WRITE_ONCE(*y, 8); r5 = dma_read(d); }");
  SKIP_UNLESS_PLAYED(both);
  const std::int64_t expected[] = {2, 7, 0, 0, 1, 8};
  for (std::uint8_t i = 0; i < 6; ++i) EXPECT_EQ(both.reg(0, i), expected[i]) << i;
  Play into("P0() { r0 = pin(d, y, FOLL_WRITE); WRITE_ONCE(y[1], 7); r1 = unpin(d); r2 = READ_ONCE(y[1]); }");
  SKIP_UNLESS_PLAYED(into);
  EXPECT_EQ(into.reg(0, 0), 2);
  EXPECT_EQ(into.reg(0, 2), 7);
}

TEST(Stage, ATransferOutlivesWhoeverAskedForIt) {
  Play play(
      "P0() { fork(P1); r0 = WRITE_ONCE(*x, 2); wait(P1); r1 = dma_read(d); } P1() { r0 = pin(d, x, 0); exit(); }");
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(1, 0), 1);
  EXPECT_EQ(play.reg(0, 1), 1);
}

TEST(Stage, ATransferEndsWhileWhoeverAskedForItIsSuspended) {
  Play play(
      "P0() { r0 = pin(d, x, FOLL_WRITE); vfork(P1); r1 = READ_ONCE(*x); } P1() { dma_write(d, 5); r0 = unpin(d); "
      "r1 = READ_ONCE(*x); }");
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(0, 0), 1);
  EXPECT_EQ(play.reg(1, 0), 0);
  EXPECT_EQ(play.reg(1, 1), 5);
  EXPECT_EQ(play.reg(0, 1), 5);
}

TEST(Stage, ATestLeavesNoDescriptorBehind) {
  const auto descriptors = [] {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
  };
  const auto before = descriptors();
  { Play play("P0() { r0 = pin(d, x, 0); fork(P1); } P1() { r0 = READ_ONCE(*x); }"); }
  EXPECT_EQ(descriptors(), before);
}

TEST(Stage, PagesMoveGrowAndShrink) {
  Play play(
      "P0() { r0 = mremap(x, u, MREMAP_MAYMOVE | MREMAP_FIXED); r1 = READ_ONCE(*u); r2 = READ_ONCE(*x); "
      "r3 = mremap(y, y[0], 0); r4 = READ_ONCE(y[1]); r5 = mremap(y[0], y, 0); r6 = READ_ONCE(y[1]); }");
  ASSERT_EQ(play.reason(), "");
  const std::int64_t expected[] = {0, 1, -1011, 0, -1011, 0, 0};
  for (std::uint8_t i = 0; i < 7; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
}

TEST(Stage, ADebuggerWritesReadOnlyMemory) {
  Play play(
      "P0() { fork(P1); r0 = ptrace_write(P1:*z, 4); r1 = ptrace_read(P1:*z); r2 = ptrace_read(P1:*u); "
      "r3 = READ_ONCE(*z); wait(P1); } P1() { r0 = READ_ONCE(*x); }");
  SKIP_UNLESS_PLAYED(play);
  const std::int64_t expected[] = {0, 4, -14, 0};
  for (std::uint8_t i = 0; i < 4; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
}

TEST(Stage, NobodyIsLeftAfterARun) {
  pid_t parent = 0;
  pid_t child = 0;
  {
    Play play("P0() { fork(P1); } P1() { fork(P2); exit(); } P2() { r0 = READ_ONCE(*x); }");
    ASSERT_EQ(play.reason(), "");
    parent = play.stage().pid_of(0);
    child = play.stage().pid_of(2);
    EXPECT_EQ(::kill(child, 0), 0) << "an orphan that nobody waits for stays while the run lasts";
  }
  EXPECT_NE(::kill(parent, 0), 0);
  EXPECT_NE(::kill(child, 0), 0);
}

TEST(Stage, AProcessThatIsKilledIsReported) {
  const litmus::Program test = program("P0() { r0 = READ_ONCE(*x); }", kMemory);
  KernelWork work;
  Stage stage(work);
  ASSERT_EQ(stage.open(test, {DevicePlan{}}), "");
  Course course(test, stage);
  ASSERT_EQ(course.begin(), "");
  ::kill(stage.pid_of(0), SIGKILL);
  EXPECT_EQ(course.step(0).lost, "P0 is gone in the middle of an operation");
}

}  // namespace
}  // namespace cowherd::live
