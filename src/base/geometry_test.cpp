#include "base/geometry.hpp"

#include <gtest/gtest.h>

namespace cowherd {
namespace {

template <class G>
class GeometryTest : public testing::Test {};
using Geometries = testing::Types<ProductionGeometry, CheckedGeometry>;
TYPED_TEST_SUITE(GeometryTest, Geometries);

TYPED_TEST(GeometryTest, AddressesAndPagesConvertBothWays) {
  using Geo = Geometry<TypeParam>;
  for (const std::uint64_t page : {std::uint64_t{0}, std::uint64_t{1}, Geo::kUserPages - 1, Geo::kUserPages}) {
    const Vaddr start = Geo::address_of(Vpn{page});
    EXPECT_TRUE(Geo::is_aligned(start));
    EXPECT_EQ(Geo::page_of(start), Vpn{page});
    const Vaddr last = start + ByteCount{Geo::kPageBytes - 1};
    EXPECT_EQ(Geo::page_of(last), Vpn{page});
    EXPECT_EQ(Geo::offset_of(last), Geo::kPageBytes - 1);
    EXPECT_FALSE(Geo::is_aligned(last));
  }
}

TYPED_TEST(GeometryTest, PagesForRoundsUp) {
  using Geo = Geometry<TypeParam>;
  EXPECT_EQ(Geo::pages_for(ByteCount{0}), PageCount{0});
  EXPECT_EQ(Geo::pages_for(ByteCount{1}), PageCount{1});
  EXPECT_EQ(Geo::pages_for(ByteCount{Geo::kPageBytes}), PageCount{1});
  EXPECT_EQ(Geo::pages_for(ByteCount{Geo::kPageBytes + 1}), PageCount{2});
  EXPECT_EQ(Geo::pages_for(ByteCount{~std::uint64_t{0}}), PageCount{(~std::uint64_t{0} >> TypeParam::kPageShift) + 1});
}

TEST(Geometry, ProductionIsTheLowerHalfOfX86) {
  EXPECT_EQ(Geometry<ProductionGeometry>::kUserPages * 4096, std::uint64_t{1} << 47);
  EXPECT_EQ(Geometry<ProductionGeometry>::kEntries, 512u);
}

TEST(PageRange, IntersectsAndCounts) {
  const auto range = [](std::uint64_t begin, std::uint64_t end) { return PageRange{Vpn{begin}, Vpn{end}}; };
  EXPECT_EQ(intersect(range(2, 8), range(5, 12)), range(5, 8));
  EXPECT_EQ(intersect(range(5, 12), range(2, 8)), range(5, 8));
  EXPECT_TRUE(intersect(range(2, 4), range(4, 8)).empty());
  EXPECT_EQ(intersect(range(2, 3), range(6, 8)).count(), PageCount{0});
  EXPECT_TRUE(range(2, 4).contains(Vpn{2}));
  EXPECT_FALSE(range(2, 4).contains(Vpn{4}));
}

}  // namespace
}  // namespace cowherd
