#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "frame/frames.hpp"

namespace cowherd {
namespace {

template <class G>
class ZonesTest : public testing::Test {
 protected:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }  // NOLINT
  };

  Frames<G> format(std::size_t frames, std::uint32_t first, std::size_t movable) {
    const std::size_t bytes = Frames<G>::footprint(PageCount{frames});
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096)));
    std::memset(memory_.get(), 0xEE, bytes);
    Frames<G>::format(memory_.get(), PageCount{frames}, {.movable = {FrameNumber{first}, PageCount{movable}}});
    return Frames<G>(memory_.get());
  }

 private:
  std::unique_ptr<std::byte, Free> memory_;
};
using Geometries = testing::Types<ProductionGeometry, CheckedGeometry>;
TYPED_TEST_SUITE(ZonesTest, Geometries);

TYPED_TEST(ZonesTest, MovableFramesAreGivenOutOnlyWhereTheyAreAskedFor) {
  auto frames = this->format(40, 8, 4);
  EXPECT_TRUE(frames.has_movable());
  for (std::uint32_t frame = 0; frame < 50; ++frame) {
    EXPECT_EQ(frames.is_movable(FrameNumber{frame}), frame >= 8 && frame < 12) << frame;
  }
  for (std::uint32_t want = 8; want < 12; ++want) {
    EXPECT_EQ(*frames.allocate(FrameUse::kAnon, 0, Zone::kMovable), FrameNumber{want});
  }
  EXPECT_EQ(*frames.allocate(FrameUse::kAnon, 0, Zone::kMovable), FrameNumber{1}) << "none is left";
  frames.free(FrameNumber{9});
  for (std::uint32_t want = 2; want < 40; ++want) {
    if (want >= 8 && want < 12) continue;
    EXPECT_EQ(*frames.allocate(FrameUse::kTable), FrameNumber{want});
  }
  EXPECT_FALSE(frames.allocate(FrameUse::kTable).ok()) << "what stays does not go to movable memory";
  EXPECT_TRUE(frames.shortage());
  EXPECT_EQ(frames.free_count(), PageCount{1});
  EXPECT_EQ(*frames.allocate(FrameUse::kAnon, 0, Zone::kMovable), FrameNumber{9});
  EXPECT_FALSE(frames.allocate(FrameUse::kAnon, 0, Zone::kMovable).ok());
}

TYPED_TEST(ZonesTest, WhileClosedNoneIsGivenOut) {
  auto frames = this->format(40, 8, 4);
  ASSERT_TRUE(frames.close_movable());
  EXPECT_FALSE(frames.close_movable()) << "somebody else has";
  EXPECT_TRUE(frames.movable_closed());
  EXPECT_EQ(*frames.allocate(FrameUse::kAnon, 0, Zone::kMovable), FrameNumber{1});
  frames.open_movable();
  EXPECT_EQ(*frames.allocate(FrameUse::kAnon, 0, Zone::kMovable), FrameNumber{8});
}

TYPED_TEST(ZonesTest, RunsComeFromNormalMemory) {
  auto frames = this->format(32, 8, 4);
  std::set<std::uint32_t> got;
  while (true) {
    const auto run = frames.allocate(FrameUse::kAnon, 2, Zone::kMovable);
    if (!run) break;
    EXPECT_EQ(run->value() % 4, 0u);
    got.insert(run->value());
  }
  EXPECT_EQ(got, (std::set<std::uint32_t>{4, 12, 16, 20, 24, 28}));
}

TYPED_TEST(ZonesTest, AgentsKeepToTheirStripesInBothZones) {
  if constexpr (TypeParam::kExplored) {
    auto frames = this->format(64, 8, 16);
    frames.set_stripe(1, 2);
    EXPECT_EQ(*frames.allocate(FrameUse::kAnon, 0, Zone::kMovable), FrameNumber{12});
    EXPECT_EQ(*frames.allocate(FrameUse::kTable), FrameNumber{4});
    frames.set_stripe(0, 2);
    EXPECT_EQ(*frames.allocate(FrameUse::kAnon, 0, Zone::kMovable), FrameNumber{8});
    EXPECT_EQ(*frames.allocate(FrameUse::kTable), FrameNumber{1});
    std::vector<FrameNumber> all;
    for (int i = 0; i < 14; ++i) all.push_back(*frames.allocate(FrameUse::kAnon, 0, Zone::kMovable));
    for (const FrameNumber frame : all) EXPECT_TRUE(frames.is_movable(frame)) << "of anybody's stripe, if need be";
  }
}

TYPED_TEST(ZonesTest, TheLowestOfItsZoneEvenInLargeMemory) {
  constexpr std::uint32_t kFrames = 9000;
  constexpr std::uint32_t kFirst = 4100;
  constexpr std::uint32_t kMovable = 300;
  auto frames = this->format(kFrames, kFirst, kMovable);
  std::set<std::uint32_t> normal;
  std::set<std::uint32_t> movable;
  for (std::uint32_t i = 1; i < kFrames; ++i) (i >= kFirst && i < kFirst + kMovable ? movable : normal).insert(i);
  std::vector<FrameNumber> held;
  std::mt19937 random(1);
  for (int step = 0; step < 30000; ++step) {
    if (held.empty() || random() % 100 < (step / 3000 % 2 == 0 ? 80u : 30u)) {
      const Zone zone = random() % 2 == 0 ? Zone::kMovable : Zone::kNormal;
      std::set<std::uint32_t>& from = zone == Zone::kMovable && !movable.empty() ? movable : normal;
      const auto got = frames.allocate(FrameUse::kAnon, 0, zone);
      ASSERT_EQ(got.ok(), !from.empty());
      if (!got) continue;
      ASSERT_EQ(got->value(), *from.begin());
      from.erase(from.begin());
      held.push_back(*got);
    } else {
      std::swap(held[random() % held.size()], held.back());
      frames.free(held.back());
      (frames.is_movable(held.back()) ? movable : normal).insert(held.back().value());
      held.pop_back();
    }
  }
  EXPECT_EQ(frames.free_count(), PageCount{normal.size() + movable.size()});
}

}  // namespace
}  // namespace cowherd
