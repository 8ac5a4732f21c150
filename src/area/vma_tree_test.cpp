#include "area/vma_tree.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

namespace cowherd {
namespace {

/// VMAs in an array, so that the tree is tried without RAM behind it.
class VmaTreeTest : public testing::Test {
 protected:
  static constexpr std::size_t kSlots = 200;
  struct alignas(64) Slot {
    Vma vma;
  };
  static constexpr std::size_t kUnits = sizeof(Slot) / kObjectUnit;

  VmaTreeTest() : objects_(kSlots + 1) {
    for (std::uint32_t slot = kSlots; slot > 0; --slot) free_.push_back(slot);
  }

  VmaTree tree() { return tree_of(root_); }
  ObjectSpace space() { return ObjectSpace{reinterpret_cast<std::byte*>(objects_.data())}; }
  VmaTree tree_of(Ref<Vma>& root) { return VmaTree(space(), root); }

  Ref<Vma> make(std::uint64_t begin, std::uint64_t end) {
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    objects_[slot].vma = Vma{};
    objects_[slot].vma.pages = {Vpn{begin}, Vpn{end}};
    return Ref<Vma>{static_cast<std::uint32_t>(slot * kUnits)};
  }
  Ref<Vma> add(std::uint64_t begin, std::uint64_t end) {
    const Ref<Vma> vma = make(begin, end);
    tree().insert(vma);
    return vma;
  }
  Vma& at(Ref<Vma> ref) { return objects_[ref.unit / kUnits].vma; }

  std::vector<std::uint64_t> begins() {
    std::vector<std::uint64_t> found;
    for (Ref<Vma> vma = tree().first(); vma; vma = tree().next(vma)) found.push_back(at(vma).pages.begin.value());
    return found;
  }

  /// The shape: begins in preorder, zero for nothing.
  void shape(Ref<Vma> node, std::vector<std::uint64_t>& text) {
    text.push_back(node ? at(node).pages.begin.value() : ~std::uint64_t{0});
    if (node) {
      shape(at(node).left, text);
      shape(at(node).right, text);
    }
  }
  unsigned depth(Ref<Vma> node) { return node ? 1 + std::max(depth(at(node).left), depth(at(node).right)) : 0; }

  std::vector<Slot> objects_;
  std::vector<std::uint32_t> free_;
  Ref<Vma> root_;
};

TEST_F(VmaTreeTest, AnEmptyTreeFindsNothing) {
  EXPECT_FALSE(tree().find(Vpn{0}));
  EXPECT_FALSE(tree().at(Vpn{0}));
  EXPECT_FALSE(tree().before(Vpn{100}));
  EXPECT_FALSE(tree().first());
  EXPECT_EQ(tree().find_hole(PageCount{3}, Vpn{5}, Vpn{100}), Vpn{5});
}

TEST_F(VmaTreeTest, FindLooksAtEndsAndAtAtBoth) {
  const Ref<Vma> low = add(10, 20);
  const Ref<Vma> high = add(20, 30);
  struct Case {
    std::uint64_t page;
    Ref<Vma> find;
    Ref<Vma> at;
    Ref<Vma> before;
  };
  const Case cases[] = {{0, low, {}, {}},      {9, low, {}, {}},      {10, low, low, {}}, {19, low, low, {}},
                        {20, high, high, low}, {29, high, high, low}, {30, {}, {}, high}, {99, {}, {}, high}};
  for (const Case& c : cases) {
    EXPECT_EQ(tree().find(Vpn{c.page}), c.find) << c.page;
    EXPECT_EQ(tree().at(Vpn{c.page}), c.at) << c.page;
    EXPECT_EQ(tree().before(Vpn{c.page}), c.before) << c.page;
  }
}

TEST_F(VmaTreeTest, TheLowestHoleThatIsLargeEnough) {
  add(10, 20);
  add(22, 30);
  add(40, 50);
  struct Case {
    std::uint64_t count, from, end, hole;
  };
  const Case cases[] = {{5, 0, 100, 0},    {10, 0, 100, 0},    {11, 0, 100, 50},  {2, 5, 100, 5},    {6, 5, 100, 30},
                        {2, 10, 100, 20},  {3, 10, 100, 30},   {10, 10, 100, 30}, {11, 10, 100, 50}, {2, 15, 100, 20},
                        {50, 10, 100, 50}, {51, 10, 100, 100}, {3, 42, 53, 50},   {4, 42, 53, 53}};
  for (const Case& c : cases) {
    EXPECT_EQ(tree().find_hole(PageCount{c.count}, Vpn{c.from}, Vpn{c.end}), Vpn{c.hole})
        << c.count << " pages in [" << c.from << ", " << c.end << ")";
  }
}

TEST_F(VmaTreeTest, TheShapeDependsOnWhatItHoldsAndNotOnTheWayThere) {
  std::vector<std::uint64_t> starts(40);
  for (std::size_t i = 0; i < starts.size(); ++i) starts[i] = i * 10;
  std::mt19937 random(4);
  std::vector<std::uint64_t> first;
  for (int round = 0; round < 20; ++round) {
    std::shuffle(starts.begin(), starts.end(), random);
    Ref<Vma> root;
    std::vector<Ref<Vma>> made;
    for (const std::uint64_t start : starts) {
      made.push_back(make(start, start + 5));
      tree_of(root).insert(made.back());
      if (random() % 3 == 0) {
        const Ref<Vma> detour = make(start + 5, start + 6);
        tree_of(root).insert(detour);
        tree_of(root).erase(detour);
        free_.push_back(static_cast<std::uint32_t>(detour.unit / kUnits));
      }
    }
    std::vector<std::uint64_t> now;
    shape(root, now);
    if (first.empty()) first = now;
    ASSERT_EQ(now, first);
    for (const Ref<Vma> ref : made) free_.push_back(static_cast<std::uint32_t>(ref.unit / kUnits));
  }
}

TEST_F(VmaTreeTest, StaysShallowWhenFilledInOrder) {
  for (std::uint64_t i = 0; i < kSlots; ++i) add(i, i + 1);
  EXPECT_LE(depth(root_), 24u);
  EXPECT_EQ(begins().size(), kSlots);
}

TEST_F(VmaTreeTest, AWalkMeetsEveryVmaInOrder) {
  std::mt19937 random(6);
  std::vector<std::uint64_t> starts(kSlots);
  for (std::size_t i = 0; i < starts.size(); ++i) starts[i] = i * 3 + random() % 3;
  std::vector<std::uint64_t> shuffled = starts;
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  for (const bool remembers : {false, true}) EXPECT_FALSE(VmaWalk(tree(), remembers).next());
  for (const std::uint64_t start : shuffled) add(start, start + 1);
  for (const bool remembers : {false, true}) {
    std::vector<std::uint64_t> met;
    VmaWalk walk(tree(), remembers);
    while (const Ref<Vma> vma = walk.next()) met.push_back(at(vma).pages.begin.value());
    EXPECT_EQ(met, starts);
  }
}

TEST_F(VmaTreeTest, ATreeBuiltInOrderIsTheSame) {
  std::mt19937 random(7);
  for (const std::size_t count : {0u, 1u, 2u, 3u, 50u, 90u}) {
    Ref<Vma> inserted;
    Ref<Vma> built;
    VmaTreeBuilder::Edge edge;
    std::vector<Ref<Vma>> made;
    std::uint64_t begin = 0;
    for (std::size_t i = 0; i < count; ++i) {
      begin += random() % 5;
      const std::uint64_t end = begin + 1 + random() % 4;
      made.push_back(make(begin, end));
      tree_of(inserted).insert(made.back());
      made.push_back(make(begin, end));
      VmaTreeBuilder(space(), edge).append(made.back());
      begin = end;
    }
    VmaTreeBuilder(space(), edge).finish(built);
    EXPECT_EQ(edge.lowest, Ref<Vma>{});
    std::vector<std::uint64_t> expected;
    std::vector<std::uint64_t> is;
    shape(inserted, expected);
    shape(built, is);
    EXPECT_EQ(is, expected);
    for (std::uint64_t pages = 1; pages < 6; ++pages) {
      EXPECT_EQ(tree_of(built).find_hole(PageCount{pages}, Vpn{7}, Vpn{1000}),
                tree_of(inserted).find_hole(PageCount{pages}, Vpn{7}, Vpn{1000}));
    }
    for (const Ref<Vma> ref : made) free_.push_back(static_cast<std::uint32_t>(ref.unit / kUnits));
  }
}

TEST_F(VmaTreeTest, TakenVmasAreAListAndTheRestIsATree) {
  std::mt19937 random(8);
  for (int round = 0; round < 50; ++round) {
    Ref<Vma> root;
    Ref<Vma> expected;
    std::vector<Ref<Vma>> made;
    std::vector<std::uint64_t> inside;
    const std::uint64_t low = random() % 60 * 5;
    const std::uint64_t high = low + random() % 60 * 5;
    for (std::uint64_t begin = 0; begin < 300; begin += 5) {
      made.push_back(make(begin, begin + 4));
      tree_of(root).insert(made.back());
      if (begin >= low && begin < high) {
        inside.push_back(begin);
      } else {
        made.push_back(make(begin, begin + 4));
        tree_of(expected).insert(made.back());
      }
    }
    std::vector<std::uint64_t> taken;
    for (Ref<Vma> vma = tree_of(root).take({Vpn{low}, Vpn{high}}); vma; vma = at(vma).right) {
      EXPECT_FALSE(at(vma).left);
      taken.push_back(at(vma).pages.begin.value());
    }
    EXPECT_EQ(taken, inside);
    std::vector<std::uint64_t> left;
    std::vector<std::uint64_t> should;
    shape(root, left);
    shape(expected, should);
    EXPECT_EQ(left, should);
    EXPECT_EQ(tree_of(root).find_hole(PageCount{2}, Vpn{0}, Vpn{1000}),
              tree_of(expected).find_hole(PageCount{2}, Vpn{0}, Vpn{1000}));
    for (const Ref<Vma> ref : made) free_.push_back(static_cast<std::uint32_t>(ref.unit / kUnits));
  }
}

TEST_F(VmaTreeTest, RandomChangesAgreeWithAMap) {
  std::mt19937 random(5);
  std::map<std::uint64_t, std::uint64_t> model;  // begin -> end
  constexpr std::uint64_t kEnd = 400;
  for (int step = 0; step < 6000; ++step) {
    const std::uint64_t begin = random() % kEnd;
    const std::uint64_t end = begin + 1 + random() % 8;
    const auto after = model.lower_bound(begin);
    const bool free =
        (after == model.end() || after->first >= end) && (after == model.begin() || std::prev(after)->second <= begin);
    if (free && !free_.empty()) {
      add(begin, end);
      model[begin] = end;
    } else if (const auto grown = model.find(begin); grown != model.end() && step % 3 == 0) {
      const std::uint64_t most = std::next(grown) == model.end() ? kEnd + 10 : std::next(grown)->first;
      grown->second = std::min(end, most);
      tree().set_end(tree().at(Vpn{begin}), Vpn{grown->second});
    } else if (const auto hit = model.find(begin); hit != model.end()) {
      const Ref<Vma> gone = tree().at(Vpn{begin});
      ASSERT_TRUE(gone);
      tree().erase(gone);
      EXPECT_FALSE(at(gone).left || at(gone).right);
      free_.push_back(static_cast<std::uint32_t>(gone.unit / kUnits));
      model.erase(hit);
    }
    const std::uint64_t page = random() % kEnd;
    auto expected = std::find_if(model.begin(), model.end(), [&](const auto& vma) { return vma.second > page; });
    const Ref<Vma> found = tree().find(Vpn{page});
    ASSERT_EQ(bool{found}, expected != model.end());
    if (found) {
      ASSERT_EQ(at(found).pages, (PageRange{Vpn{expected->first}, Vpn{expected->second}}));
    }
    const std::uint64_t count = 1 + random() % 6;
    std::uint64_t hole = page;
    for (const auto& [low, high] : model) {
      if (high > hole && low < hole + count) hole = high;
    }
    ASSERT_EQ(tree().find_hole(PageCount{count}, Vpn{page}, Vpn{kEnd}).value(), hole + count <= kEnd ? hole : kEnd);
  }
  std::vector<std::uint64_t> expected;
  for (const auto& [begin, end] : model) expected.push_back(begin);
  EXPECT_EQ(begins(), expected);
}

}  // namespace
}  // namespace cowherd
