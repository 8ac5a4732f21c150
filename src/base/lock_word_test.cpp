#include "base/lock_word.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

namespace cowherd {
namespace {

constexpr unsigned kThreads = 4;

template <class Body>
void on_threads(Body body) {
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (unsigned i = 0; i < kThreads; ++i) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

TEST(LockWord, ZeroIsFree) {
  LockWord lock;
  EXPECT_FALSE(lock.held());
  EXPECT_TRUE(lock.available(false));
  EXPECT_TRUE(lock.available(true));
}

TEST(LockWord, WritersShutEverybodyOut) {
  LockWord lock;
  ASSERT_TRUE(lock.try_lock());
  EXPECT_TRUE(lock.held_exclusively());
  EXPECT_FALSE(lock.try_lock());
  EXPECT_FALSE(lock.try_lock_shared());
  EXPECT_FALSE(lock.available(true));
  lock.unlock();
  EXPECT_EQ(lock.bits, 0u);
}

TEST(LockWord, ReadersShutOutWritersOnly) {
  LockWord lock;
  ASSERT_TRUE(lock.try_lock_shared());
  ASSERT_TRUE(lock.try_lock_shared());
  EXPECT_FALSE(lock.try_lock());
  EXPECT_TRUE(lock.available(true));
  lock.unlock_shared();
  EXPECT_FALSE(lock.available(false));
  lock.unlock_shared();
  EXPECT_TRUE(lock.try_lock());
}

TEST(LockWord, CopyIsHeldByWhoeverHeldTheOriginal) {
  LockWord lock;
  ASSERT_TRUE(lock.try_lock_shared());
  LockWord copy;
  std::memcpy(&copy, &lock, sizeof copy);
  lock.unlock_shared();
  EXPECT_FALSE(lock.held());
  EXPECT_TRUE(copy.held());
}

/// Counted in two halves that only the lock keeps together.
TEST(LockWord, KeepsWritersApartAndReadersOut) {
  constexpr unsigned kRounds = 20'000;
  for (const bool spins : {false, true}) {
    LockWord lock;
    unsigned first = 0;
    unsigned second = 0;
    std::atomic<unsigned> torn{0};
    on_threads([&](unsigned thread) {
      for (unsigned i = 0; i < kRounds; ++i) {
        if ((i + thread) % 4 == 0) {
          ASSERT_TRUE(lock.lock(spins));
          ++first;
          ++second;
          lock.unlock();
        } else {
          ASSERT_TRUE(lock.lock_shared(spins));
          if (first != second) ++torn;
          lock.unlock_shared();
        }
      }
    });
    EXPECT_EQ(torn.load(), 0u);
    EXPECT_EQ(first, kThreads * kRounds / 4);
    EXPECT_EQ(lock.bits, 0u);
  }
}

/// Readers that overlap all the time would starve a writer for whom nobody waits.
TEST(LockWord, WaitingWriterKeepsNewReadersOut) {
  LockWord lock;
  ASSERT_TRUE(lock.try_lock_shared());
  std::thread writer([&] {
    ASSERT_TRUE(lock.lock(false));
    lock.unlock();
  });
  bool kept_out = false;
  while (!kept_out) {
    if (lock.try_lock_shared()) {
      lock.unlock_shared();
      std::this_thread::yield();
    } else {
      kept_out = true;
    }
  }
  lock.unlock_shared();
  writer.join();
  EXPECT_TRUE(lock.try_lock_shared());
}

TEST(LockWord, AbandonedLockSendsWaitersAway) {
  LockWord lock;
  ASSERT_TRUE(lock.try_lock());
  std::atomic<unsigned> sent_away{0};
  std::thread keeper([&] { lock.abandon(); });
  on_threads([&](unsigned thread) {
    const bool got = thread % 2 == 0 ? lock.lock(thread == 0) : lock.lock_shared(thread == 1);
    if (!got) ++sent_away;
  });
  keeper.join();
  EXPECT_EQ(sent_away.load(), kThreads);
  EXPECT_TRUE(lock.abandoned());
}

}  // namespace
}  // namespace cowherd
