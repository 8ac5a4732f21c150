#include "mm/biased_lock.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace cowherd::mm {
namespace {

using P = ProductionGeometry;
using Lock = BiasedLock<P>;

constexpr std::uint32_t kNumber = 7;

struct Machine {
  Lock lock() { return {mm, slots, kNumber}; }
  [[nodiscard]] bool biased() const { return mm.readers_to_bias == 0; }
  void write() {
    Lock writer = lock();
    EXPECT_TRUE(writer.lock(false));
    EXPECT_TRUE(mm.mmap_lock.held_exclusively());
    writer.unlock();
  }
  /// Whether the reader came without the word.
  bool read() {
    Lock reader = lock();
    EXPECT_TRUE(reader.lock_shared(false));
    const bool by_slot = !mm.mmap_lock.held();
    EXPECT_TRUE(reader.held());
    reader.unlock_shared();
    EXPECT_FALSE(lock().held());
    return by_slot;
  }

  Mm mm;
  WalkerSlots<P> slots;
};

TEST(BiasedLock, IsBiasedTowardsReadersAtFirst) {
  Machine m;
  EXPECT_TRUE(m.read());
  EXPECT_TRUE(m.read());
}

TEST(BiasedLock, ReadersWithNoWriterBetweenBringTheBiasBack) {
  Machine m;
  m.write();
  for (std::uint32_t i = 0; i + 1 < Lock::kReadersToBias; ++i) ASSERT_FALSE(m.read());
  m.write();
  for (std::uint32_t i = 0; i < Lock::kReadersToBias; ++i) ASSERT_FALSE(m.read());
  EXPECT_TRUE(m.biased());
  EXPECT_TRUE(m.read());
}

TEST(BiasedLock, AWriterWaitsForWhoIsInASlot) {
  Machine m;
  Lock reader = m.lock();
  ASSERT_TRUE(reader.lock_shared(false));
  std::atomic<bool> written{false};
  std::thread writer([&] {
    m.write();
    written = true;
  });
  // The writer has the word, and so nobody comes in any more; it is given time to do wrong.
  while (!m.mm.mmap_lock.held_exclusively()) std::this_thread::yield();
  for (unsigned i = 0; i < 200; ++i) std::this_thread::yield();
  EXPECT_FALSE(written);
  reader.unlock_shared();
  writer.join();
}

TEST(BiasedLock, MoreReadersThanSlotsTakeTheWord) {
  Machine m;
  std::vector<std::unique_ptr<Lock>> readers;
  for (int i = 0; i < 100; ++i) {
    readers.push_back(std::make_unique<Lock>(m.lock()));
    ASSERT_TRUE(readers.back()->lock_shared(false));
  }
  EXPECT_TRUE(m.mm.mmap_lock.held());
  for (auto& reader : readers) reader->unlock_shared();
  EXPECT_FALSE(m.lock().held());
  m.write();
}

TEST(BiasedLock, OfAnotherAddressSpaceIsAnotherLock) {
  Machine m;
  Lock reader = m.lock();
  ASSERT_TRUE(reader.lock_shared(false));
  Mm other;
  Lock writer(other, m.slots, kNumber + 1);
  EXPECT_TRUE(writer.lock(false));
  writer.unlock();
  reader.unlock_shared();
}

TEST(BiasedLock, ACopyMadeWhileNobodyIsInsideIsFree) {
  Machine m;
  m.read();
  m.write();
  Machine copy;
  std::memcpy(&copy, &m, sizeof copy);
  Lock reader = m.lock();
  ASSERT_TRUE(reader.lock_shared(false));
  EXPECT_FALSE(copy.lock().held());
  copy.write();
  reader.unlock_shared();
}

/// Counted in two halves that only the lock keeps together. Writers are rare enough for the bias to come and go.
TEST(BiasedLock, KeepsWritersApartAndReadersOut) {
  constexpr unsigned kThreads = 4;
  constexpr unsigned kRounds = 20'000;
  for (const unsigned reads_to_a_write : {2u, 100u}) {
    Machine m;
    unsigned first = 0;
    unsigned second = 0;
    std::atomic<unsigned> torn{0};
    std::atomic<unsigned> written{0};
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (unsigned i = 0; i < kRounds; ++i) {
          Lock lock = m.lock();
          if ((i + thread) % reads_to_a_write == 0) {
            ASSERT_TRUE(lock.lock(false));
            ++first;
            ++second;
            ++written;
            lock.unlock();
          } else {
            ASSERT_TRUE(lock.lock_shared(false));
            if (first != second) ++torn;
            lock.unlock_shared();
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(torn, 0u);
    EXPECT_EQ(first, written);
    EXPECT_EQ(second, written);
    EXPECT_FALSE(m.lock().held());
  }
}

}  // namespace
}  // namespace cowherd::mm
