#include "spec/provenance.hpp"

#include <gtest/gtest.h>

namespace cowherd::spec {
namespace {

constexpr SpaceId kP{0};
constexpr SpaceId kC{1};
constexpr SpaceId kQ{2};
constexpr std::uint16_t kAllPages = 0xffff;

TEST(Provenance, ZeroIsEverybodys) {
  Provenance provenance;
  provenance.wrote(kP, 0, Writer::kCpu, 0);
  EXPECT_TRUE(provenance.origin(kC, 0).own);
  EXPECT_FALSE(provenance.origin(kC, 0).foreign);
}

TEST(Provenance, UnknownIsNobodys) {
  const Provenance provenance;
  EXPECT_FALSE(provenance.origin(kP, 5).own);
  EXPECT_FALSE(provenance.origin(kP, 5).foreign);
}

TEST(Provenance, NamesHowAForeignValueWasWritten) {
  for (const Writer writer : {Writer::kCpu, Writer::kForce, Writer::kPin, Writer::kGet}) {
    Provenance provenance;
    provenance.wrote(kP, 3, writer, 5);
    EXPECT_TRUE(provenance.origin(kP, 5).own);
    EXPECT_TRUE(provenance.origin(kC, 5).foreign);
    EXPECT_EQ(provenance.origin(kC, 5).writer, writer);
  }
}

TEST(Provenance, OwnBeatsForeign) {
  Provenance provenance;
  provenance.wrote(kP, 0, Writer::kCpu, 5);
  provenance.wrote(kC, 1, Writer::kGet, 5);
  EXPECT_TRUE(provenance.origin(kP, 5).own);
  EXPECT_TRUE(provenance.origin(kC, 5).own);
  EXPECT_TRUE(provenance.origin(kQ, 5).foreign);
  EXPECT_EQ(provenance.origin(kQ, 5).writer, Writer::kCpu) << "the plainest way comes first";
}

TEST(Provenance, ChildInheritsPagesItGot) {
  Provenance provenance;
  provenance.wrote(kP, 0, Writer::kCpu, 5);
  provenance.wrote(kP, 1, Writer::kCpu, 6);
  provenance.wrote(kP, Provenance::kNoPage, Writer::kPin, 7);
  provenance.inherit(kP, kC, 0b01);
  provenance.wrote(kP, 0, Writer::kCpu, 8);
  EXPECT_TRUE(provenance.origin(kC, 5).own);
  EXPECT_TRUE(provenance.origin(kC, 6).foreign);
  EXPECT_TRUE(provenance.origin(kC, 7).foreign);
  EXPECT_TRUE(provenance.origin(kC, 8).foreign);
  provenance.inherit(kC, kQ, kAllPages);
  EXPECT_TRUE(provenance.origin(kQ, 5).own) << "from the grandparent";
  EXPECT_TRUE(provenance.origin(kQ, 6).foreign);
}

TEST(Provenance, TheRetiredAreForeignToTheirSuccessor) {
  Provenance provenance;
  provenance.wrote(kP, 0, Writer::kCpu, 5);
  provenance.inherit(kP, kC, kAllPages);
  provenance.retire(kP);
  EXPECT_TRUE(provenance.origin(kP, 5).foreign);
  EXPECT_TRUE(provenance.origin(kC, 5).own);
}

}  // namespace
}  // namespace cowherd::spec
