#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "frame/frames.hpp"

namespace cowherd {
namespace {

// Objects of one, two and three units, each of a kind of its own.
struct Small {
  static constexpr SlabKind kSlab = SlabKind::kMm;
  std::uint64_t value = 7;
};
struct Medium {
  static constexpr SlabKind kSlab = SlabKind::kVma;
  std::uint64_t value = 8;
  std::byte rest[56];
};
struct Large {
  static constexpr SlabKind kSlab = SlabKind::kPin;
  std::uint64_t value = 9;
  std::byte rest[80];
};

template <class G>
class SlabTest : public testing::Test {
 protected:
  static constexpr std::size_t kCount = 64;

  SlabTest() : room_(Frames<G>::footprint(PageCount{kCount}) + 4096), frames_(format()) {}

  Frames<G> format() {
    std::byte* start = room_.data() + (4096 - reinterpret_cast<std::uintptr_t>(room_.data()) % 4096) % 4096;
    Frames<G>::format(start, PageCount{kCount});
    return Frames<G>(start);
  }

  std::vector<std::byte> room_;
  Frames<G> frames_;
};
using Geometries = testing::Types<ProductionGeometry, CheckedGeometry>;
TYPED_TEST_SUITE(SlabTest, Geometries);

TYPED_TEST(SlabTest, AnObjectStartsFresh) {
  auto& frames = this->frames_;
  const Ref<Small> ref = *frames.template make<Small>();
  EXPECT_TRUE(ref);
  EXPECT_EQ(frames.at(ref).value, 7u);
  frames.at(ref).value = 1234;
  frames.destroy(ref);
  EXPECT_EQ(frames.at(*frames.template make<Small>()).value, 7u);
}

TYPED_TEST(SlabTest, TheLastObjectOfASlabGivesItsFramesBack) {
  auto& frames = this->frames_;
  const PageCount before = frames.free_count();
  std::vector<Ref<Medium>> held;
  for (int i = 0; i < 5; ++i) {
    held.push_back(*frames.template make<Medium>());
  }
  EXPECT_LT(frames.free_count(), before);
  EXPECT_EQ(frames.template alive<Medium>(), 5u);
  for (const Ref<Medium> ref : held) {
    frames.destroy(ref);
  }
  EXPECT_EQ(frames.free_count(), before);
  EXPECT_EQ(frames.template alive<Medium>(), 0u);
}

TYPED_TEST(SlabTest, KindsDoNotShareASlab) {
  auto& frames = this->frames_;
  const auto small = *frames.template make<Small>();
  const auto medium = *frames.template make<Medium>();
  EXPECT_NE(frames.frame_of(&frames.at(small)), frames.frame_of(&frames.at(medium)));
  EXPECT_EQ(frames.template alive<Small>(), 1u);
  EXPECT_EQ(frames.template alive<Large>(), 0u);
}

TYPED_TEST(SlabTest, EveryObjectAliveIsMetOnce) {
  auto& frames = this->frames_;
  std::vector<Ref<Medium>> held;
  for (int i = 0; i < 9; ++i) {
    held.push_back(*frames.template make<Medium>());
    (void)*frames.template make<Small>();
  }
  for (const std::size_t gone : {7u, 4u, 0u}) {
    frames.destroy(held[gone]);
    held.erase(held.begin() + static_cast<std::ptrdiff_t>(gone));
  }
  std::vector<Ref<Medium>> met;
  frames.template for_each<Medium>([&](Ref<Medium> ref) { met.push_back(ref); });
  std::sort(held.begin(), held.end(), [](Ref<Medium> a, Ref<Medium> b) { return a.unit < b.unit; });
  EXPECT_EQ(met, held);
}

TYPED_TEST(SlabTest, RunningOutIsAResultAndLeavesEverythingUsable) {
  auto& frames = this->frames_;
  std::vector<Ref<Large>> held;
  while (true) {
    auto made = frames.template make<Large>();
    if (!made) {
      EXPECT_EQ(made.error(), Errno::kNoMemory);
      break;
    }
    held.push_back(*made);
  }
  EXPECT_TRUE(frames.shortage());
  const Ref<Large> gone = held.back();
  held.pop_back();
  frames.destroy(gone);
  EXPECT_TRUE(frames.template make<Large>().ok());
  EXPECT_FALSE(frames.template make<Large>().ok());
}

TYPED_TEST(SlabTest, TheInjectorCountsEveryObjectOnce) {
  auto& frames = this->frames_;
  frames.injector().arm(FailureInjector::kCountOnly);
  for (std::uint32_t i = 1; i <= 5; ++i) {
    ASSERT_TRUE(frames.template make<Small>().ok());
    EXPECT_EQ(frames.injector().seen(), i);
  }
  const PageCount before = frames.free_count();
  frames.injector().arm(1);
  EXPECT_EQ(frames.template make<Small>().error(), Errno::kNoMemory);
  EXPECT_EQ(frames.free_count(), before);
  EXPECT_EQ(frames.template alive<Small>(), 5u);
}

template <class T, class F>
void churn(F& frames, std::mt19937& random, std::map<std::uint32_t, std::uint64_t>& held, std::uint64_t mark) {
  if (held.empty() || random() % 100 < 52) {
    auto made = frames.template make<T>();
    if (made) {
      ASSERT_TRUE(held.emplace(made->unit, mark).second) << "given out twice";
      frames.at(*made).value = mark;
    }
    return;
  }
  auto gone = std::next(held.begin(), static_cast<std::ptrdiff_t>(random() % held.size()));
  ASSERT_EQ(frames.at(Ref<T>{gone->first}).value, gone->second) << "overwritten by another object";
  frames.destroy(Ref<T>{gone->first});
  held.erase(gone);
}

TYPED_TEST(SlabTest, RandomObjectsOfThreeSizesKeepTheirValues) {
  auto& frames = this->frames_;
  const PageCount before = frames.free_count();
  std::mt19937 random(2);
  std::map<std::uint32_t, std::uint64_t> small;
  std::map<std::uint32_t, std::uint64_t> medium;
  std::map<std::uint32_t, std::uint64_t> large;
  for (std::uint64_t step = 0; step < 6000; ++step) {
    switch (random() % 3) {
      case 0:
        churn<Small>(frames, random, small, step);
        break;
      case 1:
        churn<Medium>(frames, random, medium, step);
        break;
      default:
        churn<Large>(frames, random, large, step);
    }
    ASSERT_FALSE(this->HasFatalFailure());
    ASSERT_EQ(frames.template alive<Small>(), small.size());
    ASSERT_EQ(frames.template alive<Medium>(), medium.size());
    ASSERT_EQ(frames.template alive<Large>(), large.size());
  }
  for (const auto& [unit, value] : small) frames.destroy(Ref<Small>{unit});
  for (const auto& [unit, value] : medium) frames.destroy(Ref<Medium>{unit});
  for (const auto& [unit, value] : large) frames.destroy(Ref<Large>{unit});
  EXPECT_EQ(frames.free_count(), before);
}

/// So many frames that threads keep objects at hand.
class ObjectCacheTest : public testing::Test {
 protected:
  static constexpr std::size_t kCount = 2048;

  ObjectCacheTest() : room_(Frames<ProductionGeometry>::footprint(PageCount{kCount}) + 4096), frames_(format()) {}

  Frames<ProductionGeometry> format() {
    std::byte* start = room_.data() + (4096 - reinterpret_cast<std::uintptr_t>(room_.data()) % 4096) % 4096;
    Frames<ProductionGeometry>::format(start, PageCount{kCount});
    return Frames<ProductionGeometry>(start);
  }

  std::vector<std::byte> room_;
  Frames<ProductionGeometry> frames_;
};

TEST_F(ObjectCacheTest, WhatAThreadKeepsIsNotAliveAndItsFramesAreFree) {
  const PageCount before = frames_.free_count();
  std::vector<Ref<Medium>> held;
  for (int i = 0; i < 500; ++i) held.push_back(*frames_.make<Medium>());
  EXPECT_EQ(frames_.alive<Medium>(), 500u);
  for (const Ref<Medium> ref : held) frames_.destroy(ref);
  EXPECT_EQ(frames_.alive<Medium>(), 0u);
  EXPECT_EQ(frames_.free_count(), before);
}

TEST_F(ObjectCacheTest, NoObjectMakesAFrameShort) {
  frames_.destroy(*frames_.make<Medium>());
  std::thread([&] { frames_.destroy(*frames_.make<Large>()); }).join();
  // All but the zero page, the slabs of what the two threads keep included.
  for (std::size_t i = 1; i < kCount; ++i) ASSERT_TRUE(frames_.allocate(FrameUse::kAnon).ok()) << i;
  EXPECT_FALSE(frames_.make<Medium>().ok());
}

TEST_F(ObjectCacheTest, ThreadsNeverGetOneObjectTwice) {
  const PageCount before = frames_.free_count();
  std::vector<std::thread> threads;
  for (std::uint64_t number = 0; number < 4; ++number) {
    threads.emplace_back([this, number] {
      std::mt19937 random(static_cast<unsigned>(number));
      std::map<std::uint32_t, std::uint64_t> held;
      for (std::uint64_t step = 0; step < 20000; ++step) churn<Medium>(frames_, random, held, step * 4 + number);
      for (const auto& [unit, value] : held) frames_.destroy(Ref<Medium>{unit});
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(frames_.alive<Medium>(), 0u);
  EXPECT_EQ(frames_.free_count(), before);
}

}  // namespace
}  // namespace cowherd
