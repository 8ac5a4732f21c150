#include <gtest/gtest.h>

#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

template <class G>
class MapTest : public testing::Test {};
TYPED_TEST_SUITE(MapTest, Geometries);

TYPED_TEST(MapTest, PlacesWithoutAnAddressInTheLowestHole) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  constexpr std::uint64_t kFirst = TypeParam::kFirstMapPage;
  const auto place = [&](std::uint64_t pages) {
    auto placed = mmap(*m, p, Vaddr{0}, m.bytes(pages), Protection::kReadWrite, MapFlags::kNone);
    return placed ? Geometry<TypeParam>::page_of(*placed).value() : ~std::uint64_t{0};
  };
  EXPECT_EQ(place(2), kFirst);
  EXPECT_EQ(place(3), kFirst + 2);
  m.unmap(p, kFirst, 2);
  EXPECT_EQ(place(3), kFirst + 5) << "the hole is too small";
  EXPECT_EQ(place(2), kFirst);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MapTest, AnAddressIsAHintUnlessFixed) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  const auto place = [&](std::uint64_t page, MapFlags flags) {
    auto placed = mmap(*m, p, m.at(page), m.bytes(2), Protection::kReadWrite, flags);
    return placed ? static_cast<int>(Geometry<TypeParam>::page_of(*placed).value()) : minus(placed.error());
  };
  EXPECT_EQ(place(20, MapFlags::kNone), 20);
  EXPECT_EQ(place(21, MapFlags::kFixedNoReplace), minus(Errno::kExist));
  EXPECT_EQ(place(19, MapFlags::kFixedNoReplace), minus(Errno::kExist));
  EXPECT_EQ(place(22, MapFlags::kFixedNoReplace), 22);
  EXPECT_EQ(place(21, MapFlags::kNone), static_cast<int>(TypeParam::kFirstMapPage)) << "taken: elsewhere";
  ASSERT_EQ(m.put(p, 20, 5), Errno{0});
  ASSERT_EQ(m.put(p, 21, 6), Errno{0});
  EXPECT_EQ(place(21, MapFlags::kFixed), 21);
  EXPECT_EQ(m.get(p, 20), 5);
  EXPECT_EQ(m.get(p, 21), 0) << "replaced";
  EXPECT_EQ(m.rss(p), 1u);
}

TYPED_TEST(MapTest, RefusesWhatMakesNoSense) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  constexpr std::uint64_t kEnd = Geometry<TypeParam>::kUserPages;
  struct Case {
    const char* name;
    Vaddr address;
    ByteCount length;
    MapFlags flags;
    Errno error;
  };
  const Case cases[] = {
      {"not aligned", m.at(1) + ByteCount{1}, m.bytes(1), MapFlags::kFixed, Errno::kInvalid},
      {"empty", m.at(1), ByteCount{0}, MapFlags::kFixed, Errno::kInvalid},
      {"beyond the end", m.at(kEnd), m.bytes(1), MapFlags::kFixed, Errno::kInvalid},
      {"over the end", m.at(kEnd - 1), m.bytes(2), MapFlags::kFixed, Errno::kInvalid},
      {"length wraps", m.at(1), ByteCount{~std::uint64_t{0}}, MapFlags::kFixed, Errno::kInvalid},
      {"no hole", Vaddr{0}, m.bytes(kEnd - TypeParam::kFirstMapPage), MapFlags::kNone, Errno::kNoMemory},
  };
  m.map(p, TypeParam::kFirstMapPage, 1);
  for (const Case& c : cases) {
    auto mapped = mmap(*m, p, c.address, c.length, Protection::kReadWrite, c.flags);
    ASSERT_FALSE(mapped.ok()) << c.name;
    EXPECT_EQ(mapped.error(), c.error) << c.name;
  }
  EXPECT_EQ(m.error_of(munmap(*m, p, m.at(1) + ByteCount{1}, m.bytes(1))), Errno::kInvalid);
  EXPECT_EQ(m.error_of(munmap(*m, p, m.at(1), ByteCount{0})), Errno::kInvalid);
  m.map(p, kEnd - 1, 1);
  EXPECT_EQ(m.put(p, kEnd - 1, 1), Errno{0}) << "the last page is a page";
}

TYPED_TEST(MapTest, PopulateFillsAsTheProtectionAllows) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  const MapFlags fill = MapFlags::kFixed | MapFlags::kPopulate;
  m.map(p, 0, 3, Protection::kReadWrite, fill);
  m.map(p, 4, 3, Protection::kRead, fill);
  m.map(p, 8, 3, Protection::kNone, fill);
  EXPECT_EQ(m.rss(p), 3u);
  EXPECT_EQ(m.events.of(EventKind::kZeroFilled), 3);
  EXPECT_EQ(m.events.of(EventKind::kZeroPageMapped), 3);
  EXPECT_TRUE(m.view(p, 2).entry.writable());
  EXPECT_TRUE(m.view(p, 6).entry.present());
  EXPECT_FALSE(m.view(p, 8).entry.present());
  EXPECT_EQ(m.areas(p), "0-3rw 4-7r 8-11");
}

TYPED_TEST(MapTest, AMappingThatCannotBeFilledIsStillAMapping) {
  TestMachine<TypeParam> m(kCowherdRules, TypeParam::kLevels + 12);
  const ProcessId p = m.spawn();
  m.map(p, 0, 32, Protection::kReadWrite, MapFlags::kFixed | MapFlags::kPopulate);
  EXPECT_LT(m.rss(p), 32u);
  EXPECT_EQ(m.areas(p), "0-32rw");
}

TYPED_TEST(MapTest, NeighboursThatAreAlikeBecomeOne) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 4, 2);
  m.map(p, 8, 2);
  EXPECT_EQ(m.areas(p), "4-6rw 8-10rw");
  m.map(p, 6, 2);
  EXPECT_EQ(m.areas(p), "4-10rw");
  m.map(p, 2, 2, Protection::kRead);
  EXPECT_EQ(m.areas(p), "2-4r 4-10rw");
  m.map(p, 6, 1, Protection::kRead);
  EXPECT_EQ(m.areas(p), "2-4r 4-6rw 6-7r 7-10rw");
  m.map(p, 6, 1);
  EXPECT_EQ(m.areas(p), "2-4r 4-10rw");
}

TYPED_TEST(MapTest, PagesSurviveTheMergingOfTheirVmas) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 4, 2);
  m.map(p, 8, 2);
  ASSERT_EQ(m.put(p, 5, 1), Errno{0});
  ASSERT_EQ(m.put(p, 8, 2), Errno{0});
  m.map(p, 6, 2);
  EXPECT_EQ(m.areas(p), "4-8rw 8-10rw") << "two anon_vmas cannot become one";
  EXPECT_EQ(m.get(p, 5), 1);
  EXPECT_EQ(m.get(p, 8), 2);
  EXPECT_EQ(m.verify(), "");
  m.unmap(p, 5, 1);
  m.map(p, 5, 1);
  EXPECT_EQ(m.get(p, 5), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MapTest, ALeftNeighbourWithoutPagesAdoptsTheReverseMap) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 8, 2);
  ASSERT_EQ(m.put(p, 9, 2), Errno{0});
  m.map(p, 6, 2);
  EXPECT_EQ(m.areas(p), "6-10rw");
  ASSERT_EQ(m.put(p, 6, 3), Errno{0});
  EXPECT_EQ(m.get(p, 9), 2);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MapTest, UnmappingCutsAndFreesAndForgivesHoles) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 2, 12);
  for (std::uint64_t page = 2; page < 14; ++page) ASSERT_EQ(m.put(p, page, static_cast<int>(page)), Errno{0});
  m.unmap(p, 5, 2);
  EXPECT_EQ(m.areas(p), "2-5rw 7-14rw");
  EXPECT_EQ(m.rss(p), 10u);
  EXPECT_EQ(m.get(p, 5), minus(Errno::kSigSegv));
  EXPECT_EQ(m.get(p, 7), 7);
  m.unmap(p, 0, 9);
  EXPECT_EQ(m.areas(p), "9-14rw");
  EXPECT_EQ(m.verify(), "");
  m.unmap(p, 0, 20);
  EXPECT_EQ(m.areas(p), "");
  EXPECT_EQ(m.rss(p), 0u);
}

TYPED_TEST(MapTest, TablesGoWithTheirMapping) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  constexpr std::uint64_t kStep = Geometry<TypeParam>::kEntries;
  m.map(p, 0, 4 * kStep);
  const PageCount before = m->frames().free_count();
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const PageCount one = m->frames().free_count();
  ASSERT_EQ(m.put(p, 3 * kStep, 1), Errno{0});
  ASSERT_EQ(m.advise(p, 3 * kStep, 1, Advice::kDontNeed), Errno{0});
  EXPECT_LT(m->frames().free_count(), one) << "the page went, its table stays for the next fault";
  EXPECT_EQ(m.verify(), "");
  m.unmap(p, 3 * kStep, kStep);
  EXPECT_EQ(m->frames().free_count(), one);
  m.unmap(p, 0, 3 * kStep);
  EXPECT_GE(m->frames().free_count(), before) << "with the anon_vma and its chain";
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MapTest, ASparseMappingIsUnmappedInNoTime) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  constexpr std::uint64_t kEnd = Geometry<TypeParam>::kUserPages;
  m.map(p, 0, kEnd);
  for (const std::uint64_t page : {std::uint64_t{1}, kEnd / 2, kEnd - 1}) ASSERT_EQ(m.put(p, page, 1), Errno{0});
  EXPECT_EQ(m.protect(p, 0, kEnd, Protection::kRead), Errno{0});
  EXPECT_EQ(m.get(m.fork(p), kEnd - 1), 1);
  m.unmap(p, 0, kEnd);
  EXPECT_EQ(m.rss(p), 0u);
}

}  // namespace
}  // namespace cowherd::mm
