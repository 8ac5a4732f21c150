// On the kernel at hand, where it has RDMA: what a registration holds, and what its device reads and writes.

#include "live/rdma_queue.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "live/host.hpp"
#include "live/play_test.hpp"

namespace cowherd::live {
namespace {

/// Why there is none to try it with.
std::string no_device() {
  const Offer& offer = shared_offers()[static_cast<std::size_t>(Need::kRdma)];
  return offer.here ? shared_work().open({.rdma = true}) : "needs rdma: " + offer.found;
}

/// Pages of this process.
class Pages {
 public:
  explicit Pages(std::size_t count)
      : bytes_(count * kPageBytes),
        at_(::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::munmap(at_, bytes_); }
  [[nodiscard]] std::uint64_t address(std::size_t page = 0) const {
    return reinterpret_cast<std::uint64_t>(at_) + page * kPageBytes;
  }
  [[nodiscard]] volatile std::int64_t& word(std::size_t page = 0) const {
    return *reinterpret_cast<volatile std::int64_t*>(address(page));
  }

 private:
  std::size_t bytes_;
  void* at_;
};

TEST(RdmaQueue, WhatCannotBeOpenedIsNamed) {
  RdmaQueue queue;
  EXPECT_EQ(queue.open({"rxe9", "/dev/infiniband/no-such-file", "lo", {}, 0}),
            "/dev/infiniband/no-such-file: No such file or directory");
  Registration registration{};
  EXPECT_EQ(rdma_register(-1, 0, 0, kPageBytes, true, registration), EBADF);
}

TEST(RdmaQueue, TheDeviceReadsAndWritesWhatIsRegistered) {
  if (const std::string why = no_device(); !why.empty()) GTEST_SKIP() << why;
  RdmaQueue queue;
  ASSERT_EQ(queue.open(*find_soft_roce().device), "");
  const Pages pages(2);
  Registration registration{};
  ASSERT_EQ(rdma_register(queue.verbs(), queue.domain(), pages.address(), 2 * kPageBytes, true, registration), 0);
  // More often than there is room in its rings.
  for (int i = 1; i < 20; ++i) {
    pages.word(1) = i;
    const Reply read = queue.read(registration, pages.address(1));
    EXPECT_EQ(read.error, 0);
    EXPECT_EQ(read.value, i);
    EXPECT_EQ(queue.write(registration, pages.address(0) + 8, -i).error, 0);
    EXPECT_EQ((&pages.word(0))[1], -i);
  }
  EXPECT_EQ(queue.deregister(registration), 0);
  EXPECT_NE(queue.deregister(registration), 0) << "it is no more";
}

TEST(RdmaQueue, AProcessThatOnlyInheritedTheFileRegistersItsOwnMemory) {
  if (const std::string why = no_device(); !why.empty()) GTEST_SKIP() << why;
  RdmaQueue queue;
  ASSERT_EQ(queue.open(*find_soft_roce().device), "");
  const Pages pages(1);
  pages.word() = 1;
  auto* const shared = static_cast<Registration*>(
      ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const pid_t child = ::fork();
  if (child == 0) {
    pages.word() = 2;
    ::_exit(rdma_register(queue.verbs(), queue.domain(), pages.address(), kPageBytes, false, *shared));
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  const Reply read = queue.read(*shared, pages.address());
  EXPECT_EQ(read.value, 2) << "the child's page, which outlives it";
  EXPECT_EQ(queue.deregister(*shared), 0);
  ::munmap(shared, kPageBytes);
}

TEST(RdmaQueue, ADeviceOfATestHoldsItsPagesOverForkAndExec) {
  Play play(
      "P0() { pin(d, x, FOLL_WRITE | FOLL_LONGTERM); fork(P1); WRITE_ONCE(*x, 2); r0 = dma_read(d); dma_write(d, 3); "
      "r1 = READ_ONCE(*x); unpin(d); } P1() { r0 = READ_ONCE(*x); }",
      kMemory, PinBy::kRdma);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(0, 0), 2);
  EXPECT_EQ(play.reg(0, 1), 3);
  EXPECT_EQ(play.reg(1, 0), 1);
  Play exec(
      "P0() { pin(d, x, FOLL_WRITE | FOLL_LONGTERM) times 3; WRITE_ONCE(*x, 4); exec(); r0 = dma_read(d); unpin(d); }",
      kMemory, PinBy::kRdma);
  ASSERT_EQ(exec.reason(), "");
  EXPECT_EQ(exec.reg(0, 0), 4);
}

TEST(RdmaQueue, ThePagesBeforeOneThatIsNotThereAreHeld) {
  Play play(
      "P0() { munmap(y[1]); r0 = pin(d, y, FOLL_WRITE | FOLL_LONGTERM); WRITE_ONCE(y[0], 2); r1 = dma_read(d); "
      "r2 = pin(e, u, FOLL_WRITE | FOLL_LONGTERM); }",
      "y = anon[2]; u = unmapped; d = device; e = device;", PinBy::kRdma);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(0, 0), 1);
  EXPECT_EQ(play.reg(0, 1), 2);
  EXPECT_EQ(play.reg(0, 2), -14);
}

}  // namespace
}  // namespace cowherd::live
