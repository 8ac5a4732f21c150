#include "base/process_fence.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/lock_word.hpp"

namespace cowherd {
namespace {

/// Two sides each write first and read then; only one of them pays for a fence, and at least one sees the other.
TEST(ProcessFence, StandsForTheFenceThatTheOtherSideLeavesOut) {
  if (!enable_process_fence()) GTEST_SKIP() << "the host has no such fence";
  constexpr int kRounds = 3000;
  std::atomic<int> round{0};
  std::atomic<int> finished{0};
  alignas(64) std::atomic<int> cheap{0};
  alignas(64) std::atomic<int> dear{0};
  int cheap_saw = 0;
  std::thread other([&] {
    for (int n = 1; n <= kRounds; ++n) {
      for (unsigned spin = 0; round.load(std::memory_order_acquire) != n; ++spin) spin_pause(spin);
      cheap.store(n, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      cheap_saw = dear.load(std::memory_order_relaxed);
      finished.store(n, std::memory_order_release);
    }
  });
  int neither = 0;
  for (int n = 1; n <= kRounds; ++n) {
    round.store(n, std::memory_order_release);
    dear.store(n, std::memory_order_relaxed);
    fence_all_threads();
    const int dear_saw = cheap.load(std::memory_order_relaxed);
    for (unsigned spin = 0; finished.load(std::memory_order_acquire) != n; ++spin) spin_pause(spin);
    neither += dear_saw != n && cheap_saw != n ? 1 : 0;
  }
  other.join();
  EXPECT_EQ(neither, 0);
}

}  // namespace
}  // namespace cowherd
