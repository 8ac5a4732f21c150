#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

template <class G>
class PinTest : public testing::Test {};
TYPED_TEST_SUITE(PinTest, Geometries);

constexpr PinFlags kRead = PinFlags::kNone;
constexpr PinFlags kWrite = PinFlags::kWrite;
constexpr PinFlags kForce = PinFlags::kForce;
constexpr PinFlags kLong = PinFlags::kLongTerm;
constexpr PinFlags kGet = PinFlags::kGet;

TYPED_TEST(PinTest, TheDeviceAndItsOwnerSeeTheSameBytes) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 20);
  const PinId pin = m.pin(p, 1, 17, kWrite | kLong);
  for (std::uint64_t page = 0; page < 17; ++page) {
    ASSERT_EQ(m.put(p, page + 1, static_cast<int>(page)), Errno{0});
    EXPECT_EQ(m.dma_get(pin, page), static_cast<int>(page));
    ASSERT_EQ(m.dma_put(pin, 100, page), Errno{0});
    EXPECT_EQ(m.get(p, page + 1), 100);
    EXPECT_EQ(pinned_frame(*m, pin, PageCount{page}), m.view(p, page + 1).frame);
  }
  EXPECT_EQ(m.view(p, 1).pins, 1u);
  EXPECT_EQ(m.view(p, 1).references, 2u);
  EXPECT_EQ(m.verify(), "");
  m.unpin(pin, true);
  EXPECT_EQ(m.view(p, 1).pins, 0u);
  EXPECT_EQ(m.view(p, 1).references, 1u);
}

TYPED_TEST(PinTest, ADeviceAccessMayCrossPagesAndNotTheEnd) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  const PinId pin = m.pin(p, 0, 2, kWrite);
  std::vector<std::byte> bytes(m.kPageBytes + 2, std::byte{7});
  const ByteCount last{m.kPageBytes - 1};
  EXPECT_EQ(dma_write(*m, pin, last, std::span(bytes).first(3)).done, ByteCount{3});
  EXPECT_EQ(m.get(p, 1), 7);
  EXPECT_EQ(dma_read(*m, pin, last, std::span(bytes).first(m.kPageBytes + 1)).error, Errno{0});
  EXPECT_EQ(dma_read(*m, pin, last, std::span(bytes).first(m.kPageBytes + 2)).error, Errno::kNoDevice);
  EXPECT_EQ(dma_write(*m, pin, m.bytes(2), std::span(bytes).first(1)).error, Errno::kNoDevice);
  EXPECT_EQ(dma_read(*m, pin, ByteCount{~std::uint64_t{0}}, std::span(bytes).first(1)).error, Errno::kNoDevice);
  EXPECT_EQ(dma_read(*m, pin, m.bytes(2), std::span(bytes).first(0)).error, Errno{0});
}

TYPED_TEST(PinTest, AReferenceForReadingIsNotForWriting) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  const PinId pin = m.pin(p, 0, 1, kRead);
  EXPECT_EQ(m.dma_get(pin), 0);
  EXPECT_EQ(m.dma_put(pin, 1), Errno::kPerm);
}

TYPED_TEST(PinTest, RefusesWhatMakesNoSense) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  constexpr std::uint64_t kEnd = Geometry<TypeParam>::kUserPages;
  EXPECT_EQ(m.try_pin(p, 0, 0, kWrite), Errno::kInvalid);
  EXPECT_EQ(m.try_pin(p, 0, 1, kWrite, 0), Errno::kInvalid);
  EXPECT_EQ(m.try_pin(p, 0, 1, kGet | kLong), Errno::kInvalid);
  EXPECT_EQ(m.try_pin(p, 5, 1, kWrite), Errno::kFault);
  EXPECT_EQ(m.try_pin(p, kEnd, 1, kWrite), Errno::kFault);
  EXPECT_EQ(m.try_pin(p, 0, kEnd + 1, kWrite), Errno::kFault);
  EXPECT_EQ(m.try_pin(p, 1, ~std::uint64_t{0}, kWrite), Errno::kFault);
  EXPECT_EQ(m->frames().template alive<PinRecord<TypeParam>>(), 0u);
}

// FOLL_* against protections, for a page that is there and for one that is not.
TYPED_TEST(PinTest, FlagsAgainstProtections) {
  struct Case {
    PinFlags flags;
    Errno none, read, write, read_write;
  };
  constexpr Errno kOk{0};
  constexpr Errno kNo = Errno::kFault;
  const Case cases[] = {
      {kRead, kNo, kOk, kOk, kOk},
      {kWrite, kNo, kNo, kOk, kOk},
      {kRead | kForce, kOk, kOk, kOk, kOk},
      {kWrite | kForce, kOk, kOk, kOk, kOk},
      {kRead | kLong, kNo, kOk, kOk, kOk},
      {kWrite | kLong, kNo, kNo, kOk, kOk},
      {kWrite | kLong | kForce, kOk, kOk, kOk, kOk},
  };
  for (const Case& c : cases) {
    for (const PinFlags more : {PinFlags::kNone, kGet, PinFlags::kRemote}) {
      if (has(c.flags, kLong) && more == kGet) continue;
      for (const Protection protection :
           {Protection::kNone, Protection::kRead, Protection::kWrite, Protection::kReadWrite}) {
        for (const bool touched : {false, true}) {
          TestMachine<TypeParam> m;
          const ProcessId p = m.spawn();
          m.map(p, 0, 1);
          if (touched) {
            ASSERT_EQ(m.put(p, 0, 3), Errno{0});
          }
          ASSERT_EQ(m.protect(p, 0, 1, protection), Errno{0});
          const Errno expected = protection == Protection::kNone    ? c.none
                                 : protection == Protection::kRead  ? c.read
                                 : protection == Protection::kWrite ? c.write
                                                                    : c.read_write;
          const auto got = pin(*m, p, m.at(0), PageCount{1}, c.flags | more);
          EXPECT_EQ(m.error_of(got), expected)
              << "flags " << static_cast<int>(c.flags | more) << ", protection " << static_cast<int>(protection);
          EXPECT_EQ(m.verify(), "");
          if (got) {
            EXPECT_EQ(m.dma_get(got->id), touched ? 3 : 0);
            if (has(c.flags, kWrite)) {
              EXPECT_EQ(m.dma_put(got->id, 4), Errno{0});
            }
            m.unpin(got->id);
            ASSERT_EQ(m.protect(p, 0, 1, Protection::kReadWrite), Errno{0});
            EXPECT_EQ(m.get(p, 0), has(c.flags, kWrite) ? 4 : touched ? 3 : 0);
          }
        }
      }
    }
  }
}

TYPED_TEST(PinTest, NoFaultTakesOnlyWhatIsThere) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  constexpr PinFlags kNoFault = PinFlags::kNoFault;
  EXPECT_EQ(m.try_pin(p, 0, 1, kNoFault), Errno::kFault) << "never touched";
  ASSERT_EQ(m.get(p, 0), 0);
  EXPECT_EQ(m.try_pin(p, 0, 1, kNoFault), Errno{0}) << "the zero page";
  EXPECT_EQ(m.try_pin(p, 0, 1, kNoFault | kLong), Errno::kFault) << "would have to be replaced";
  EXPECT_EQ(m.try_pin(p, 0, 1, kNoFault | kWrite), Errno::kFault);
  ASSERT_EQ(m.put(p, 1, 1), Errno{0});
  EXPECT_EQ(m.try_pin(p, 1, 1, kNoFault | kWrite | kLong), Errno{0});
  m.fork(p);
  ASSERT_EQ(m.put(p, 2, 1), Errno{0});
  m.fork(p);
  EXPECT_EQ(m.try_pin(p, 2, 1, kNoFault), Errno::kFault) << "shared";
  EXPECT_EQ(m.try_pin(p, 2, 1, kNoFault | kWrite), Errno::kFault) << "write-protected";
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(PinTest, APinThatCannotHaveEverythingHoldsWhatComesBefore) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 9);
  const auto part = pin(*m, p, m.at(0), PageCount{12}, kWrite);
  ASSERT_TRUE(part.ok());
  EXPECT_EQ(part->pages, PageCount{9});
  EXPECT_EQ(m.verify(), "");
  EXPECT_EQ(m.dma_put(part->id, 1, 8), Errno{0});
  EXPECT_EQ(m.dma_put(part->id, 1, 9), Errno::kNoDevice);
  m.unpin(part->id);
  for (std::uint64_t page = 0; page < 9; ++page) EXPECT_EQ(m.view(p, page).pins, 0u);

  ASSERT_EQ(m.protect(p, 7, 1, Protection::kRead), Errno{0});
  const auto seven = pin(*m, p, m.at(0), PageCount{9}, kWrite);
  ASSERT_TRUE(seven.ok());
  EXPECT_EQ(seven->pages, PageCount{7}) << "exactly one full chunk of frames";
  EXPECT_EQ(m.verify(), "");
  m.unpin(seven->id);
}

TYPED_TEST(PinTest, UnpinSaysWhatWasWritten) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const PinId read = m.pin(p, 0, 1, kRead);
  EXPECT_FALSE(m.view(p, 0).dirty);
  m.unpin(read, false);
  EXPECT_FALSE(m.view(p, 0).dirty);
  m.unpin(m.pin(p, 0, 1, kRead), true);
  EXPECT_TRUE(m.view(p, 0).dirty);
  ASSERT_EQ(m.put(p, 1, 1), Errno{0});
  m.pin(p, 1, 1, kWrite);
  EXPECT_TRUE(m.view(p, 1).dirty) << "the holder may write without saying so";
}

TYPED_TEST(PinTest, EachTimeIsAReference) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  const PinId five = m.pin(p, 0, 1, kWrite, 5);
  const PinId two = m.pin(p, 0, 1, kGet, 2);
  EXPECT_EQ(m.view(p, 0).references, 8u);
  EXPECT_EQ(m.view(p, 0).pins, 7u) << "cowherd counts a get like a pin";
  EXPECT_EQ(m.verify(), "");
  m.unpin(five);
  EXPECT_EQ(m.view(p, 0).references, 3u);
  m.unpin(two);
  EXPECT_EQ(m.view(p, 0).references, 1u);
}

TYPED_TEST(PinTest, AReferenceTooManyIsRefusedOrWraps) {
  for (const RefOverflow overflow : {RefOverflow::kRefuse, RefOverflow::kWrap}) {
    Rules rules = find_rules("R14")->rules;
    rules.ref_overflow = overflow;
    TestMachine<TypeParam> m(rules);
    const ProcessId p = m.spawn();
    m.map(p, 0, 1);
    ASSERT_EQ(m.put(p, 0, 1), Errno{0});
    if (overflow == RefOverflow::kRefuse) {
      EXPECT_EQ(m.try_pin(p, 0, 1, kGet, FrameDescriptor::kMaxReferences), Errno::kNoMemory);
      EXPECT_EQ(m.try_pin(p, 0, 1, kRead, FrameDescriptor::kMaxPins + 1), Errno::kNoMemory);
      EXPECT_TRUE(m->frames().shortage());
      EXPECT_EQ(m.try_pin(p, 0, 1, kRead, FrameDescriptor::kMaxPins), Errno{0});
      EXPECT_EQ(m.try_pin(p, 0, 1, kRead), Errno::kNoMemory);
      EXPECT_EQ(m.view(p, 0).pins, FrameDescriptor::kMaxPins);
      EXPECT_EQ(m.verify(), "");
    } else {
      m.expect_broken();
      EXPECT_EQ(m.try_pin(p, 0, 1, kGet, FrameDescriptor::kMaxReferences), Errno{0});
      EXPECT_EQ(m.view(p, 0).references, 0u);
      EXPECT_TRUE(mm::verify(*m).has(Violation::kReferences)) << "the wrap itself is seen";
      m.unmap(p, 0, 1);
      EXPECT_NE(m.verify(), "");
    }
  }
}

TYPED_TEST(PinTest, TheZeroPageIsCountedByRule) {
  for (const ZeroPage counted : {ZeroPage::kCounted, ZeroPage::kUncounted}) {
    Rules rules = find_rules("R13")->rules;
    rules.zero_page = counted;
    TestMachine<TypeParam> m(rules);
    const ProcessId p = m.spawn();
    m.map(p, 0, 1);
    const PinId pin = m.pin(p, 0, 1, kRead);
    EXPECT_EQ(m.view(p, 0).frame, Frames<TypeParam>::kZeroPage);
    EXPECT_EQ(m.view(p, 0).references, counted == ZeroPage::kCounted ? 1u : 0u);
    EXPECT_EQ(m.dma_get(pin), 0);
    EXPECT_EQ(m.verify(), "");
    m.unpin(pin);
    EXPECT_EQ(m.view(p, 0).references, 0u);
  }
}

TYPED_TEST(PinTest, OverlappingPinsAreIndependent) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  const PinId a = m.pin(p, 0, 3, kWrite);
  const PinId b = m.pin(p, 1, 3, kWrite);
  const PinId c = m.pin(p, 2, 1, kWrite);
  EXPECT_EQ(m.view(p, 2).pins, 3u);
  m.unpin(b);
  EXPECT_EQ(m.view(p, 2).pins, 2u);
  EXPECT_EQ(m.verify(), "");
  ASSERT_EQ(m.dma_put(a, 5, 2), Errno{0});
  EXPECT_EQ(m.dma_get(c), 5);
  m.unpin(a);
  EXPECT_EQ(m.dma_get(c), 5);
}

/// More pages than a record and one frame hold the numbers of, over several tables.
TYPED_TEST(PinTest, ALongPinHoldsItsPagesInOrder) {
  constexpr std::uint64_t kPages = PinRecord<TypeParam>::kOwnFrames + PinFrames<TypeParam>::kCapacity + 20;
  for (const PinFlags how : {kWrite, kWrite | PinFlags::kFast}) {
    TestMachine<TypeParam> m(kCowherdRules, 2 * kPages + 40);
    const ProcessId p = m.spawn();
    m.map(p, 0, kPages + 2);
    for (std::uint64_t page = kPages + 1; page-- > 0;) ASSERT_EQ(m.put(p, page, 1), Errno{0});
    // What the fast way does not find in the middle, the slow one fills in.
    ASSERT_EQ(m.advise(p, kPages / 2, 1, Advice::kDontNeed), Errno{0});
    const PinId pin = m.pin(p, 1, kPages, how);
    for (std::uint64_t page = 0; page < kPages; ++page) {
      const PageView view = m.view(p, page + 1);
      ASSERT_EQ(pinned_frame(*m, pin, PageCount{page}), view.frame) << page;
      ASSERT_EQ(view.pins, 1u) << page;
    }
    EXPECT_EQ(m.view(p, 0).pins + m.view(p, kPages + 1).pins, 0u);
    EXPECT_EQ(m.verify(), "");
    m.unpin(pin, true);
    EXPECT_EQ(m.view(p, kPages).references, 1u);
  }
}

TYPED_TEST(PinTest, ThePagesStayTheDevicesWhenTheOwnerDropsThem) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  const PinId pin = m.pin(p, 0, 2, kWrite);
  ASSERT_EQ(m.dma_put(pin, 9), Errno{0});
  ASSERT_EQ(m.advise(p, 0, 1, Advice::kDontNeed), Errno{0});
  m.unmap(p, 1, 1);
  EXPECT_EQ(m.get(p, 0), 0);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  EXPECT_EQ(m.dma_get(pin), 9);
  EXPECT_EQ(m.dma_put(pin, 8, 1), Errno{0});
  m.fork(p);
  EXPECT_EQ(m.verify(), "");
}

}  // namespace
}  // namespace cowherd::mm
