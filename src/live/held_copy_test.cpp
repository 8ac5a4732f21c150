#include "live/held_copy.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "live/host.hpp"
#include "live/play_test.hpp"

namespace cowherd::live {
namespace {

constexpr std::chrono::milliseconds kPatience{2000};

class HeldCopyTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string problem = copy_.open(2 * kPageBytes); !problem.empty()) GTEST_SKIP() << problem;
    void* const at = ::mmap(nullptr, 2 * kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(at, MAP_FAILED);
    words_ = static_cast<volatile std::int64_t*>(at);
    words_[0] = 1;
    words_[512] = 2;
  }
  void TearDown() override {
    if (words_ != nullptr) ::munmap(const_cast<std::int64_t*>(words_), 2 * kPageBytes);
  }
  Reply start(std::uint64_t pages, bool into_memory) {
    return copy_.start(::getpid(), reinterpret_cast<std::uint64_t>(words_), pages * kPageBytes, into_memory, kPatience);
  }

  HeldCopy copy_;
  volatile std::int64_t* words_ = nullptr;
};

TEST_F(HeldCopyTest, ItReadsWhatIsThereWhenItGoesOn) {
  ASSERT_EQ(start(2, false).error, 0);
  words_[0] = 5;
  std::array<std::byte, 2 * kPageBytes> bytes{};
  ASSERT_EQ(copy_.read(bytes).error, 0);
  std::int64_t words[2];
  std::memcpy(&words[0], bytes.data(), sizeof words[0]);
  std::memcpy(&words[1], bytes.data() + kPageBytes, sizeof words[1]);
  EXPECT_EQ(words[0], 5);
  EXPECT_EQ(words[1], 2);
}

TEST_F(HeldCopyTest, ItWritesWhenItGoesOnAndNothingWhereItIsCancelled) {
  ASSERT_EQ(start(1, true).error, 0);
  EXPECT_EQ(words_[0], 1) << "not before";
  copy_.cancel();
  EXPECT_EQ(words_[0], 1);
  ASSERT_EQ(start(1, true).error, 0);
  std::array<std::int64_t, 512> page{};
  page[0] = 9;
  ASSERT_EQ(copy_.write(std::as_bytes(std::span(page))).error, 0);
  EXPECT_EQ(words_[0], 9);
  EXPECT_EQ(words_[512], 2);
}

TEST_F(HeldCopyTest, APageThatIsNotThereIsSaid) {
  EXPECT_EQ(copy_.start(::getpid(), kPageBytes, kPageBytes, true, kPatience).error, EFAULT);
  EXPECT_EQ(start(1, false).error, 0) << "and another one can be asked for";
}

TEST(HeldCopyOfATest, HoldsThePageOverForkAndExec) {
  if (!shared_offers()[static_cast<std::size_t>(Need::kHeldCopy)].here) GTEST_SKIP() << "no userfaultfd";
  Play play(
      "P0() { pin(d, x, FOLL_WRITE); fork(P1); WRITE_ONCE(*x, 2); exec(); dma_write(d, 7); unpin(d); } "
      "P1() { r0 = READ_ONCE(*x); }");
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(1, 0), 1);
}

}  // namespace
}  // namespace cowherd::live
