#include <gtest/gtest.h>

#include <vector>

#include "spec/spec.hpp"

namespace cowherd::spec {
namespace {

constexpr Observation kDone{};
constexpr Observation failed(Errno error) { return {.error = error}; }
constexpr Observation saw(std::int64_t value) { return {.value = value}; }

class UserfaultSpec : public testing::Test {
 protected:
  UserfaultSpec() {
    spec_.track_handlers(false);
    space_ = spec_.create_space();
    EXPECT_TRUE(spec_.mmap(space_, 0, 4, Protection::kReadWrite, MapFlags::kFixed, kDone).ok());
  }
  void do_register(UffdFlags modes) { EXPECT_TRUE(spec_.uffd_register(space_, 0, 4, modes, kDone).ok()); }

  Spec spec_;
  SpaceId space_;
};

TEST_F(UserfaultSpec, WhatWasNeverTouchedIsMissing) {
  EXPECT_TRUE(spec_.write(space_, 1, 0, 5, kDone).ok());
  do_register(UffdFlags::kMissing);
  EXPECT_TRUE(spec_.must_wait(space_, 0, false));
  EXPECT_TRUE(spec_.may_wait(space_, 0, true));
  EXPECT_FALSE(spec_.may_wait(space_, 1, true));
  const Judgement unasked = spec_.read(space_, 0, 0, saw(0));
  EXPECT_EQ(unasked.broken, Clause::kUserfault);
  EXPECT_EQ(unasked.harm, Harm::kUnasked);
  EXPECT_TRUE(spec_.read(space_, 1, 0, saw(5)).ok());
  EXPECT_TRUE(spec_.uffd_fill(space_, 2, 1, 7, kDone).ok());
  EXPECT_TRUE(spec_.read(space_, 2, 1, saw(7)).ok());
  EXPECT_FALSE(spec_.uffd_fill(space_, 2, 1, 8, kDone).ok());
  EXPECT_TRUE(spec_.uffd_fill(space_, 2, 1, 8, failed(Errno::kExist)).ok());
  EXPECT_TRUE(spec_.madvise(space_, 2, 1, Advice::kDontNeed, kDone).ok());
  EXPECT_TRUE(spec_.must_wait(space_, 2, false));
}

TEST_F(UserfaultSpec, WhatHugePagesMayHaveBroughtIsPerhapsThere) {
  Spec spec;
  spec.track_handlers(true);
  const SpaceId space = spec.create_space();
  EXPECT_TRUE(spec.mmap(space, 0, 1, Protection::kReadWrite, MapFlags::kFixed, kDone).ok());
  EXPECT_TRUE(spec.uffd_register(space, 0, 1, UffdFlags::kMissing, kDone).ok());
  EXPECT_TRUE(spec.may_wait(space, 0, false));
  EXPECT_FALSE(spec.must_wait(space, 0, false));
  EXPECT_TRUE(spec.uffd_fill(space, 0, 0, 1, failed(Errno::kExist)).ok());
  EXPECT_TRUE(spec.uffd_fill(space, 0, 0, 1, kDone).ok());
}

TEST_F(UserfaultSpec, AMarkKeepsWritersOutAndNobodyElse) {
  EXPECT_TRUE(spec_.write(space_, 0, 0, 5, kDone).ok());
  EXPECT_TRUE(spec_.uffd_protect(space_, 0, 1, true, failed(Errno::kNoEntry)).ok());
  do_register(UffdFlags::kWriteProtect);
  EXPECT_TRUE(spec_.uffd_protect(space_, 0, 2, true, kDone).ok());
  EXPECT_TRUE(spec_.must_wait(space_, 0, true));
  EXPECT_FALSE(spec_.may_wait(space_, 0, false));
  // There was nothing to protect.
  EXPECT_FALSE(spec_.may_wait(space_, 1, true));
  EXPECT_EQ(spec_.force_write(space_, 0, 0, 6, kDone).broken, Clause::kUserfault);
  EXPECT_TRUE(spec_.uffd_protect(space_, 0, 1, false, kDone).ok());
  EXPECT_TRUE(spec_.write(space_, 0, 0, 7, kDone).ok());
}

TEST_F(UserfaultSpec, ForkAndMovesHandOnWhatTheyAreToldOf) {
  for (const bool told : {false, true}) {
    Spec spec;
    spec.track_handlers(false);
    const SpaceId space = spec.create_space();
    EXPECT_TRUE(spec.mmap(space, 0, 1, Protection::kReadWrite, MapFlags::kFixed, kDone).ok());
    EXPECT_TRUE(spec.write(space, 0, 0, 5, kDone).ok());
    const UffdFlags events = told ? UffdFlags::kEventFork | UffdFlags::kEventRemap : UffdFlags::kNone;
    EXPECT_TRUE(spec.uffd_register(space, 0, 1, UffdFlags::kWriteProtect | events, kDone).ok());
    EXPECT_TRUE(spec.uffd_protect(space, 0, 1, true, kDone).ok());
    const SpaceId child = spec.fork(space);
    EXPECT_EQ(spec.must_wait(child, 0, true), told);
    const Remap remap{0, 1, 5, 1, RemapFlags::kMayMove | RemapFlags::kFixed};
    EXPECT_TRUE(spec.mremap(space, remap, kDone).ok());
    EXPECT_EQ(spec.must_wait(space, 5, true), told);
  }
}

TEST_F(UserfaultSpec, AFreedPageIsThereOrNotUntilItIsWritten) {
  EXPECT_TRUE(spec_.write(space_, 0, 0, 5, kDone).ok());
  do_register(UffdFlags::kMissing | UffdFlags::kWriteProtect);
  EXPECT_TRUE(spec_.uffd_protect(space_, 0, 1, true, kDone).ok());
  EXPECT_TRUE(spec_.madvise(space_, 0, 1, Advice::kFree, kDone).ok());
  EXPECT_TRUE(spec_.may_wait(space_, 0, false));
  EXPECT_FALSE(spec_.must_wait(space_, 0, true));
  EXPECT_TRUE(spec_.read(space_, 0, 0, saw(5)).ok());
  EXPECT_TRUE(spec_.may_wait(space_, 0, false));
  EXPECT_TRUE(spec_.uffd_fill(space_, 0, 1, 9, kDone).ok());
  EXPECT_TRUE(spec_.read(space_, 0, 0, saw(0)).ok());
  EXPECT_FALSE(spec_.may_wait(space_, 0, true));
}

TEST_F(UserfaultSpec, APageMovesWithAllItHolds) {
  EXPECT_TRUE(spec_.write(space_, 3, 0, 5, kDone).ok());
  EXPECT_TRUE(spec_.uffd_move(space_, 0, 3, failed(Errno::kInvalid)).ok());
  do_register(UffdFlags::kMissing);
  EXPECT_TRUE(spec_.uffd_move(space_, 0, 2, failed(Errno::kNoEntry)).ok());
  SpecPinId pin;
  EXPECT_TRUE(spec_.pin(space_, 3, 1, PinFlags::kWrite, saw(1), pin).ok());
  EXPECT_FALSE(spec_.uffd_move(space_, 0, 3, kDone).ok());
  EXPECT_TRUE(spec_.uffd_move(space_, 0, 3, failed(Errno::kBusy)).ok());
  spec_.unpin(pin);
  EXPECT_TRUE(spec_.uffd_move(space_, 0, 3, kDone).ok());
  EXPECT_TRUE(spec_.read(space_, 0, 0, saw(5)).ok());
  EXPECT_TRUE(spec_.must_wait(space_, 3, false));
  EXPECT_TRUE(spec_.uffd_move(space_, 0, 3, failed(Errno::kNoEntry)).ok());
}

TEST_F(UserfaultSpec, PacksAndComesBack) {
  EXPECT_TRUE(spec_.write(space_, 0, 0, 5, kDone).ok());
  do_register(UffdFlags::kMissing | UffdFlags::kWriteProtect | UffdFlags::kEventFork);
  EXPECT_TRUE(spec_.uffd_protect(space_, 0, 1, true, kDone).ok());
  const std::vector<std::byte> bytes(spec_.bytes().begin(), spec_.bytes().end());
  Spec other;
  other.track_handlers(false);
  other.assign(bytes);
  EXPECT_TRUE(other.must_wait(space_, 0, true));
  EXPECT_FALSE(other.may_wait(space_, 0, false));
  EXPECT_TRUE(other.must_wait(space_, 1, false));
  EXPECT_EQ(std::vector<std::byte>(other.bytes().begin(), other.bytes().end()), bytes);
}

TEST_F(UserfaultSpec, WhatIsToldIsReadBeforeAnythingIsDone) {
  do_register(UffdFlags::kMissing | UffdFlags::kEventFork | UffdFlags::kEventRemap | UffdFlags::kReadsEvents);
  EXPECT_TRUE(spec_.uffd_read(space_, failed(Errno::kAgain)).ok());
  const SpaceId child{5};
  spec_.fork(space_, child, true);
  EXPECT_EQ(spec_.next_event(space_), static_cast<std::uint8_t>(UffdEvent::kFork));
  EXPECT_EQ(spec_.next_event(child), 0);
  EXPECT_FALSE(spec_.uffd_fill(space_, 2, 1, 7, kDone).ok());
  EXPECT_TRUE(spec_.uffd_fill(space_, 2, 1, 7, failed(Errno::kAgain)).ok());
  EXPECT_TRUE(spec_.uffd_fill(child, 2, 1, 7, kDone).ok());
  const Remap remap{0, 1, 6, 1, RemapFlags::kMayMove | RemapFlags::kFixed};
  EXPECT_TRUE(spec_.mremap(space_, remap, kDone).ok());
  const Judgement wrong = spec_.uffd_read(space_, saw(static_cast<std::int64_t>(UffdEvent::kRemap)));
  EXPECT_EQ(wrong.broken, Clause::kUserfault);
  // After a breach all goes on as it should have been.
  EXPECT_TRUE(spec_.uffd_read(space_, saw(static_cast<std::int64_t>(UffdEvent::kRemap))).ok());
  EXPECT_TRUE(spec_.uffd_read(space_, failed(Errno::kAgain)).ok());
  EXPECT_TRUE(spec_.uffd_fill(space_, 2, 1, 7, kDone).ok());
  spec_.fork(space_, SpaceId{6}, false);
  EXPECT_EQ(spec_.next_event(space_), 0);
}

TEST_F(UserfaultSpec, WhatIsAboutToGoIsTold) {
  do_register(UffdFlags::kWriteProtect | UffdFlags::kEventRemove | UffdFlags::kReadsEvents);
  EXPECT_TRUE(spec_.munmap(space_, 1, 1, kDone).ok());
  const Removal first = spec_.removal(space_, 0, 2, Advice::kDontNeed);
  EXPECT_TRUE(first.allows(1, true));
  EXPECT_FALSE(first.allows(1, false));
  EXPECT_FALSE(first.allows(2, true));
  EXPECT_FALSE(spec_.removal(space_, 0, 1, Advice::kRemove).tells);
  spec_.tell_of_removal(space_);
  EXPECT_EQ(spec_.next_event(space_), static_cast<std::uint8_t>(UffdEvent::kRemove));
  EXPECT_TRUE(spec_.uffd_read(space_, saw(21)).ok());
  EXPECT_TRUE(spec_.madvise(space_, 0, 1, Advice::kLock, kDone).ok());
  EXPECT_FALSE(spec_.removal(space_, 0, 1, Advice::kDontNeed).tells);
}

TEST_F(UserfaultSpec, WhatIsForbiddenHasFailedUntilItIsBrought) {
  EXPECT_TRUE(spec_.uffd_fill(space_, 1, 0, 0, failed(Errno::kNoEntry), Fill::kPoison).ok());
  do_register(UffdFlags::kMissing);
  EXPECT_TRUE(spec_.uffd_fill(space_, 1, 0, 0, kDone, Fill::kPoison).ok());
  EXPECT_FALSE(spec_.may_wait(space_, 1, true));
  EXPECT_FALSE(spec_.read(space_, 1, 0, saw(0)).ok());
  EXPECT_TRUE(spec_.read(space_, 1, 0, failed(Errno::kSigBus)).ok());
  EXPECT_TRUE(spec_.uffd_fill(space_, 1, 0, 0, failed(Errno::kExist), Fill::kPoison).ok());
  EXPECT_TRUE(spec_.uffd_fill(space_, 1, 0, 0, failed(Errno::kExist), Fill::kZeros).ok());
  EXPECT_FALSE(spec_.uffd_fill(space_, 1, 0, 7, failed(Errno::kExist)).ok());
  const SpaceId child = spec_.fork(space_);
  EXPECT_TRUE(spec_.uffd_fill(space_, 1, 0, 7, kDone).ok());
  EXPECT_TRUE(spec_.read(space_, 1, 0, saw(7)).ok());
  EXPECT_TRUE(spec_.read(child, 1, 0, failed(Errno::kSigBus)).ok());
  EXPECT_TRUE(spec_.madvise(child, 1, 1, Advice::kDontNeed, kDone).ok());
  EXPECT_TRUE(spec_.read(child, 1, 0, saw(0)).ok());
}

TEST_F(UserfaultSpec, AWriteThatNobodyIsAskedAboutWaitsForNobody) {
  EXPECT_TRUE(spec_.write(space_, 1, 0, 5, kDone).ok());
  do_register(UffdFlags::kWriteProtect | UffdFlags::kWpAsync);
  EXPECT_TRUE(spec_.uffd_protect(space_, 1, 1, true, kDone).ok());
  EXPECT_FALSE(spec_.may_wait(space_, 1, true));
  EXPECT_TRUE(spec_.write(space_, 1, 0, 6, kDone).ok());
}

TEST_F(UserfaultSpec, WhatIsUnreadIsPackedWithTheRest) {
  do_register(UffdFlags::kMissing | UffdFlags::kEventFork | UffdFlags::kReadsEvents);
  spec_.fork(space_, SpaceId{5}, true);
  spec_.fork(SpaceId{5}, SpaceId{6}, true);
  const std::span<const std::byte> packed = spec_.bytes();
  const std::vector<std::byte> bytes(packed.begin(), packed.end());
  Spec copy;
  copy.track_handlers(false);
  copy.assign(bytes);
  EXPECT_EQ(copy.next_event(SpaceId{5}), static_cast<std::uint8_t>(UffdEvent::kFork));
  copy.drop_space(SpaceId{5});
  EXPECT_EQ(copy.next_event(SpaceId{5}), 0);
  EXPECT_EQ(copy.next_event(space_), static_cast<std::uint8_t>(UffdEvent::kFork));
  EXPECT_EQ(copy.next_event(SpaceId{6}), 0);
}

}  // namespace
}  // namespace cowherd::spec
