#include "live/userfault.hpp"

#include <gtest/gtest.h>

#include "live/play_test.hpp"

namespace cowherd::live {
namespace {

constexpr const char* kPages = "x = anon; y = anon(7); z = anon(1); d = device;";

TEST(Userfault, WhoeverWaitsGoesOnWithWhatTheHandlerBrought) {
  Play play(
      "P0() { uffd_register(x, UFFD_MISSING); thread(P1); WRITE_ONCE(x.1, 3); r0 = READ_ONCE(*x); } "
      "P1() { r0 = uffd_copy(x, 7); r1 = uffd_copy(x, 8); }\nlocations [waiting(P0); 0:x; 0:x.1;]",
      kPages);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(1, 0), 0);
  EXPECT_EQ(play.reg(1, 1), -17);
  EXPECT_EQ(play.reg(0, 0), 7);
  EXPECT_EQ(play.term(0), 0);
  EXPECT_EQ(play.term(1), 7);
  EXPECT_EQ(play.term(2), 3);
}

TEST(Userfault, WhomNobodyHelpsWaitsAndTheTestEnds) {
  Play play(
      "P0() { uffd_register(x, UFFD_MISSING); r0 = READ_ONCE(*x); r1 = READ_ONCE(*z); }\n"
      "locations [waiting(P0); 0:x; 0:z;]",
      kPages);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.term(0), 1);
  // Whoever would look would wait as well.
  EXPECT_EQ(play.term(1), -11);
  EXPECT_EQ(play.term(2), 1) << "another thread looks";
  EXPECT_EQ(play.course().unfinished(), 1);
}

TEST(Userfault, AWriteWaitsUntilTheProtectionIsTakenBack) {
  Play play(
      "P0() { uffd_register(z, UFFD_WP); uffd_wp(z); thread(P1); WRITE_ONCE(*z, 2); } "
      "P1() { r0 = READ_ONCE(*z); uffd_unwp(z); r1 = uffd_wp(x); }\nlocations [0:z; uffdwp(0:z);]",
      kPages);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(1, 0), 1);
  EXPECT_EQ(play.reg(1, 1), -2);
  EXPECT_EQ(play.term(0), 2);
  EXPECT_EQ(play.term(1), 0);
}

TEST(Userfault, AChildThatStaysRegisteredMovesPagesOfItsOwn) {
  Play play(
      "P0() { uffd_register(x, UFFD_MISSING | UFFD_EVENT_FORK); fork(P1); } "
      "P1() { WRITE_ONCE(*y, 9); r0 = uffd_move(x, y); r1 = READ_ONCE(*x); }\nlocations [0:x; 0:y; 1:y;]",
      kPages);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(1, 0), 0);
  EXPECT_EQ(play.reg(1, 1), 9);
  EXPECT_EQ(play.term(0), -11);
  EXPECT_EQ(play.term(1), 7);
  EXPECT_EQ(play.term(2), 0);
}

TEST(Userfault, AMoveIsAskedOfTheOneThatTheMemoryIsRegisteredWith) {
  Play play(
      "P0() { uffd_register(z, UFFD_WP | UFFD_EVENT_FORK); uffd_register(x, UFFD_MISSING); r0 = uffd_move(x, y); "
      "r1 = READ_ONCE(*x); r2 = uffd_move(x, x); }",
      kPages);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(0, 0), 0);
  EXPECT_EQ(play.reg(0, 1), 7);
  EXPECT_EQ(play.reg(0, 2), -17);
}

TEST(Userfault, APinWaitsToo) {
  Play pin(
      "P0() { uffd_register(x, UFFD_MISSING); thread(P1); r0 = pin(d, x, FOLL_WRITE | FOLL_LONGTERM); "
      "r1 = dma_read(d); } P1() { uffd_copy(x, 7); }",
      kPages);
  SKIP_UNLESS_PLAYED(pin);
  EXPECT_EQ(pin.reg(0, 0), 1);
  EXPECT_EQ(pin.reg(0, 1), 7);
}

TEST(Userfault, ADebuggerIsRefusedWhereItWouldHaveToWait) {
  Play play(
      "P0() { uffd_register(x, UFFD_MISSING); fork(P1); } P1() { r0 = ptrace_read(P0:x); uffd_copy(P0:x, 6); "
      "r1 = ptrace_read(P0:x); }",
      kPages);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(1, 0), -14);
  EXPECT_EQ(play.reg(1, 1), 6);
}

TEST(Userfault, MemoryThatIsUnmappedOrUnregisteredIsNobodysToBring) {
  Play unmapped("P0() { uffd_register(x, UFFD_MISSING); thread(P1); r0 = READ_ONCE(*x); } P1() { munmap(x); }", kPages);
  SKIP_UNLESS_PLAYED(unmapped);
  EXPECT_EQ(unmapped.reg(0, 0), -1011);
  Play unregistered(
      "P0() { uffd_register(x, UFFD_MISSING); thread(P1); thread(P2); r0 = READ_ONCE(*x); r1 = READ_ONCE(*y); }"
      " P1() { r0 = READ_ONCE(x.1); } P2() { r0 = uffd_unregister(x); }",
      kPages);
  SKIP_UNLESS_PLAYED(unregistered);
  EXPECT_EQ(unregistered.reg(0, 1), 7);
  EXPECT_EQ(unregistered.course().unfinished(), 0) << "both went on";
}

TEST(Userfault, AThreadThatWaitsEndsWithTheExecOfAnother) {
  Play play(
      "P0() { uffd_register(x, UFFD_MISSING); thread(P1); r0 = READ_ONCE(*x); } "
      "P1() { exec(); r0 = READ_ONCE(*z); }\nlocations [waiting(P0);]",
      kPages);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.term(0), 0);
  EXPECT_EQ(play.reg(1, 0), -1011);
}

TEST(Userfault, WhatTheKernelHasIsSaid) {
  const UserfaultOffer offer = try_userfault();
  if (!offer.problem.empty()) GTEST_SKIP() << offer.problem;
  EXPECT_EQ(shared_offers()[static_cast<std::size_t>(Need::kUserfaultfd)].found, "works");
  EXPECT_EQ(open_userfault(std::uint64_t{1} << 62), -1) << "no such feature";
}

}  // namespace
}  // namespace cowherd::live
