#include "frame/frames.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace cowherd {
namespace {

template <class G>
class FramesTest : public testing::Test {
 protected:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }  // NOLINT
  };

  Frames<G> format(std::size_t frames) {
    const std::size_t bytes = Frames<G>::footprint(PageCount{frames});
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096)));
    std::memset(memory_.get(), 0xEE, bytes);
    Frames<G>::format(memory_.get(), PageCount{frames});
    return Frames<G>(memory_.get());
  }

  /// Allocates and frees at random, and compares with a set.
  void random_allocations(std::uint32_t count) {
    auto frames = format(count);
    std::mt19937 random(1);
    std::set<std::uint32_t> free;
    for (std::uint32_t i = 1; i < count; ++i) {
      free.insert(i);
    }
    std::vector<std::pair<FrameNumber, unsigned>> held;
    for (int step = 0; step < 20000; ++step) {
      // The balance leans now this way, now that, so that RAM runs full and empty.
      if (held.empty() || random() % 100 < (step / 2000 % 2 == 0 ? 60u : 40u)) {
        const unsigned order = random() % 4 == 0 ? random() % 4 : 0;
        auto got = frames.allocate(FrameUse::kAnon, order);
        if (!got) {
          ASSERT_TRUE(order != 0 || free.empty());
          continue;
        }
        if (G::kExplored) {
          ASSERT_TRUE(order != 0 || got->value() == *free.begin()) << "not the lowest";
        }
        for (std::uint32_t i = 0; i < (1u << order); ++i) {
          ASSERT_EQ(free.erase(got->value() + i), 1u);
        }
        held.emplace_back(*got, order);
      } else {
        std::swap(held[random() % held.size()], held.back());
        const auto [frame, order] = held.back();
        held.pop_back();
        frames.free(frame, order);
        for (std::uint32_t i = 0; i < (1u << order); ++i) {
          free.insert(frame.value() + i);
        }
      }
      ASSERT_EQ(frames.free_count().value(), free.size());
    }
  }

  std::unique_ptr<std::byte, Free> memory_;
};
/// An object of a kind.
struct Thing {
  static constexpr SlabKind kSlab = SlabKind::kPin;
  std::uint64_t bytes[4];
};
using Geometries = testing::Types<ProductionGeometry, CheckedGeometry>;
TYPED_TEST_SUITE(FramesTest, Geometries);

TYPED_TEST(FramesTest, EveryFrameButTheZeroPageIsFree) {
  for (const std::size_t count : {2u, 3u, 63u, 64u, 65u, 129u, 5000u}) {
    auto frames = this->format(count);
    EXPECT_EQ(frames.frame_count(), PageCount{count});
    EXPECT_EQ(frames.free_count(), PageCount{count - 1});
    EXPECT_EQ(frames.descriptor(frames.kZeroPage).use(), FrameUse::kZeroPage);
    EXPECT_EQ(frames.used_frames(), PageCount{1});
    const std::byte* zero = frames.bytes(frames.kZeroPage);
    EXPECT_TRUE(std::all_of(zero, zero + frames.kPageBytes, [](std::byte b) { return b == std::byte{0}; }));
  }
}

TYPED_TEST(FramesTest, GivesOutEveryFrameOnceLowestFirst) {
  for (const std::size_t count : {2u, 64u, 65u, 4097u, 5000u}) {
    auto frames = this->format(count);
    for (std::size_t expected = 1; expected < count; ++expected) {
      auto frame = frames.allocate(FrameUse::kAnon);
      ASSERT_TRUE(frame.ok()) << expected << " of " << count;
      ASSERT_EQ(frame->value(), expected);
      ASSERT_EQ(frames.descriptor(*frame).use(), FrameUse::kAnon);
    }
    EXPECT_EQ(frames.free_count(), PageCount{0});
    EXPECT_FALSE(frames.shortage());
    EXPECT_EQ(frames.allocate(FrameUse::kAnon).error(), Errno::kNoMemory);
    EXPECT_TRUE(frames.shortage());
    EXPECT_EQ(frames.used_frames(), PageCount{count});
  }
}

TYPED_TEST(FramesTest, AFreedFrameIsFoundAgainWhereverItLies) {
  constexpr std::size_t kCount = 64 * 64 + 70;
  auto frames = this->format(kCount);
  for (std::size_t i = 1; i < kCount; ++i) {
    ASSERT_TRUE(frames.allocate(FrameUse::kAnon).ok());
  }
  for (const std::uint32_t frame : {1u, 63u, 64u, 65u, 4095u, 4096u, 4097u, static_cast<std::uint32_t>(kCount - 1)}) {
    frames.free(FrameNumber{frame});
    EXPECT_EQ(frames.descriptor(FrameNumber{frame}).use(), FrameUse::kFree);
    auto again = frames.allocate(FrameUse::kTable);
    ASSERT_TRUE(again.ok()) << frame;
    EXPECT_EQ(again->value(), frame);
    EXPECT_FALSE(frames.allocate(FrameUse::kAnon).ok());
  }
}

TYPED_TEST(FramesTest, ANewFramesDescriptorSaysNothingOfItsPast) {
  auto frames = this->format(8);
  const FrameNumber frame = *frames.allocate(FrameUse::kAnon);
  FrameDescriptor& d = frames.descriptor(frame);
  d.add_references(3);
  d.add_pins(2);
  d.add_mapcount();
  d.set_exclusive(true);
  d.set_gup_mark(true);
  EXPECT_TRUE(d.try_lock());
  d.set_owner(9, Vpn{9});
  frames.free(frame);
  ASSERT_EQ(frames.allocate(FrameUse::kAnon).value(), frame);
  EXPECT_EQ(d.references() + d.pins() + d.mapcount() + d.owner(), 0u);
  EXPECT_FALSE(d.exclusive() || d.gup_mark() || d.locked() || d.dirty());
}

TYPED_TEST(FramesTest, RunsAreAlignedAndApart) {
  auto frames = this->format(300);
  std::set<std::uint32_t> taken = {0};
  for (unsigned round = 0; round < 3; ++round) {
    for (unsigned order = 0; order <= 6; ++order) {
      auto run = frames.allocate(FrameUse::kSlab, order);
      if (!run) {
        continue;
      }
      EXPECT_EQ(run->value() % (1u << order), 0u);
      for (std::uint32_t i = 0; i < (1u << order); ++i) {
        EXPECT_TRUE(taken.insert(run->value() + i).second) << "given out twice";
        EXPECT_EQ(frames.descriptor(FrameNumber{run->value() + i}).use(), FrameUse::kSlab);
      }
    }
  }
  EXPECT_EQ(frames.free_count(), PageCount{300 - taken.size()});
}

TYPED_TEST(FramesTest, ARunNeedsFramesInARow) {
  auto frames = this->format(64);
  std::vector<FrameNumber> all;
  while (frames.free_count() != PageCount{0}) {
    all.push_back(*frames.allocate(FrameUse::kAnon));
  }
  for (const FrameNumber frame : all) {
    if (frame.value() % 2 == 1) {
      frames.free(frame);
    }
  }
  EXPECT_EQ(frames.free_count(), PageCount{32});
  EXPECT_EQ(frames.allocate(FrameUse::kSlab, 1).error(), Errno::kNoMemory);
  frames.free(FrameNumber{20});
  EXPECT_EQ(frames.allocate(FrameUse::kSlab, 1)->value(), 20u);
}

TYPED_TEST(FramesTest, UsedFramesEndsAfterTheLastInUse) {
  auto frames = this->format(200);
  std::vector<FrameNumber> all;
  for (int i = 0; i < 150; ++i) {
    all.push_back(*frames.allocate(FrameUse::kAnon));
  }
  EXPECT_EQ(frames.used_frames(), PageCount{151});
  frames.free(all[149]);
  EXPECT_EQ(frames.used_frames(), PageCount{150});
  frames.free(all[100]);
  EXPECT_EQ(frames.used_frames(), PageCount{150});
  for (std::size_t i = 0; i < 149; ++i) {
    if (i != 100) {
      frames.free(all[i]);
    }
  }
  EXPECT_EQ(frames.used_frames(), PageCount{1});
}

using ScrubbedFramesTest = FramesTest<CheckedGeometry>;
TEST_F(ScrubbedFramesTest, FreedMemoryIsTheSameWhateverHappenedBefore) {
  auto frames = format(40);
  const std::size_t bytes = Frames<CheckedGeometry>::footprint(PageCount{40});
  const std::vector<std::byte> before(memory_.get(), memory_.get() + bytes);
  const FrameNumber one = *frames.allocate(FrameUse::kAnon);
  const FrameNumber run = *frames.allocate(FrameUse::kAnon, 2);
  std::memset(frames.bytes(one), 1, frames.kPageBytes);
  std::memset(frames.bytes(run), 2, frames.kPageBytes * 4);
  frames.descriptor(one).set_owner(3, Vpn{4});
  frames.free(run, 2);
  frames.free(one);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), memory_.get()));
}

TYPED_TEST(FramesTest, ACopyOfTheMemoryIsAnotherRam) {
  auto frames = this->format(32);
  const FrameNumber frame = *frames.allocate(FrameUse::kAnon);
  frames.bytes(frame)[0] = std::byte{1};
  const std::size_t bytes = Frames<TypeParam>::footprint(PageCount{32});
  std::vector<std::byte> room(bytes + 4096);
  std::byte* copy = room.data() + (4096 - reinterpret_cast<std::uintptr_t>(room.data()) % 4096) % 4096;
  std::memcpy(copy, this->memory_.get(), bytes);
  Frames<TypeParam> other(copy);
  other.bytes(frame)[0] = std::byte{2};
  EXPECT_EQ(*other.allocate(FrameUse::kAnon), FrameNumber{frame.value() + 1});
  EXPECT_EQ(frames.bytes(frame)[0], std::byte{1});
  EXPECT_EQ(frames.free_count(), PageCount{30});
  EXPECT_EQ(other.free_count(), PageCount{29});
  EXPECT_EQ(other.frame_of(other.bytes(frame) + 5), frame);
}

TYPED_TEST(FramesTest, TheInjectorFailsAllocationsOfBothKinds) {
  auto frames = this->format(32);
  frames.injector().arm(2);
  EXPECT_TRUE(frames.allocate(FrameUse::kAnon).ok());
  EXPECT_EQ(frames.allocate(FrameUse::kAnon, 1).error(), Errno::kNoMemory);
  EXPECT_TRUE(frames.shortage());
  frames.clear_shortage();
  EXPECT_TRUE(frames.allocate(FrameUse::kAnon).ok());
  EXPECT_FALSE(frames.shortage());
  EXPECT_EQ(frames.free_count(), PageCount{29});
}

TYPED_TEST(FramesTest, RandomAllocationsAgreeWithASet) {
  for (const std::uint32_t count : {500u, 600u}) this->random_allocations(count);
}

// What one thread has given back, and keeps at hand, is there for the others.
TYPED_TEST(FramesTest, NoFrameIsOutOfReachOfAThread) {
  if (TypeParam::kExplored) GTEST_SKIP() << "threads of the host";
  constexpr std::size_t kCount = 2049;
  constexpr std::size_t kThreads = 4;
  auto frames = this->format(kCount);
  for (int round = 0; round < 20; ++round) {
    std::atomic<std::size_t> got{0};
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&] {
        std::vector<FrameNumber> held;
        for (std::size_t i = 0; i < (kCount - 1) / kThreads; ++i) {
          const auto frame = frames.allocate(FrameUse::kAnon);
          if (frame) held.push_back(*frame);
          // One more taken and given back, while another holds the last: that one may fail.
          if (const auto extra = i % 8 == 0 && i < 256 ? frames.allocate(FrameUse::kAnon) : Errno::kNoMemory) {
            frames.free(*extra);
          }
        }
        got += held.size();
        for (const FrameNumber frame : held) frames.free(frame);
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(got, kCount - 1);
    EXPECT_EQ(frames.free_count(), PageCount{kCount - 1});
  }
  // One thread gets them all, whoever gave them back.
  for (std::size_t i = 1; i < kCount; ++i) ASSERT_TRUE(frames.allocate(FrameUse::kAnon).ok()) << i;
  EXPECT_FALSE(frames.allocate(FrameUse::kAnon).ok());
}

// A run, or a slab, is made of frames that caches keep, if it has to be.
TYPED_TEST(FramesTest, RunsAreMadeOfWhatCachesKeep) {
  constexpr std::uint32_t kCount = 1024;
  auto frames = this->format(kCount);
  for (std::uint32_t i = 1; i < kCount; ++i) ASSERT_TRUE(frames.allocate(FrameUse::kAnon).ok());
  for (const std::uint32_t frame : {8u, 9u, 10u, 11u}) frames.free(FrameNumber{frame});
  auto run = frames.allocate(FrameUse::kSlab, 2);
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->value(), 8u);
  frames.free(FrameNumber{20});
  EXPECT_TRUE(frames.template make<Thing>().ok());
}

}  // namespace
}  // namespace cowherd
