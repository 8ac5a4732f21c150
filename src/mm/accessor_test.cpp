#include "cowherd/accessor.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/geometry.hpp"
#include "mm/test_must.hpp"
#include "table/accessor_slots.hpp"

namespace cowherd {
namespace {

template <class T>
Errno error_of(const Result<T>& result) {
  return result ? Errno{0} : result.error();
}

/// A machine with one address space of kPages pages and an accessor of it.
class AccessorTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kPages = 600;

  [[nodiscard]] Vaddr page(std::uint64_t number) const { return base_ + ByteCount{number * kPageBytes}; }
  [[nodiscard]] std::string problem() const {
    const char* found = machine_.verify();
    return found == nullptr ? "" : found;
  }
  int get(Vaddr at) { return must(accessor_.load<int>(at)); }
  Errno put(Vaddr at, int value) { return error_of(accessor_.store(at, value)); }

  Machine machine_ = must(Machine::create(ByteCount{16 << 20}));
  AddressSpace space_ = must(machine_.create_space());
  Vaddr base_ = must(space_.map(ByteCount{kPages * kPageBytes}));
  Accessor accessor_ = must(space_.accessor());
};

TEST_F(AccessorTest, LoadsWhatWasStoredInEverySizeAndAtEveryOffset) {
  const auto check = [&]<class T>(T value) {
    for (std::uint64_t offset = 0; offset < 2 * sizeof(T); ++offset) {
      const Vaddr at = page(3) + ByteCount{kPageBytes - sizeof(T) + offset};
      ASSERT_EQ(error_of(accessor_.store(at, value)), Errno{0});
      EXPECT_EQ(must(accessor_.load<T>(at)), value) << sizeof(T) << " bytes at " << offset;
      T seen{};
      ASSERT_TRUE(space_.read(at, std::as_writable_bytes(std::span(&seen, 1))).ok());
      EXPECT_EQ(seen, value);
      value = static_cast<T>(value + 1);
    }
  };
  check(std::uint8_t{0xA1});
  check(std::int16_t{-77});
  check(3.5f);
  check(std::uint64_t{0x1122334455667788});
}

TEST_F(AccessorTest, MovesManyBytesAcrossMorePagesThanItRemembers) {
  std::vector<std::byte> sent((kPages - 1) * kPageBytes);
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 7 + i / kPageBytes);
  ASSERT_EQ(error_of(accessor_.write(base_ + ByteCount{100}, sent)), Errno{0});
  std::vector<std::byte> got(sent.size());
  ASSERT_EQ(error_of(space_.read(base_ + ByteCount{100}, got)), Errno{0});
  EXPECT_EQ(got, sent);
  got.assign(sent.size(), std::byte{0});
  ASSERT_EQ(error_of(accessor_.read(base_ + ByteCount{100}, got)), Errno{0});
  EXPECT_EQ(got, sent);
  for (std::uint64_t i = 0; i < kPages - 1; ++i) {
    EXPECT_EQ(must(accessor_.load<std::byte>(page(i) + ByteCount{100})), sent[i * kPageBytes]);
  }
  EXPECT_EQ(problem(), "");
}

TEST_F(AccessorTest, ErrorsAreThoseOfReadAndWrite) {
  EXPECT_EQ(error_of(accessor_.load<int>(page(kPages))), Errno::kSigSegv);
  std::vector<std::byte> bytes(2 * kPageBytes);
  EXPECT_EQ(error_of(accessor_.write(page(kPages - 1), bytes)), Errno::kSigSegv);
  for (const std::uint64_t outside : {std::uint64_t{1} << 47, std::uint64_t{1} << 63, ~std::uint64_t{7}}) {
    EXPECT_EQ(error_of(accessor_.load<int>(Vaddr{outside})), Errno::kSigSegv);
    EXPECT_EQ(put(Vaddr{outside}, 1), Errno::kSigSegv);
  }
  ASSERT_EQ(put(page(0), 1), Errno{0});
  for (const unsigned bit : {47u, 48u, 62u, 63u}) {
    EXPECT_EQ(put(Vaddr{page(0).value() | std::uint64_t{1} << bit}, 2), Errno::kSigSegv) << "no address is an alias";
  }
  EXPECT_EQ(get(page(0)), 1);
  ASSERT_TRUE(space_.protect(page(1), ByteCount{kPageBytes}, Protection::kRead).ok());
  EXPECT_EQ(get(page(1)), 0);
  EXPECT_EQ(put(page(1), 1), Errno::kSigSegv);
  EXPECT_EQ(get(page(1)), 0) << "it goes on after an error";
}

TEST_F(AccessorTest, WithoutMemoryAStoreIsABusError) {
  Machine small = must(Machine::create(ByteCount{1 << 20}));
  AddressSpace space = must(small.create_space());
  const Vaddr at = must(space.map(ByteCount{1024 * kPageBytes}));
  Accessor accessor = must(space.accessor());
  std::uint64_t filled = 0;
  while (accessor.store(at + ByteCount{filled * kPageBytes}, filled)) ++filled;
  EXPECT_EQ(error_of(accessor.store(at + ByteCount{filled * kPageBytes}, 1)), Errno::kSigBus);
  ASSERT_LT(filled, 256u);
  for (std::uint64_t i = 0; i < filled; ++i) {
    EXPECT_EQ(must(accessor.load<std::uint64_t>(at + ByteCount{i * kPageBytes})), i);
  }
}

/// Everything that takes a page or a permission away is heeded by the very next access.
TEST_F(AccessorTest, ForgetsWhatWasTakenAway) {
  for (std::uint64_t i = 0; i < 8; ++i) ASSERT_EQ(put(page(i), static_cast<int>(i) + 1), Errno{0});
  ASSERT_TRUE(space_.protect(page(0), ByteCount{kPageBytes}, Protection::kRead).ok());
  EXPECT_EQ(put(page(0), 9), Errno::kSigSegv);
  EXPECT_EQ(get(page(0)), 1);
  ASSERT_TRUE(space_.protect(page(0), ByteCount{kPageBytes}, Protection::kNone).ok());
  EXPECT_EQ(error_of(accessor_.load<int>(page(0))), Errno::kSigSegv);

  ASSERT_TRUE(space_.advise(page(1), ByteCount{kPageBytes}, Advice::kDontNeed).ok());
  EXPECT_EQ(get(page(1)), 0);
  EXPECT_EQ(put(page(1), 5), Errno{0}) << "the zero page is remembered for loads only";
  EXPECT_EQ(get(page(1)), 5);

  ASSERT_TRUE(space_.unmap(page(2), ByteCount{kPageBytes}).ok());
  EXPECT_EQ(error_of(accessor_.load<int>(page(2))), Errno::kSigSegv);
  EXPECT_EQ(put(page(2), 5), Errno::kSigSegv);

  AddressSpace child = must(space_.fork());
  Accessor other = must(child.accessor());
  EXPECT_EQ(must(other.load<int>(page(3))), 4);
  EXPECT_EQ(put(page(3), 6), Errno{0});
  EXPECT_EQ(must(other.load<int>(page(3))), 4) << "the child's page is not the parent's";
  EXPECT_EQ(error_of(other.store(page(3), 7)), Errno{0});
  EXPECT_EQ(get(page(3)), 6);
  EXPECT_EQ(problem(), "");
}

TEST_F(AccessorTest, AWriteOfAnotherThatCopiesIsSeen) {
  ASSERT_EQ(put(page(0), 1), Errno{0});
  const AddressSpace child = must(space_.fork());
  EXPECT_EQ(get(page(0)), 1) << "and remembers the page that both share";
  const int two = 2;
  ASSERT_TRUE(space_.write(page(0), std::as_bytes(std::span(&two, 1))).ok());
  EXPECT_EQ(get(page(0)), 2);
}

TEST_F(AccessorTest, ADeviceAndAnAccessorSeeTheSameBytes) {
  ASSERT_EQ(put(page(0), 1), Errno{0});
  Pin pin = must(space_.pin(page(0), ByteCount{kPageBytes}, kDma));
  const AddressSpace child = must(space_.fork());
  ASSERT_EQ(put(page(0), 2), Errno{0});
  EXPECT_EQ(pin.bytes(PageCount{0})[0], std::byte{2});
  pin.bytes(PageCount{0})[0] = std::byte{3};
  EXPECT_EQ(get(page(0)), 3);
}

/// What is stored through a translation has its entry's dirty bit set, also where a load found it first.
TEST_F(AccessorTest, AStoreSetsTheDirtyBitFirst) {
  ASSERT_EQ(put(page(0), 1), Errno{0});
  { const AddressSpace child = must(space_.fork()); }
  EXPECT_EQ(get(page(0)), 1);
  EXPECT_EQ(put(page(0), 2), Errno{0});
  EXPECT_EQ(get(page(1)), 0);
  EXPECT_EQ(put(page(1), 2), Errno{0});
  EXPECT_EQ(problem(), "") << "verify() wants every mapped page dirty somewhere";
}

TEST_F(AccessorTest, ComparesAndExchanges) {
  int expected = 0;
  EXPECT_TRUE(must(accessor_.compare_exchange(page(0), expected, 5)));
  EXPECT_FALSE(must(accessor_.compare_exchange(page(0), expected, 6)));
  EXPECT_EQ(expected, 5);
  EXPECT_TRUE(must(accessor_.compare_exchange(page(0), expected, 6)));
  EXPECT_EQ(get(page(0)), 6);
  EXPECT_EQ(error_of(accessor_.compare_exchange(page(0) + ByteCount{1}, expected, 6)), Errno::kInvalid);
}

TEST_F(AccessorTest, MovesAndComesBackEmpty) {
  ASSERT_EQ(put(page(0), 1), Errno{0});
  Accessor moved = std::move(accessor_);
  EXPECT_EQ(must(moved.load<int>(page(0))), 1);
  accessor_ = must(space_.accessor());
  EXPECT_EQ(get(page(0)), 1);
  accessor_ = std::move(moved);
  ASSERT_TRUE(space_.unmap(page(0), ByteCount{kPageBytes}).ok());
  EXPECT_EQ(error_of(accessor_.load<int>(page(0))), Errno::kSigSegv);
}

TEST_F(AccessorTest, ThereAreAsManyAsTheMachineHasRoomFor) {
  std::vector<Accessor> more;
  while (true) {
    auto made = space_.accessor();
    if (!made) {
      EXPECT_EQ(made.error(), Errno::kAgain);
      break;
    }
    more.push_back(std::move(*made));
    ASSERT_EQ(error_of(more.back().store(page(more.size()), static_cast<int>(more.size()))), Errno{0});
  }
  EXPECT_EQ(more.size(), AccessorSlots<ProductionGeometry>::kSlots - 1);
  ASSERT_TRUE(space_.advise(base_, ByteCount{kPages * kPageBytes}, Advice::kDontNeed).ok());
  for (std::size_t i = 0; i < more.size(); ++i) EXPECT_EQ(must(more[i].load<int>(page(i + 1))), 0);
  more.clear();
  EXPECT_TRUE(space_.accessor().ok()) << "given back";
}

}  // namespace
}  // namespace cowherd
