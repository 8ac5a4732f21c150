#include <gtest/gtest.h>

#include <vector>

#include "spec/spec.hpp"

namespace cowherd::spec {
namespace {

/// One space with four pages; mlock has been told of the third.
class LockedPage : public testing::Test {
 protected:
  LockedPage() : space_(spec_.create_space()) {
    (void)spec_.mmap(space_, 0, 4, Protection::kReadWrite, MapFlags::kFixed, {});
    for (std::uint8_t page = 0; page < 4; ++page) EXPECT_TRUE(spec_.write(space_, page, 0, 7, {}).ok());
  }

  bool lock(Observation seen = {}) { return spec_.madvise(space_, 2, 1, Advice::kLock, seen).ok(); }
  bool discards(SpaceId space, std::uint8_t first, std::uint8_t count, Errno error) {
    return spec_.madvise(space, first, count, Advice::kDontNeed, {.error = error}).ok();
  }
  bool holds(std::uint8_t page, std::int64_t value) { return spec_.read(space_, page, 0, {.value = value}).ok(); }

  Spec spec_;
  SpaceId space_;
};

constexpr Observation kShort{.error = Errno::kNoMemory, .short_of_memory = true};

TEST_F(LockedPage, StopsWhoWouldTakeIt) {
  ASSERT_TRUE(lock());
  EXPECT_FALSE(Spec(spec_).madvise(space_, 1, 3, Advice::kDontNeed, {}).ok());
  EXPECT_TRUE(discards(space_, 1, 3, Errno::kInvalid));
  EXPECT_TRUE(holds(1, 0));
  EXPECT_TRUE(holds(2, 7));
  EXPECT_TRUE(holds(3, 7));
}

TEST_F(LockedPage, IsFreeAgainAfterMunlock) {
  ASSERT_TRUE(lock());
  ASSERT_TRUE(spec_.madvise(space_, 0, 4, Advice::kUnlock, {}).ok());
  EXPECT_TRUE(discards(space_, 0, 4, Errno{0}));
}

TEST_F(LockedPage, IsNotTheChilds) {
  ASSERT_TRUE(lock());
  constexpr SpaceId child{1};
  spec_.fork(space_, child);
  EXPECT_TRUE(discards(child, 0, 4, Errno{0}));
}

TEST_F(LockedPage, NobodyKnowsWhereMlockLackedMemory) {
  ASSERT_TRUE(lock(kShort));
  EXPECT_TRUE(Spec(spec_).madvise(space_, 2, 1, Advice::kDontNeed, {}).ok());
  EXPECT_TRUE(Spec(spec_).madvise(space_, 2, 1, Advice::kDontNeed, {.error = Errno::kInvalid}).ok());
  EXPECT_FALSE(Spec(spec_).madvise(space_, 1, 1, Advice::kDontNeed, {.error = Errno::kInvalid}).ok());
}

TEST_F(LockedPage, IsInTheBytesOfTheState) {
  const std::vector<std::byte> before(spec_.bytes().begin(), spec_.bytes().end());
  ASSERT_TRUE(lock());
  const std::vector<std::byte> locked(spec_.bytes().begin(), spec_.bytes().end());
  EXPECT_NE(before, locked);
  Spec other;
  other.assign(locked);
  EXPECT_FALSE(other.madvise(space_, 2, 1, Advice::kDontNeed, {}).ok());
}

TEST_F(LockedPage, UpToTheFirstHole) {
  ASSERT_TRUE(spec_.munmap(space_, 1, 1, {}).ok());
  EXPECT_TRUE(spec_.madvise(space_, 0, 4, Advice::kLock, {.error = Errno::kNoMemory}).ok());
  EXPECT_TRUE(discards(space_, 0, 1, Errno::kInvalid));
  EXPECT_TRUE(discards(space_, 2, 2, Errno{0}));
}

}  // namespace
}  // namespace cowherd::spec
