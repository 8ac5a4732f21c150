#include "back/huge_pool.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

namespace cowherd {
namespace {

template <class G>
class HugePoolTest : public testing::Test {
 public:
  HugePoolTest()
      : bytes_(Frames<G>::footprint(PageCount{kFrames})),
        memory_(static_cast<std::byte*>(std::aligned_alloc(4096, (bytes_ + 4095) / 4096 * 4096))) {
    Frames<G>::format(memory_.get(), PageCount{kFrames});
    frames_ = std::make_unique<Frames<G>>(memory_.get());
    format_pool(*frames_, pool_, 3);
  }

 protected:
  static constexpr std::uint64_t kFrames = frames_for_pool<G>(3) + 8;
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }  // NOLINT(cppcoreguidelines-no-malloc)
  };

  std::size_t bytes_;
  std::unique_ptr<std::byte, Free> memory_;
  std::unique_ptr<Frames<G>> frames_;
  HugePool pool_;
};
using Geometries = testing::Types<ProductionGeometry, CheckedGeometry>;
TYPED_TEST_SUITE(HugePoolTest, Geometries);

TYPED_TEST(HugePoolTest, TheLowestPageComesFirst) {
  auto& frames = *this->frames_;
  HugePool& pool = this->pool_;
  const auto first = take_from_pool(frames, pool, Promised::kNo);
  const auto second = take_from_pool(frames, pool, Promised::kNo);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, pool_frame<TypeParam>(0));
  EXPECT_EQ(*second, pool_frame<TypeParam>(1));
  EXPECT_EQ(pool.free, 1U);
  give_to_pool(frames, pool, *first, Promised::kNo);
  EXPECT_EQ(frames.descriptor(*first).use(), FrameUse::kFree);
  const auto again = take_from_pool(frames, pool, Promised::kNo);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *first);
}

TYPED_TEST(HugePoolTest, WhatIsPromisedIsNobodyElses) {
  auto& frames = *this->frames_;
  HugePool& pool = this->pool_;
  pool.reserved = 3;
  EXPECT_EQ(take_from_pool(frames, pool, Promised::kNo).error(), Errno::kNoMemory);
  const auto mine = take_from_pool(frames, pool, Promised::kYes);
  ASSERT_TRUE(mine);
  EXPECT_EQ(pool.reserved, 2U);
  EXPECT_EQ(pool.free, 2U);
  give_to_pool(frames, pool, *mine, Promised::kYes);
  EXPECT_EQ(pool.reserved, 3U);
  EXPECT_EQ(pool.unreserved(), 0U);
  EXPECT_EQ(take_from_pool(frames, pool, Promised::kNo).error(), Errno::kNoMemory);
}

TYPED_TEST(HugePoolTest, ItsFramesAreNotFoundOtherwise) {
  auto& frames = *this->frames_;
  for (auto frame = frames.allocate(FrameUse::kAnon); frame; frame = frames.allocate(FrameUse::kAnon)) {
    const std::uint32_t number = frame->value();
    EXPECT_TRUE(number < pool_frame<TypeParam>(0).value() || number >= pool_frame<TypeParam>(3).value());
  }
  EXPECT_TRUE(take_from_pool(frames, this->pool_, Promised::kNo).ok());
}

}  // namespace
}  // namespace cowherd
