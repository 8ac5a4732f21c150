#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include "cowherd/accessor.hpp"
#include "cowherd/snapshot.hpp"
#include "mm/test_must.hpp"

// Threads store through accessors as fast as they can while one thread takes pages and permissions away from them. When
// such an operation has returned, no store of theirs comes through what was taken away.

namespace cowherd {
namespace {

constexpr std::uint64_t kSharedPages = 8;
constexpr std::size_t kThreads = 2;
constexpr std::size_t kBytes = kSharedPages * kPageBytes;

class AccessorStressTest : public testing::Test {
 protected:
  AccessorStressTest() {
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads_.emplace_back([this, i] { work(i); });
    }
  }
  ~AccessorStressTest() override { stop(); }
  AccessorStressTest(const AccessorStressTest&) = delete;
  AccessorStressTest& operator=(const AccessorStressTest&) = delete;

  void stop() {
    over_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    EXPECT_EQ(strange_.load(), 0u) << "errors other than SIGSEGV";
    const char* problem = machine_.verify();
    EXPECT_EQ(problem, nullptr) << problem;
  }

  /// Every thread has begun and ended some accesses since.
  void let_them_run(std::uint64_t accesses = 40) {
    for (std::atomic<std::uint64_t>& done : done_) {
      const std::uint64_t before = done.load();
      while (done.load() < before + accesses) std::this_thread::yield();
    }
  }

  static std::vector<std::byte> bytes_of(AddressSpace& space, Vaddr at) {
    std::vector<std::byte> bytes(kBytes);
    if (!space.read(at, bytes)) std::abort();
    return bytes;
  }
  /// Whether the bytes stay as they are while the threads run.
  bool stays(AddressSpace& space, Vaddr at) {
    const std::vector<std::byte> before = bytes_of(space, at);
    let_them_run();
    return bytes_of(space, at) == before;
  }
  void map() { must(space_.map_at(base_, ByteCount{kBytes})); }

  Machine machine_ = must(Machine::create(ByteCount{8 << 20}));
  AddressSpace space_ = must(machine_.create_space());
  Vaddr base_ = must(space_.map(ByteCount{kBytes}));

 private:
  void work(std::size_t id) {
    Accessor accessor = must(space_.accessor());
    std::array<std::byte, kPageBytes + 64> block{};
    for (std::uint64_t round = 1; !over_; ++round) {
      const Vaddr at = base_ + ByteCount{round * 7919 % kSharedPages * kPageBytes + (round * 64 + id * 8) % kPageBytes};
      Errno error{0};
      if (round % 32 == 0) {
        block.fill(static_cast<std::byte>(round));
        const Vaddr from = base_ + ByteCount{round % (kSharedPages - 1) * kPageBytes};
        auto moved = round % 64 == 0 ? accessor.read(from, block) : accessor.write(from, block);
        error = moved ? Errno{0} : moved.error();
      } else if (auto stored = accessor.store(at, round); !stored) {
        error = stored.error();
      } else if (auto loaded = accessor.load<std::uint64_t>(at); !loaded) {
        error = loaded.error();
      }
      if (error != Errno{0} && error != Errno::kSigSegv) ++strange_;
      done_[id].fetch_add(1);
    }
  }

  std::atomic<bool> over_{false};
  std::atomic<unsigned> strange_{0};
  std::array<std::atomic<std::uint64_t>, kThreads> done_{};
  std::vector<std::thread> threads_;
};

constexpr int kRounds = 20;

TEST_F(AccessorStressTest, NobodyStoresIntoReadOnlyPages) {
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_TRUE(space_.protect(base_, ByteCount{kBytes}, Protection::kRead).ok());
    ASSERT_TRUE(stays(space_, base_)) << "round " << round;
    ASSERT_TRUE(space_.protect(base_, ByteCount{kBytes}, Protection::kReadWrite).ok());
    let_them_run();
  }
}

TEST_F(AccessorStressTest, NobodyStoresIntoTheChild) {
  for (int round = 0; round < kRounds; ++round) {
    AddressSpace child = must(space_.fork());
    ASSERT_TRUE(stays(child, base_)) << "round " << round;
  }
}

TEST_F(AccessorStressTest, NobodyStoresIntoFramesThatWereGivenToOthers) {
  for (int round = 0; round < kRounds; ++round) {
    let_them_run();
    if (round % 2 == 0) {
      ASSERT_TRUE(space_.unmap(base_, ByteCount{kBytes}).ok());
    } else {
      ASSERT_TRUE(space_.advise(base_, ByteCount{kBytes}, Advice::kDontNeed).ok());
    }
    AddressSpace other = must(machine_.create_space());
    const Vaddr at = must(other.map(ByteCount{kBytes}, Protection::kReadWrite, MapFlags::kPopulate));
    ASSERT_EQ(bytes_of(other, at), std::vector<std::byte>(kBytes)) << "round " << round;
    ASSERT_TRUE(stays(other, at)) << "round " << round;
    if (round % 2 == 0) map();
  }
}

/// A snapshot stays what it was, and what a restore has replaced belongs to others.
TEST_F(AccessorStressTest, NobodyStoresIntoASnapshotOrIntoWhatItReplaced) {
  for (int round = 0; round < kRounds; ++round) {
    const Snapshot snapshot = must(space_.snapshot());
    AddressSpace copy = must(machine_.create_space());
    ASSERT_TRUE(copy.restore(snapshot).ok());
    const std::vector<std::byte> taken = bytes_of(copy, base_);
    for (int again = 0; again < 3; ++again) {
      let_them_run(10);
      ASSERT_TRUE(space_.restore(snapshot).ok());
      AddressSpace other = must(machine_.create_space());
      const Vaddr at = must(other.map(ByteCount{kBytes}, Protection::kReadWrite, MapFlags::kPopulate));
      ASSERT_TRUE(stays(other, at)) << "round " << round;
    }
    ASSERT_TRUE(copy.restore(snapshot).ok());
    ASSERT_EQ(bytes_of(copy, base_), taken) << "round " << round;
  }
}

/// The narrow case: a store that is under way as the permission goes. A device watches the page.
TEST_F(AccessorStressTest, AStoreUnderWayIsWaitedFor) {
  stop();
  std::atomic<bool> over{false};
  std::thread thread([&] {
    Accessor accessor = must(space_.accessor());
    for (std::uint64_t n = 1; !over; ++n) (void)accessor.store(base_, n);
  });
  Pin pin = must(space_.pin(base_, ByteCount{kPageBytes}, PinFlags::kWrite | PinFlags::kLongTerm));
  const auto watch = [word = std::atomic_ref(*reinterpret_cast<std::uint64_t*>(pin.bytes(PageCount{0}).data()))] {
    return word.load();
  };
  unsigned late = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::uint64_t running = watch();
    while (watch() == running) std::this_thread::yield();
    ASSERT_TRUE(space_.protect(base_, ByteCount{kPageBytes}, Protection::kRead).ok());
    const std::uint64_t last = watch();
    for (int look = 0; look < 50; ++look) late += watch() != last ? 1 : 0;
    ASSERT_TRUE(space_.protect(base_, ByteCount{kPageBytes}, Protection::kReadWrite).ok());
  }
  over = true;
  thread.join();
  EXPECT_EQ(late, 0u);
}

/// Accessors come and go while others change the address space.
TEST_F(AccessorStressTest, AccessorsComeAndGo) {
  std::thread more([this] {
    for (int round = 0; round < 20 * kRounds; ++round) {
      Accessor accessor = must(space_.accessor());
      const auto stored = accessor.store(base_, round);
      EXPECT_TRUE(stored.ok() || stored.error() == Errno::kSigSegv);
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_TRUE(space_.protect(base_, ByteCount{kBytes}, Protection::kRead).ok());
    ASSERT_TRUE(stays(space_, base_)) << "round " << round;
    ASSERT_TRUE(space_.protect(base_, ByteCount{kBytes}, Protection::kReadWrite).ok());
  }
  more.join();
}

}  // namespace
}  // namespace cowherd
