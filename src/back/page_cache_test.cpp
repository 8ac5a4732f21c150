#include "back/page_cache.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

namespace cowherd {
namespace {

template <class G>
class PageCacheTest : public testing::Test {
 public:
  PageCacheTest()
      : bytes_(Frames<G>::footprint(PageCount{kFrames})),
        memory_(static_cast<std::byte*>(std::aligned_alloc(4096, (bytes_ + 4095) / 4096 * 4096))) {
    Frames<G>::format(memory_.get(), PageCount{kFrames});
    frames_ = std::make_unique<Frames<G>>(memory_.get());
  }

 protected:
  static constexpr std::uint64_t kFrames = 300;
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }  // NOLINT(cppcoreguidelines-no-malloc)
  };

  std::vector<std::uint32_t> cached(const File& file) {
    std::vector<std::uint32_t> all;
    for (CachedPage at = next_cached(*frames_, file, 0); at.frame.value() != 0;
         at = next_cached(*frames_, file, at.index + 1)) {
      all.push_back(at.index);
    }
    return all;
  }

  std::size_t bytes_;
  std::unique_ptr<std::byte, Free> memory_;
  std::unique_ptr<Frames<G>> frames_;
};
using Geometries = testing::Types<ProductionGeometry, CheckedGeometry>;
TYPED_TEST_SUITE(PageCacheTest, Geometries);

TYPED_TEST(PageCacheTest, AFileOfOnePageHasNoNode) {
  File file;
  const PageCount before = this->frames_->free_count();
  ASSERT_TRUE(add_cached(*this->frames_, file, 0, FrameNumber{7}).ok());
  EXPECT_EQ(this->frames_->free_count(), before);
  EXPECT_EQ(find_cached(*this->frames_, file, 0), FrameNumber{7});
  EXPECT_EQ(find_cached(*this->frames_, file, 1), FrameNumber{0});
  EXPECT_EQ(find_cached(*this->frames_, file, 1u << 30), FrameNumber{0});
  remove_cached(*this->frames_, file, 0);
  EXPECT_EQ(find_cached(*this->frames_, file, 0), FrameNumber{0});
}

TYPED_TEST(PageCacheTest, ASlotStandsForAPageAndNeedsNoMemory) {
  File file;
  const PageCount before = this->frames_->free_count();
  for (const std::uint32_t index : {0u, 3u, 700u}) {
    ASSERT_TRUE(add_cached(*this->frames_, file, index, FrameNumber{index + 1}).ok());
  }
  const PageCount with_all = this->frames_->free_count();
  set_in_swap(*this->frames_, file, 3, BlockNumber{0});
  EXPECT_EQ(this->frames_->free_count(), with_all);
  EXPECT_EQ(find_cached(*this->frames_, file, 3), FrameNumber{0});
  EXPECT_EQ(find_place(*this->frames_, file, 3).slot, BlockNumber{0});
  EXPECT_FALSE(find_place(*this->frames_, file, 3).none());
  EXPECT_TRUE(find_place(*this->frames_, file, 4).none());
  EXPECT_EQ(this->cached(file), (std::vector<std::uint32_t>{0, 700}));
  EXPECT_EQ(next_place(*this->frames_, file, 1).index, 3U);
  set_cached(*this->frames_, file, 3, FrameNumber{9});
  EXPECT_EQ(find_cached(*this->frames_, file, 3), FrameNumber{9});
  set_in_swap(*this->frames_, file, 700, BlockNumber{5});
  for (const std::uint32_t index : {0u, 3u, 700u}) remove_cached(*this->frames_, file, index);
  EXPECT_EQ(this->frames_->free_count(), before);
}

TYPED_TEST(PageCacheTest, PagesFarApartAreFoundInOrderAndLeaveNothingBehind) {
  File file;
  const PageCount before = this->frames_->free_count();
  const std::vector<std::uint32_t> indices{5, 0, 70, 9, 4000, 1023, 1024, 1u << 20};
  std::map<std::uint32_t, std::uint32_t> model;
  for (const std::uint32_t index : indices) {
    ASSERT_TRUE(add_cached(*this->frames_, file, index, FrameNumber{index % 200 + 1}).ok());
    model[index] = index % 200 + 1;
  }
  std::vector<std::uint32_t> sorted;
  for (const auto& [index, frame] : model) {
    EXPECT_EQ(find_cached(*this->frames_, file, index), FrameNumber{frame}) << index;
    EXPECT_EQ(find_cached(*this->frames_, file, index + 2),
              FrameNumber{model.contains(index + 2) ? model[index + 2] : 0});
    sorted.push_back(index);
  }
  EXPECT_EQ(this->cached(file), sorted);
  EXPECT_EQ(next_cached(*this->frames_, file, 71).index, 1023u);
  for (const std::uint32_t index : indices) remove_cached(*this->frames_, file, index);
  EXPECT_EQ(this->frames_->free_count(), before);
  EXPECT_EQ(file.height, 0);
}

TYPED_TEST(PageCacheTest, WhatDoesNotFitChangesNothing) {
  File file;
  ASSERT_TRUE(add_cached(*this->frames_, file, 0, FrameNumber{1}).ok());
  const PageCount before = this->frames_->free_count();
  for (std::uint32_t nth = 1;; ++nth) {
    this->frames_->injector().arm(nth);
    const bool added = add_cached(*this->frames_, file, 1u << 20, FrameNumber{2}).ok();
    this->frames_->injector().arm(0);
    if (added) break;
    EXPECT_EQ(this->cached(file), std::vector<std::uint32_t>{0}) << nth;
  }
  EXPECT_EQ(this->cached(file), (std::vector<std::uint32_t>{0, 1u << 20}));
  remove_cached(*this->frames_, file, 1u << 20);
  remove_cached(*this->frames_, file, 0);
  EXPECT_GE(this->frames_->free_count(), before);
}

TYPED_TEST(PageCacheTest, BlocksAreNumberedFromZeroAndKeptApart) {
  File file;
  ASSERT_TRUE(add_block(*this->frames_, file, 3, BlockNumber{0}).ok());
  ASSERT_TRUE(add_cached(*this->frames_, file, 3, FrameNumber{9}).ok());
  EXPECT_EQ(find_block(*this->frames_, file, 3), BlockNumber{0});
  EXPECT_FALSE(find_block(*this->frames_, file, 2).has_value());
  const auto next = next_block(*this->frames_, file, 0);
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->index, 3u);
  remove_block(*this->frames_, file, 3);
  EXPECT_FALSE(next_block(*this->frames_, file, 0).has_value());
  EXPECT_EQ(find_cached(*this->frames_, file, 3), FrameNumber{9});
  remove_cached(*this->frames_, file, 3);
}

TYPED_TEST(PageCacheTest, AChildsMappingComesBehindItsParents) {
  Frames<TypeParam>& frames = *this->frames_;
  const Ref<File> file = *frames.template make<File>();
  std::vector<Ref<Vma>> vmas;
  for (int i = 0; i < 3; ++i) vmas.push_back(*frames.template make<Vma>());
  for (const Ref<Vma> vma : vmas) frames.at(vma).pages = {Vpn{10}, Vpn{12}};
  frames.at(vmas[2]).index = Vpn{1};
  const auto link = [&](std::size_t i, Ref<FileMapping> behind) {
    const Ref<FileMapping> made = *frames.template make<FileMapping>();
    link_mapping(frames, made, vmas[i], file, behind);
    return made;
  };
  const Ref<FileMapping> parent = link(0, {});
  (void)link(2, {});
  const Ref<FileMapping> child = link(1, parent);
  EXPECT_EQ(frames.at(parent).next, child);
  EXPECT_EQ(frames.at(file).users, 3u);
  std::vector<std::pair<std::uint32_t, std::uint64_t>> seen;
  for_each_mapping(frames, frames.at(file), 1,
                   [&](Ref<Vma> vma, Vpn page) { seen.emplace_back(vma.unit, page.value()); });
  EXPECT_EQ(seen, (std::vector<std::pair<std::uint32_t, std::uint64_t>>{
                      {vmas[2].unit, 10}, {vmas[0].unit, 11}, {vmas[1].unit, 11}}));
  unlink_mapping(frames, parent);
  EXPECT_EQ(frames.at(child).previous,
            frames.at(frames.at(file).first).next == child ? frames.at(file).first : Ref<FileMapping>{});
}

}  // namespace
}  // namespace cowherd
