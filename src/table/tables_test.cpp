#include "table/tables.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace cowherd {
namespace {

template <class G>
class TablesTest : public testing::Test {
 protected:
  static constexpr std::size_t kCount = 128;
  static constexpr std::uint64_t kUserPages = Geometry<G>::kUserPages;
  static constexpr std::uint64_t kEntries = Geometry<G>::kEntries;

  TablesTest() : room_(Frames<G>::footprint(PageCount{kCount}) + 4096), frames_(format()) {
    root_ = *Tables<G>::create(frames_);
  }

  Frames<G> format() {
    std::byte* start = room_.data() + (4096 - reinterpret_cast<std::uintptr_t>(room_.data()) % 4096) % 4096;
    Frames<G>::format(start, PageCount{kCount});
    return Frames<G>(start);
  }

  Tables<G> tables() { return Tables<G>(frames_, root_); }

  void map(std::uint64_t page, std::uint32_t frame) {
    auto slot = tables().obtain(Vpn{page});
    ASSERT_TRUE(slot.ok());
    tables().set(*slot, Entry::of(FrameNumber{frame}));
  }
  void unmap(std::uint64_t page) {
    tables().set(tables().find(Vpn{page}), Entry{});
    tables().prune(Vpn{page}, [](PageRange) {});
  }

  /// Every table's count is right, and none but the root is empty. Returns how many there are.
  unsigned check_counts() {
    unsigned count = 0;
    tables().for_each_table([&](FrameNumber table, unsigned level) {
      ++count;
      std::uint32_t used = 0;
      for (std::size_t i = 0; i < kEntries; ++i) {
        used += reinterpret_cast<const Entry*>(frames_.bytes(table))[i].none() ? 0 : 1;
      }
      EXPECT_EQ(frames_.descriptor(table).mapcount(), used);
      EXPECT_EQ(frames_.descriptor(table).use(), FrameUse::kTable);
      EXPECT_TRUE(used != 0 || level == G::kLevels - 1) << "an empty table at level " << level;
    });
    return count;
  }

  std::vector<std::uint64_t> pages_in(std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint64_t> found;
    tables().for_each({Vpn{begin}, Vpn{end}}, [&](Vpn page, EntrySlot) {
      found.push_back(page.value());
      return true;
    });
    return found;
  }

  std::vector<std::byte> room_;
  Frames<G> frames_;
  FrameNumber root_;
};
using Geometries = testing::Types<ProductionGeometry, CheckedGeometry>;
TYPED_TEST_SUITE(TablesTest, Geometries);

TYPED_TEST(TablesTest, NothingIsThereUntilItIsMade) {
  EXPECT_FALSE(this->tables().find(Vpn{0}));
  EXPECT_TRUE(this->tables().get(Vpn{this->kUserPages - 1}).none());
  EXPECT_EQ(this->check_counts(), 1u);
}

TYPED_TEST(TablesTest, WhatIsSetIsFoundAndOnlyThere) {
  const std::uint64_t pages[] = {0, 1, this->kEntries - 1, this->kEntries, this->kUserPages - 1};
  std::uint32_t frame = 40;
  for (const std::uint64_t page : pages) this->map(page, frame++);
  frame = 40;
  for (const std::uint64_t page : pages) EXPECT_EQ(this->tables().get(Vpn{page}).frame(), FrameNumber{frame++});
  EXPECT_TRUE(this->tables().get(Vpn{2}).none());
  EXPECT_EQ(this->pages_in(0, this->kUserPages), std::vector<std::uint64_t>(std::begin(pages), std::end(pages)));
  this->check_counts();
}

TYPED_TEST(TablesTest, PruneFreesWhatHoldsNothingAndNoMore) {
  const PageCount before = this->frames_.free_count();
  this->map(0, 40);
  const PageCount one = this->frames_.free_count();
  EXPECT_EQ(before - one, PageCount{TypeParam::kLevels - 1});
  this->map(1, 41);
  EXPECT_EQ(this->frames_.free_count(), one) << "neighbours share their tables";
  this->map(this->kEntries, 42);
  EXPECT_EQ(this->frames_.free_count(), one - PageCount{1});
  this->unmap(this->kEntries);
  EXPECT_EQ(this->frames_.free_count(), one);
  this->unmap(0);
  EXPECT_EQ(this->frames_.free_count(), one);
  EXPECT_EQ(this->tables().get(Vpn{1}).frame(), FrameNumber{41});
  this->unmap(1);
  EXPECT_EQ(this->frames_.free_count(), before);
  EXPECT_EQ(this->check_counts(), 1u);
}

TYPED_TEST(TablesTest, PruneWaitsForWalkersOfAllThatTheTableCovered) {
  this->map(this->kEntries + 1, 40);
  this->tables().set(this->tables().find(Vpn{this->kEntries + 1}), Entry{});
  std::vector<PageRange> retired;
  this->tables().prune(Vpn{this->kEntries + 1}, [&](PageRange pages) { retired.push_back(pages); });
  ASSERT_EQ(retired.size(), TypeParam::kLevels - 1);
  EXPECT_EQ(retired[0], (PageRange{Vpn{this->kEntries}, Vpn{2 * this->kEntries}}));
  EXPECT_EQ(retired[1], (PageRange{Vpn{0}, Vpn{this->kEntries * this->kEntries}}));
}

TYPED_TEST(TablesTest, PruneOfWhatIsNotThereDoesNothing) {
  this->map(0, 40);
  const PageCount before = this->frames_.free_count();
  for (const std::uint64_t page : {std::uint64_t{1}, this->kEntries, this->kUserPages - 1}) {
    this->tables().prune(Vpn{page}, [](PageRange) {});
  }
  EXPECT_EQ(this->frames_.free_count(), before);
  EXPECT_EQ(this->tables().get(Vpn{0}).frame(), FrameNumber{40});
}

TYPED_TEST(TablesTest, SettingAnEntryTwiceCountsItOnce) {
  this->map(3, 40);
  this->map(3, 41);
  this->check_counts();
  const EntrySlot slot = this->tables().find(Vpn{3});
  this->tables().set(slot, Entry{});
  this->tables().set(slot, Entry{});
  EXPECT_EQ(this->frames_.descriptor(this->tables().table_of(slot)).mapcount(), 0u);
}

TYPED_TEST(TablesTest, AFailedObtainLeavesNoTableBehind) {
  for (std::uint32_t nth = 1; nth < TypeParam::kLevels; ++nth) {
    const PageCount before = this->frames_.free_count();
    this->frames_.injector().arm(nth);
    EXPECT_EQ(this->tables().obtain(Vpn{0}).error(), Errno::kNoMemory);
    EXPECT_EQ(this->frames_.free_count(), before) << "failing allocation " << nth;
    EXPECT_EQ(this->check_counts(), 1u);
  }
  // With part of the way there, that part stays.
  this->map(0, 40);
  const PageCount before = this->frames_.free_count();
  this->frames_.injector().arm(1);
  EXPECT_FALSE(this->tables().obtain(Vpn{this->kEntries}).ok());
  EXPECT_EQ(this->frames_.free_count(), before);
  EXPECT_EQ(this->tables().get(Vpn{0}).frame(), FrameNumber{40});
  this->check_counts();
}

TYPED_TEST(TablesTest, ForEachKeepsToItsRangeAndStopsWhenTold) {
  const std::uint64_t step = this->kEntries / 2;
  std::vector<std::uint64_t> all;
  for (std::uint64_t i = 0; i < 7; ++i) {
    all.push_back(i * step);
    this->map(i * step, 40);
  }
  EXPECT_EQ(this->pages_in(0, this->kUserPages), all);
  EXPECT_EQ(this->pages_in(step, 3 * step), (std::vector{step, 2 * step}));
  EXPECT_EQ(this->pages_in(step + 1, 3 * step + 1), (std::vector{2 * step, 3 * step}));
  EXPECT_TRUE(this->pages_in(step, step).empty());
  int visits = 0;
  EXPECT_FALSE(this->tables().for_each({Vpn{0}, Vpn{this->kUserPages}}, [&](Vpn, EntrySlot) { return ++visits < 3; }));
  EXPECT_EQ(visits, 3);
}

TYPED_TEST(TablesTest, NextUsedSkipsWhatIsNotThere) {
  const std::uint64_t far = this->kUserPages - this->kEntries;
  const auto next = [&](std::uint64_t from, std::uint64_t end) {
    return this->tables().next_used(Vpn{from}, Vpn{end}).value();
  };
  EXPECT_EQ(next(0, this->kUserPages), this->kUserPages);
  this->map(far + 2, 40);
  EXPECT_EQ(next(0, this->kUserPages), far);
  EXPECT_EQ(next(far, this->kUserPages), far);
  EXPECT_EQ(next(far + 1, this->kUserPages), far + 1) << "a page within a table that exists";
  EXPECT_EQ(next(0, far), far) << "no further than the end";
  EXPECT_EQ(next(5, 5), 5u);
}

TYPED_TEST(TablesTest, RandomEntriesAgreeWithAMap) {
  std::mt19937 random(3);
  std::map<std::uint64_t, std::uint32_t> model;
  const PageCount before = this->frames_.free_count();
  const std::uint64_t stride = this->kEntries / 4;
  const std::uint64_t places = std::min<std::uint64_t>(this->kUserPages / stride, 64);
  for (int step = 0; step < 3000; ++step) {
    const std::uint64_t page = random() % places * stride;
    if (random() % 2 == 0) {
      auto slot = this->tables().obtain(Vpn{page});
      if (!slot) {
        continue;
      }
      const auto frame = static_cast<std::uint32_t>(1 + random() % 100);
      this->tables().set(*slot, Entry::of(FrameNumber{frame}));
      model[page] = frame;
    } else if (model.erase(page) != 0) {
      this->unmap(page);
    }
    if (step % 100 == 0) {
      std::map<std::uint64_t, std::uint32_t> found;
      this->tables().for_each({Vpn{0}, Vpn{this->kUserPages}}, [&](Vpn at, EntrySlot slot) {
        found[at.value()] = slot.load().frame().value();
        return true;
      });
      ASSERT_EQ(found, model);
      this->check_counts();
    }
  }
  while (!model.empty()) {
    this->unmap(model.begin()->first);
    model.erase(model.begin());
  }
  EXPECT_EQ(this->frames_.free_count(), before);
}

}  // namespace
}  // namespace cowherd
