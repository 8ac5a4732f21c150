#include "back/anon_rmap.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace cowherd {
namespace {

template <class G>
class AnonRmapTest : public testing::Test {
 protected:
  static constexpr std::size_t kCount = 512;

  AnonRmapTest() : room_(Frames<G>::footprint(PageCount{kCount}) + 4096), frames_(format()) {}

  Frames<G> format() {
    std::byte* start = room_.data() + (4096 - reinterpret_cast<std::uintptr_t>(room_.data()) % 4096) % 4096;
    Frames<G>::format(start, PageCount{kCount});
    return Frames<G>(start);
  }

  Ref<Vma> vma(std::uint64_t begin, std::uint64_t end) {
    const Ref<Vma> made = *frames_.template make<Vma>();
    at(made).pages = {Vpn{begin}, Vpn{end}};
    at(made).index = Vpn{begin};
    return made;
  }
  Ref<Vma> child_of(Ref<Vma> parent) {
    const Ref<Vma> child = vma(at(parent).pages.begin.value(), at(parent).pages.end.value());
    ForkedAnonVma last;
    fork(child, parent, last);
    return child;
  }
  void fork(Ref<Vma> child, Ref<Vma> parent, ForkedAnonVma& last) {
    EXPECT_TRUE(anon_vma_fork(frames_, child, parent, TakeOver::kAllowed, last).ok());
  }
  void drop(Ref<Vma> gone) {
    unlink_anon_vmas(frames_, gone);
    free_unlinked(frames_, gone);
    frames_.destroy(gone);
  }
  Vma& at(Ref<Vma> ref) { return frames_.at(ref); }

  /// A page born in `owner` at `page`.
  FrameNumber page_of(Ref<Vma> owner, std::uint64_t page) {
    const FrameNumber frame = *frames_.allocate(FrameUse::kAnon);
    frames_.descriptor(frame).set_owner(at(owner).anon_vma.unit, at(owner).index_of(Vpn{page}));
    return frame;
  }
  std::vector<std::pair<std::uint32_t, std::uint64_t>> walk(FrameNumber frame) {
    std::vector<std::pair<std::uint32_t, std::uint64_t>> found;
    rmap_walk(frames_, frame, [&](Ref<Vma> where, Vpn page) { found.emplace_back(where.unit, page.value()); });
    std::sort(found.begin(), found.end());
    return found;
  }
  std::size_t chains_of(Ref<Vma> where) {
    std::size_t count = 0;
    for (Ref<AnonVmaChain> chain = at(where).chain; chain; chain = frames_.at(chain).next_of_vma) ++count;
    return count;
  }
  void expect_nothing_left() {
    EXPECT_EQ(frames_.template alive<AnonVma>(), 0u);
    EXPECT_EQ(frames_.template alive<AnonVmaChain>(), 0u);
  }

  std::vector<std::byte> room_;
  Frames<G> frames_;
};
using Geometries = testing::Types<ProductionGeometry, CheckedGeometry>;
TYPED_TEST_SUITE(AnonRmapTest, Geometries);

using Places = std::vector<std::pair<std::uint32_t, std::uint64_t>>;

TYPED_TEST(AnonRmapTest, PrepareGivesOneAnonVmaOnce) {
  const Ref<Vma> vma = this->vma(4, 8);
  ASSERT_TRUE(anon_vma_prepare(this->frames_, vma).ok());
  const Ref<AnonVma> first = this->at(vma).anon_vma;
  ASSERT_TRUE(anon_vma_prepare(this->frames_, vma).ok());
  EXPECT_EQ(this->at(vma).anon_vma, first);
  EXPECT_EQ(this->walk(this->page_of(vma, 5)), (Places{{vma.unit, 5}}));
  this->drop(vma);
  this->expect_nothing_left();
}

TYPED_TEST(AnonRmapTest, APageIsFoundInItsVmaAndInThoseForkedFromIt) {
  const Ref<Vma> parent = this->vma(4, 8);
  ASSERT_TRUE(anon_vma_prepare(this->frames_, parent).ok());
  const Ref<Vma> child = this->child_of(parent);
  const Ref<Vma> grandchild = this->child_of(child);
  const auto places = [](std::initializer_list<Ref<Vma>> vmas, std::uint64_t page) {
    Places found;
    for (const Ref<Vma> vma : vmas) found.emplace_back(vma.unit, page);
    std::sort(found.begin(), found.end());
    return found;
  };
  EXPECT_EQ(this->walk(this->page_of(parent, 6)), places({parent, child, grandchild}, 6));
  EXPECT_EQ(this->walk(this->page_of(child, 6)), places({child, grandchild}, 6));
  EXPECT_EQ(this->walk(this->page_of(grandchild, 7)), places({grandchild}, 7));

  const FrameNumber old = this->page_of(parent, 4);
  this->drop(parent);
  EXPECT_EQ(this->walk(old), places({child, grandchild}, 4)) << "the page outlives the VMA that it was born in";
  this->drop(child);
  EXPECT_EQ(this->walk(old), places({grandchild}, 4));
  this->drop(grandchild);
  this->expect_nothing_left();
}

TYPED_TEST(AnonRmapTest, TheChildOfAVmaWithoutPagesGetsNothing) {
  const Ref<Vma> parent = this->vma(4, 8);
  const Ref<Vma> child = this->child_of(parent);
  EXPECT_FALSE(this->at(child).anon_vma);
  this->expect_nothing_left();
}

TYPED_TEST(AnonRmapTest, BothHalvesOfASplitKnowTheirPages) {
  const Ref<Vma> low = this->vma(4, 8);
  ASSERT_TRUE(anon_vma_prepare(this->frames_, low).ok());
  const FrameNumber page5 = this->page_of(low, 5);
  const FrameNumber page7 = this->page_of(low, 7);
  const Ref<Vma> high = this->vma(6, 8);
  ASSERT_TRUE(anon_vma_clone(this->frames_, high, low).ok());
  this->at(low).pages.end = Vpn{6};
  EXPECT_EQ(this->at(high).anon_vma, this->at(low).anon_vma);
  EXPECT_EQ(this->walk(page5), (Places{{low.unit, 5}}));
  EXPECT_EQ(this->walk(page7), (Places{{high.unit, 7}}));
  this->drop(low);
  EXPECT_EQ(this->walk(page7), (Places{{high.unit, 7}}));
  this->drop(high);
  this->expect_nothing_left();
}

TYPED_TEST(AnonRmapTest, AdoptMovesEverything) {
  const Ref<Vma> left = this->vma(2, 4);
  const Ref<Vma> right = this->vma(4, 8);
  ASSERT_TRUE(anon_vma_prepare(this->frames_, right).ok());
  const FrameNumber page = this->page_of(right, 5);
  anon_vma_adopt(this->frames_, left, right);
  EXPECT_FALSE(this->at(right).anon_vma || this->at(right).chain);
  this->frames_.destroy(right);
  this->at(left).pages.end = Vpn{8};
  EXPECT_EQ(this->walk(page), (Places{{left.unit, 5}}));
  this->drop(left);
  this->expect_nothing_left();
}

TYPED_TEST(AnonRmapTest, AFailureLeavesNothingBehind) {
  const Ref<Vma> parent = this->vma(4, 8);
  auto& frames = this->frames_;
  for (std::uint32_t nth = 1; nth <= 2; ++nth) {
    frames.injector().arm(nth);
    EXPECT_EQ(anon_vma_prepare(frames, parent).error(), Errno::kNoMemory);
    EXPECT_FALSE(this->at(parent).anon_vma || this->at(parent).chain);
    this->expect_nothing_left();
  }
  frames.injector().arm(0);
  ASSERT_TRUE(anon_vma_prepare(frames, parent).ok());
  const Ref<Vma> child = this->child_of(parent);
  const auto anon_vmas = frames.template alive<AnonVma>();
  const auto chains = frames.template alive<AnonVmaChain>();
  // Two chains of the child's and, for the grandchild's own, an anon_vma and a chain.
  for (std::uint32_t nth = 1; nth <= 4; ++nth) {
    const Ref<Vma> grandchild = this->vma(4, 8);
    frames.injector().arm(nth);
    ForkedAnonVma last;
    EXPECT_EQ(anon_vma_fork(frames, grandchild, child, TakeOver::kAllowed, last).error(), Errno::kNoMemory) << nth;
    EXPECT_FALSE(this->at(grandchild).anon_vma || this->at(grandchild).chain);
    EXPECT_EQ(frames.template alive<AnonVma>(), anon_vmas);
    EXPECT_EQ(frames.template alive<AnonVmaChain>(), chains);
    frames.destroy(grandchild);
  }
}

TYPED_TEST(AnonRmapTest, WhatWasSplitBeforeForkHasOneAnonVmaAfterIt) {
  auto& frames = this->frames_;
  const Ref<Vma> low = this->vma(2, 4);
  const Ref<Vma> high = this->vma(4, 8);
  const Ref<Vma> other = this->vma(8, 9);
  ASSERT_TRUE(anon_vma_prepare(frames, low).ok());
  ASSERT_TRUE(anon_vma_clone(frames, high, low).ok());
  ASSERT_TRUE(anon_vma_prepare(frames, other).ok());
  ForkedAnonVma last;
  std::vector<Ref<Vma>> children;
  for (const Ref<Vma> parent : {low, high, other}) {
    children.push_back(this->vma(this->at(parent).pages.begin.value(), this->at(parent).pages.end.value()));
    this->fork(children.back(), parent, last);
    EXPECT_EQ(this->chains_of(children.back()), 2u);
  }
  EXPECT_EQ(this->at(children[0]).anon_vma, this->at(children[1]).anon_vma);
  EXPECT_NE(this->at(children[1]).anon_vma, this->at(children[2]).anon_vma);
  EXPECT_NE(this->at(children[0]).anon_vma, this->at(low).anon_vma);
  EXPECT_EQ(this->walk(this->page_of(children[1], 5)), (Places{{children[1].unit, 5}}));
  this->drop(children[0]);
  this->drop(children[1]);
  ForkedAnonVma again;
  std::vector<Ref<Vma>> later = {this->vma(2, 4), this->vma(4, 8)};
  this->fork(later[0], low, again);
  this->fork(later[1], high, again);
  EXPECT_EQ(this->at(later[0]).anon_vma, this->at(later[1]).anon_vma);
  for (const Ref<Vma> gone : {low, high, other, children[2], later[0], later[1]}) this->drop(gone);
  this->expect_nothing_left();
}

TYPED_TEST(AnonRmapTest, ALongLineOfDescendantsDoesNotGrowTheChains) {
  Ref<Vma> last = this->vma(4, 8);
  ASSERT_TRUE(anon_vma_prepare(this->frames_, last).ok());
  const Ref<Vma> first = last;
  const FrameNumber old = this->page_of(first, 5);
  for (int generation = 0; generation < 200; ++generation) {
    const Ref<Vma> next = this->child_of(last);
    EXPECT_EQ(this->walk(old).size(), 2u) << "the old page is looked for in both";
    this->drop(last);
    last = next;
    ASSERT_LE(this->chains_of(last), 4u) << "in generation " << generation;
    ASSERT_EQ(this->walk(this->page_of(last, 6)).size(), 1u);
    ASSERT_EQ(this->walk(old), (Places{{last.unit, 5}}));
  }
  this->drop(last);
  this->expect_nothing_left();
}

TYPED_TEST(AnonRmapTest, RandomFamiliesFindEveryPlaceAPageMayBe) {
  auto& frames = this->frames_;
  std::mt19937 random(6);
  struct Page {
    FrameNumber frame;
    /// Where it is mapped: the VMA of its birth and the heirs of that.
    std::vector<Ref<Vma>> mapped;
  };
  std::vector<Ref<Vma>> vmas = {this->vma(4, 8)};
  ASSERT_TRUE(anon_vma_prepare(frames, vmas[0]).ok());
  std::vector<Page> pages;
  for (int step = 0; step < 3000; ++step) {
    const Ref<Vma> some = vmas[random() % vmas.size()];
    switch (random() % 3) {
      case 0:
        if (vmas.size() < 8) {
          const Ref<Vma> child = this->child_of(some);
          for (Page& page : pages) {
            if (std::find(page.mapped.begin(), page.mapped.end(), some) != page.mapped.end()) {
              page.mapped.push_back(child);
            }
          }
          vmas.push_back(child);
        }
        break;
      case 1:
        if (vmas.size() > 1) {
          for (Page& page : pages) std::erase(page.mapped, some);
          for (const Page& page : pages) {
            if (page.mapped.empty()) frames.free(page.frame);
          }
          std::erase_if(pages, [](const Page& page) { return page.mapped.empty(); });
          this->drop(some);
          std::erase(vmas, some);
        }
        break;
      default:
        if (pages.size() < 20) pages.push_back({this->page_of(some, 4 + random() % 4), {some}});
    }
    for (const Page& page : pages) {
      const auto found = this->walk(page.frame);
      for (const Ref<Vma> vma : page.mapped) {
        const auto place = std::pair(vma.unit, frames.descriptor(page.frame).index().value());
        ASSERT_TRUE(std::binary_search(found.begin(), found.end(), place)) << "step " << step;
      }
    }
  }
  for (const Ref<Vma> vma : vmas) this->drop(vma);
  this->expect_nothing_left();
}

}  // namespace
}  // namespace cowherd
