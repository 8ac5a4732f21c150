#include "back/block_store.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "frame/frames.hpp"

namespace cowherd {
namespace {

template <class G>
class BlockStoreTest : public testing::Test {
 protected:
  static constexpr std::uint32_t kBlocks = 5;

  BlockStoreTest() : room_(BlockStore<G>::footprint(PageCount{kBlocks}) + 4096), store_(format()) {}

  BlockStore<G> format() {
    void* at = room_.data();
    std::size_t space = room_.size();
    auto* memory = static_cast<std::byte*>(std::align(4096, 1, at, space));
    BlockStore<G>::format(memory, PageCount{kBlocks});
    return BlockStore<G>(memory);
  }

  std::vector<std::byte> room_;
  BlockStore<G> store_;
};

using Geometries = testing::Types<ProductionGeometry, CheckedGeometry>;
TYPED_TEST_SUITE(BlockStoreTest, Geometries);

constexpr FrameNumber kNone{0};

TYPED_TEST(BlockStoreTest, GivesOutTheLowestFreeBlock) {
  auto& store = this->store_;
  for (std::uint32_t i = 0; i < this->kBlocks; ++i) EXPECT_EQ(store.allocate(kNone, 1)->value(), i);
  EXPECT_EQ(store.allocate(kNone, 1).error(), Errno::kNoMemory);
  EXPECT_EQ(store.free_count(), PageCount{0});
  store.drop_count(BlockNumber{3});
  store.drop_count(BlockNumber{1});
  EXPECT_EQ(store.free_count(), PageCount{2});
  EXPECT_EQ(store.allocate(kNone, 1)->value(), 1U);
  EXPECT_EQ(store.allocate(kNone, 1)->value(), 3U);
}

TYPED_TEST(BlockStoreTest, ARunIsAlignedAndFreeAsAWhole) {
  auto& store = this->store_;
  EXPECT_EQ(store.allocate(kNone, 1)->value(), 0U);
  EXPECT_EQ(store.allocate_run(FrameNumber{8}, 4), std::nullopt) << "one of the first four is in use";
  EXPECT_EQ(store.free_count(), PageCount{4});
  EXPECT_EQ(store.allocate_run(FrameNumber{8}, 2)->value(), 2U);
  EXPECT_EQ(store.cached(BlockNumber{2}), FrameNumber{8});
  EXPECT_EQ(store.cached(BlockNumber{3}), FrameNumber{9});
  EXPECT_EQ(store.count(BlockNumber{3}), 0U);
  EXPECT_EQ(store.free_count(), PageCount{2});
  EXPECT_EQ(store.allocate(kNone, 1)->value(), 1U);
  EXPECT_EQ(store.allocate(kNone, 1)->value(), 4U);
  EXPECT_EQ(store.allocate_run(FrameNumber{4}, 2), std::nullopt);
  store.set_cached(BlockNumber{2}, kNone);
  store.set_cached(BlockNumber{3}, kNone);
  EXPECT_EQ(store.allocate_run(FrameNumber{4}, 2)->value(), 2U);
}

TYPED_TEST(BlockStoreTest, IsInUseWhileCountedOrCached) {
  auto& store = this->store_;
  const BlockNumber block = *store.allocate(FrameNumber{7}, 0);
  EXPECT_EQ(store.cached(block), FrameNumber{7});
  EXPECT_EQ(store.count(block), 0U);
  EXPECT_TRUE(store.add_count(block));
  store.set_cached(block, kNone);
  EXPECT_EQ(store.used_blocks(), PageCount{1});
  store.set_cached(block, FrameNumber{8});
  store.drop_count(block);
  EXPECT_EQ(store.used_blocks(), PageCount{1});
  store.set_cached(block, kNone);
  EXPECT_EQ(store.used_blocks(), PageCount{0});
  EXPECT_EQ(store.free_count(), PageCount{this->kBlocks});
}

TYPED_TEST(BlockStoreTest, StatesThatHoldTheSameAreTheSame) {
  auto& store = this->store_;
  const std::size_t bytes = BlockStore<TypeParam>::footprint(PageCount{this->kBlocks});
  const std::vector<std::byte> fresh(store.memory(), store.memory() + bytes);
  const BlockNumber a = *store.allocate(kNone, 1);
  const BlockNumber b = *store.allocate(kNone, 1);
  std::memset(store.bytes(a), 1, store.kPageBytes);
  std::memset(store.bytes(b), 2, store.kPageBytes);
  store.drop_count(a);
  store.drop_count(b);
  if (TypeParam::kScrubFreed) {
    EXPECT_EQ(std::memcmp(fresh.data(), store.memory(), bytes), 0);
  }
  EXPECT_EQ(std::memcmp(fresh.data(), store.memory(), store.index_bytes(PageCount{this->kBlocks})), 0);
}

TYPED_TEST(BlockStoreTest, ACopyIsAnotherOne) {
  auto& store = this->store_;
  const BlockNumber block = *store.allocate(FrameNumber{3}, 1);
  std::memset(store.bytes(block), 9, store.kPageBytes);
  std::vector<std::byte> room(BlockStore<TypeParam>::footprint(PageCount{this->kBlocks}) + 4096);
  void* at = room.data();
  std::size_t space = room.size();
  auto* memory = static_cast<std::byte*>(std::align(4096, 1, at, space));
  std::memcpy(memory, store.memory(), BlockStore<TypeParam>::footprint(PageCount{this->kBlocks}));
  BlockStore<TypeParam> copy(memory);
  store.set_cached(block, kNone);
  EXPECT_EQ(copy.cached(block), FrameNumber{3});
  EXPECT_EQ(copy.bytes(block)[1], std::byte{9});
}

}  // namespace
}  // namespace cowherd
