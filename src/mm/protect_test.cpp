#include <gtest/gtest.h>

#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

template <class G>
class ProtectTest : public testing::Test {};
TYPED_TEST_SUITE(ProtectTest, Geometries);

TYPED_TEST(ProtectTest, EachProtectionAllowsWhatItSays) {
  struct Case {
    Protection protection;
    int read;
    Errno write;
  };
  const Case cases[] = {{Protection::kNone, minus(Errno::kSigSegv), Errno::kSigSegv},
                        {Protection::kRead, 7, Errno::kSigSegv},
                        {Protection::kWrite, 7, Errno{0}},
                        {Protection::kReadWrite, 7, Errno{0}}};
  for (const Case& c : cases) {
    TestMachine<TypeParam> m;
    const ProcessId p = m.spawn();
    m.map(p, 0, 2);
    ASSERT_EQ(m.put(p, 0, 7), Errno{0});
    ASSERT_EQ(m.protect(p, 0, 2, c.protection), Errno{0});
    EXPECT_EQ(m.get(p, 0), c.read);
    EXPECT_EQ(m.get(p, 1), c.read == 7 ? 0 : c.read) << "a page never touched";
    EXPECT_EQ(m.put(p, 0, 7), c.write);
    EXPECT_EQ(m.put(p, 1, 7), c.write);
    EXPECT_EQ(m.verify(), "");
    ASSERT_EQ(m.protect(p, 0, 2, Protection::kReadWrite), Errno{0});
    EXPECT_EQ(m.get(p, 0), 7) << "the page was there all along";
    EXPECT_EQ(m.put(p, 0, 8), Errno{0});
  }
}

TYPED_TEST(ProtectTest, SplitsAndMerges) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 8);
  for (std::uint64_t page = 0; page < 8; ++page) ASSERT_EQ(m.put(p, page, static_cast<int>(page)), Errno{0});
  ASSERT_EQ(m.protect(p, 2, 3, Protection::kRead), Errno{0});
  EXPECT_EQ(m.areas(p), "0-2rw 2-5r 5-8rw");
  ASSERT_EQ(m.protect(p, 3, 1, Protection::kNone), Errno{0});
  EXPECT_EQ(m.areas(p), "0-2rw 2-3r 3-4 4-5r 5-8rw");
  EXPECT_EQ(m.verify(), "");
  ASSERT_EQ(m.protect(p, 0, 8, Protection::kReadWrite), Errno{0});
  EXPECT_EQ(m.areas(p), "0-8rw");
  for (std::uint64_t page = 0; page < 8; ++page) EXPECT_EQ(m.get(p, page), static_cast<int>(page));
}

TYPED_TEST(ProtectTest, OverAHoleChangesWhatLiesBefore) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  m.map(p, 4, 2);
  EXPECT_EQ(m.protect(p, 0, 6, Protection::kRead), Errno::kNoMemory);
  EXPECT_EQ(m.areas(p), "0-2r 4-6rw");
  EXPECT_EQ(m.protect(p, 10, 1, Protection::kRead), Errno::kNoMemory);
  EXPECT_EQ(m.protect(p, 0, 0, Protection::kRead), Errno::kInvalid);
  EXPECT_EQ(m.error_of(mprotect(*m, p, m.at(0) + ByteCount{1}, m.bytes(1), Protection::kRead)), Errno::kInvalid);
}

TYPED_TEST(ProtectTest, UpgradesAtOnceOnlyWhatIsTheProcessesOwn) {
  for (const ProtectUpgrade upgrade : {ProtectUpgrade::kFaultLater, ProtectUpgrade::kMapWritable}) {
    Rules rules;
    rules.protect_upgrade = upgrade;
    TestMachine<TypeParam> m(rules);
    const ProcessId p = m.spawn();
    m.map(p, 0, 3);
    ASSERT_EQ(m.put(p, 0, 1), Errno{0});
    ASSERT_EQ(m.get(p, 2), 0);
    const ProcessId child = m.fork(p);
    ASSERT_EQ(m.put(p, 1, 2), Errno{0});
    ASSERT_EQ(m.protect(p, 0, 3, Protection::kRead), Errno{0});
    ASSERT_EQ(m.protect(p, 0, 3, Protection::kReadWrite), Errno{0});
    EXPECT_FALSE(m.view(p, 0).entry.writable()) << "shared with the child";
    EXPECT_EQ(m.view(p, 1).entry.writable(), upgrade == ProtectUpgrade::kMapWritable);
    EXPECT_FALSE(m.view(p, 2).entry.writable()) << "the zero page";
    ASSERT_EQ(m.put(p, 0, 9), Errno{0});
    EXPECT_EQ(m.get(child, 0), 1);
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(ProtectTest, APinSurvivesTheRoundTrip) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  const PinId pin = m.pin(p, 0, 1, PinFlags::kWrite | PinFlags::kLongTerm);
  for (const Protection protection : {Protection::kRead, Protection::kNone}) {
    ASSERT_EQ(m.protect(p, 0, 1, protection), Errno{0});
    ASSERT_EQ(m.protect(p, 0, 1, Protection::kReadWrite), Errno{0});
    ASSERT_EQ(m.put(p, 0, 5), Errno{0});
    EXPECT_EQ(m.dma_get(pin), 5);
    ASSERT_EQ(m.dma_put(pin, 6), Errno{0});
    EXPECT_EQ(m.get(p, 0), 6);
  }
}

}  // namespace
}  // namespace cowherd::mm
