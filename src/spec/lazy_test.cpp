#include <gtest/gtest.h>

#include <vector>

#include "spec/spec.hpp"

namespace cowherd::spec {
namespace {

/// One space with one page whose words hold 1 and 2.
class LazyPage : public testing::Test {
 protected:
  LazyPage() : space_(spec_.create_space()) {
    (void)spec_.mmap(space_, 0, 1, Protection::kReadWrite, MapFlags::kFixed, {});
    write(0, 1);
    write(1, 2);
  }

  void write(std::uint8_t word, std::int64_t value) { EXPECT_TRUE(spec_.write(space_, 0, word, value, {}).ok()); }
  void free() { EXPECT_TRUE(spec_.madvise(space_, 0, 1, Advice::kFree, {}).ok()); }
  bool reads(std::uint8_t word, std::int64_t value) { return spec_.read(space_, 0, word, {.value = value}).ok(); }
  std::vector<std::byte> bytes() { return {spec_.bytes().begin(), spec_.bytes().end()}; }

  Spec spec_;
  SpaceId space_;
};

TEST_F(LazyPage, ReadsWhatItHoldsUntilItIsLost) {
  free();
  EXPECT_TRUE(reads(0, 1));
  EXPECT_TRUE(reads(1, 2));
  EXPECT_TRUE(reads(0, 0));
  // Lost once, lost for good, and all of it.
  EXPECT_FALSE(reads(0, 1));
  EXPECT_FALSE(reads(1, 2));
  EXPECT_TRUE(reads(1, 0));
}

TEST_F(LazyPage, HoldsNothingElse) {
  free();
  EXPECT_FALSE(reads(0, 2));
  EXPECT_FALSE(reads(2, 7));
  const Judgement judgement = spec_.read(space_, 0, 0, {.value = 9});
  EXPECT_EQ(judgement.allowed_count, 2);
}

TEST_F(LazyPage, AWriteEndsIt) {
  free();
  write(0, 5);
  EXPECT_TRUE(reads(0, 5));
  EXPECT_FALSE(reads(0, 0));
  // Whether the other word was lost before is seen by who looks, and stays so.
  EXPECT_TRUE(reads(1, 2));
  EXPECT_FALSE(reads(1, 0));
}

TEST_F(LazyPage, AWriteMayHaveComeTooLate) {
  free();
  write(0, 5);
  EXPECT_TRUE(reads(1, 0));
  EXPECT_FALSE(reads(1, 2));
  EXPECT_TRUE(reads(0, 5));
}

TEST_F(LazyPage, AChildMayLoseItAlone) {
  free();
  const SpaceId child = spec_.fork(space_);
  EXPECT_TRUE(spec_.read(child, 0, 0, {.value = 0}).ok());
  EXPECT_TRUE(reads(0, 1));
  write(1, 9);
  EXPECT_FALSE(reads(0, 7));
  EXPECT_TRUE(spec_.read(child, 0, 1, {.value = 0}).ok());
}

TEST_F(LazyPage, ADevicesWriteEndsItToo) {
  free();
  SpecPinId pin;
  EXPECT_TRUE(spec_.pin(space_, 0, 1, PinFlags::kWrite, {.value = 1}, pin).ok());
  EXPECT_TRUE(spec_.dma_write(pin, 0, 0, 6, {}).ok());
  EXPECT_TRUE(reads(0, 6));
  EXPECT_FALSE(reads(0, 0));
  EXPECT_TRUE(spec_.dma_read(pin, 0, 1, {.value = 0}).ok());
  EXPECT_FALSE(reads(1, 2));
}

TEST_F(LazyPage, AShortReaderMaySeeThatItWasLost) {
  free();
  SpecPinId pin;
  EXPECT_TRUE(spec_.pin(space_, 0, 1, PinFlags::kNone, {.value = 1}, pin).ok());
  write(0, 4);
  EXPECT_TRUE(spec_.dma_read(pin, 0, 0, {.value = 0}).ok());
  EXPECT_TRUE(spec_.dma_read(pin, 0, 0, {.value = 1}).ok());
  EXPECT_TRUE(spec_.dma_read(pin, 0, 0, {.value = 4}).ok());
  EXPECT_FALSE(spec_.dma_read(pin, 0, 0, {.value = 3}).ok());
}

TEST_F(LazyPage, ADiscardedPageKeepsTheDoubt) {
  free();
  SpecPinId pin;
  EXPECT_TRUE(spec_.pin(space_, 0, 1, PinFlags::kLongTerm, {.value = 1}, pin).ok());
  EXPECT_TRUE(spec_.munmap(space_, 0, 1, {}).ok());
  const std::vector<std::byte> before = bytes();
  EXPECT_TRUE(spec_.dma_read(pin, 0, 0, {.value = 0}).ok());
  EXPECT_FALSE(spec_.dma_read(pin, 0, 1, {.value = 2}).ok());
  spec_.assign(before);
  EXPECT_TRUE(spec_.dma_read(pin, 0, 0, {.value = 1}).ok());
  EXPECT_FALSE(spec_.dma_read(pin, 0, 0, {.value = 0}).ok());
}

TEST_F(LazyPage, PacksAndUnpacks) {
  const std::vector<std::byte> whole = bytes();
  free();
  const std::vector<std::byte> freed = bytes();
  EXPECT_NE(whole, freed);
  EXPECT_TRUE(reads(0, 0));
  const std::vector<std::byte> lost = bytes();
  spec_.assign(freed);
  EXPECT_EQ(bytes(), freed);
  EXPECT_TRUE(reads(0, 1));
  write(1, 8);
  spec_.assign(lost);
  EXPECT_FALSE(reads(0, 1));
}

TEST_F(LazyPage, ColdAndPageoutChangeNothing) {
  const std::vector<std::byte> before = bytes();
  EXPECT_TRUE(spec_.madvise(space_, 0, 1, Advice::kCold, {}).ok());
  EXPECT_TRUE(spec_.madvise(space_, 0, 1, Advice::kPageOut, {}).ok());
  EXPECT_EQ(bytes(), before);
  EXPECT_EQ(spec_.madvise(space_, 1, 1, Advice::kFree, {}).expected_error, Errno::kNoMemory);
}

}  // namespace
}  // namespace cowherd::spec
