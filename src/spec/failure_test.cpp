#include <gtest/gtest.h>

#include <vector>

#include "spec/spec.hpp"

namespace cowherd::spec {
namespace {

/// A space with two pages whose first words hold 1 and 2, and its child.
class FailedPage : public testing::Test {
 protected:
  FailedPage() : parent_(spec_.create_space()) {
    (void)spec_.mmap(parent_, 0, 2, Protection::kReadWrite, MapFlags::kFixed, {});
    write(parent_, 0, 1);
    write(parent_, 1, 2);
    child_ = spec_.fork(parent_);
  }

  void write(SpaceId space, std::uint8_t page, std::int64_t value) {
    EXPECT_TRUE(spec_.write(space, page, 0, value, {}).ok());
  }
  bool reads(SpaceId space, std::uint8_t page, std::int64_t value) {
    return spec_.read(space, page, 0, {.value = value}).ok();
  }
  bool is_told(SpaceId space, std::uint8_t page) { return spec_.read(space, page, 0, {.error = Errno::kSigBus}).ok(); }
  void fail() { EXPECT_TRUE(spec_.poison(parent_, 0, {}).ok()); }

  Spec spec_;
  SpaceId parent_;
  SpaceId child_;
};

TEST_F(FailedPage, IsABusErrorFromThenOn) {
  EXPECT_FALSE(is_told(parent_, 0));
  fail();
  EXPECT_TRUE(is_told(parent_, 0));
  EXPECT_FALSE(reads(parent_, 0, 1));
  EXPECT_FALSE(spec_.write(parent_, 0, 0, 5, {}).ok());
  EXPECT_TRUE(spec_.write(parent_, 0, 0, 5, {.error = Errno::kSigBus}).ok());
  EXPECT_TRUE(spec_.force_read(parent_, 0, 0, {.error = Errno::kFault}).ok());
  EXPECT_FALSE(spec_.force_write(parent_, 0, 0, 5, {}).ok());
  EXPECT_TRUE(spec_.madvise(parent_, 0, 1, Advice::kPopulateRead, {.error = Errno::kHwPoison}).ok());
  EXPECT_FALSE(spec_.madvise(parent_, 0, 1, Advice::kPopulateRead, {}).ok());
  SpecPinId pin = kNoPin;
  EXPECT_TRUE(spec_.pin(parent_, 0, 1, PinFlags::kWrite, {.error = Errno::kFault}, pin).ok());
  EXPECT_TRUE(reads(parent_, 1, 2)) << "its neighbour is well";
  EXPECT_FALSE(is_told(parent_, 1));
}

TEST_F(FailedPage, MayHaveBeenWhoeverHeldTheSame) {
  fail();
  EXPECT_TRUE(reads(child_, 0, 1));
  EXPECT_FALSE(is_told(child_, 1));
  EXPECT_TRUE(is_told(child_, 0));
  EXPECT_FALSE(reads(child_, 0, 1)) << "once told, told for good";
}

TEST_F(FailedPage, IsNotWhoeverHeldSomethingElse) {
  write(child_, 0, 7);
  fail();
  EXPECT_FALSE(is_told(child_, 0));
  EXPECT_TRUE(reads(child_, 0, 7));
}

TEST_F(FailedPage, IsNotWhoeverWritesAfterwards) {
  fail();
  write(child_, 0, 7);
  EXPECT_FALSE(is_told(child_, 0));
}

TEST_F(FailedPage, IsHandedOnAndGivenUp) {
  fail();
  const SpaceId second = spec_.fork(parent_);
  EXPECT_FALSE(reads(second, 0, 1));
  EXPECT_TRUE(is_told(second, 0));
  EXPECT_TRUE(spec_.madvise(second, 0, 1, Advice::kDontNeed, {}).ok());
  EXPECT_TRUE(reads(second, 0, 0));
  EXPECT_TRUE(is_told(parent_, 0));
  EXPECT_TRUE(spec_.madvise(parent_, 0, 1, Advice::kWipeOnFork, {}).ok());
  EXPECT_TRUE(reads(spec_.fork(parent_), 0, 0)) << "what is emptied has not failed";
  const std::vector<std::byte> bytes(spec_.bytes().begin(), spec_.bytes().end());
  Spec copy;
  copy.assign(bytes);
  EXPECT_TRUE(copy.failed(parent_, 0));
  EXPECT_TRUE(copy.may_have_failed(child_, 0) && !copy.failed(child_, 0));
  EXPECT_FALSE(copy.may_have_failed(second, 0));
}

TEST_F(FailedPage, StaysWithThePinThatHasIt) {
  SpecPinId pin = kNoPin;
  EXPECT_TRUE(spec_.pin(parent_, 0, 1, PinFlags::kWrite, {.value = 1}, pin).ok());
  fail();
  EXPECT_TRUE(spec_.dma_read(pin, 0, 0, {.value = 1}).ok());
  EXPECT_TRUE(spec_.dma_write(pin, 0, 0, 5, {}).ok());
  EXPECT_TRUE(spec_.dma_read(pin, 0, 0, {.value = 5}).ok());
  EXPECT_FALSE(spec_.attached(pin, 0));
}

TEST_F(FailedPage, ThatCouldNotIsAsItWas) {
  EXPECT_TRUE(spec_.poison(parent_, 0, {.error = Errno::kBusy}).ok());
  EXPECT_FALSE(is_told(parent_, 0));
  EXPECT_FALSE(spec_.poison(parent_, 5, {}).ok()) << "nothing is mapped there";
}

}  // namespace
}  // namespace cowherd::spec
