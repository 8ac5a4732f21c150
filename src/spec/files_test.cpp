#include <gtest/gtest.h>

#include <vector>

#include "spec/spec.hpp"

namespace cowherd::spec {
namespace {

constexpr FileNumber kFile{0};
constexpr Backing kPrivateView{.file = kFile, .first = 0, .shared = false};
constexpr Backing kSharedView{.file = kFile, .first = 0, .shared = true};
constexpr Backing kSharedMemory{.file = kAnonymous, .first = 0, .shared = true};

/// A file of two pages of which word 0 of the first holds 1, and two address spaces.
class SpecFiles : public testing::Test {
 protected:
  SpecFiles() {
    spec.create_file(kFile, 2, FileStore::kDisk);
    EXPECT_TRUE(spec.write_file(kFile, 0, 0, 1, {}).ok());
    p = spec.create_space();
    q = spec.create_space();
  }
  ~SpecFiles() { resume(); }

  void map(SpaceId space, std::uint8_t page, Backing backing, Protection protection = Protection::kReadWrite) {
    ASSERT_TRUE(spec.mmap(space, page, 1, protection, MapFlags::kFixed, {}, backing).ok());
  }
  /// Goes on from what was packed.
  void resume() {
    const std::vector<std::byte> before(spec.bytes().begin(), spec.bytes().end());
    Spec other;
    other.assign(before);
    EXPECT_EQ(std::vector<std::byte>(other.bytes().begin(), other.bytes().end()), before);
    spec.assign(before);
  }
  bool reads(SpaceId space, std::uint8_t page, std::int64_t value, std::uint8_t word = 0) {
    resume();
    return spec.read(space, page, word, {.value = value}).ok();
  }
  bool file_reads(std::int64_t value, std::uint8_t page = 0) {
    return spec.read_file(kFile, page, 0, {.value = value}).ok();
  }
  void write(SpaceId space, std::uint8_t page, std::int64_t value, std::uint8_t word = 0) {
    ASSERT_TRUE(spec.write(space, page, word, value, {}).ok());
  }
  SpecPinId pin(SpaceId space, std::uint8_t page, PinFlags flags) {
    SpecPinId made = kNoPin;
    EXPECT_TRUE(spec.pin(space, page, 1, flags, {.value = 1}, made).ok());
    return made;
  }
  bool device_reads(SpecPinId by, std::int64_t value) {
    resume();
    return spec.dma_read(by, 0, 0, {.value = value}).ok();
  }

  Spec spec;
  SpaceId p;
  SpaceId q;
};

TEST_F(SpecFiles, ASharedViewIsTheFile) {
  map(p, 0, kSharedView);
  map(q, 3, kSharedView);
  EXPECT_TRUE(reads(p, 0, 1));
  write(q, 3, 2);
  EXPECT_TRUE(reads(p, 0, 2) && file_reads(2));
  EXPECT_FALSE(reads(p, 0, 1));
  EXPECT_TRUE(spec.write_file(kFile, 0, 0, 3, {}).ok());
  EXPECT_TRUE(reads(q, 3, 3));
}

TEST_F(SpecFiles, SharedMemoryGoesThroughForkAndDiscards) {
  map(p, 0, kSharedMemory);
  write(p, 0, 1);
  const SpaceId child = spec.fork(p);
  write(child, 0, 2);
  EXPECT_TRUE(reads(p, 0, 2));
  EXPECT_TRUE(spec.madvise(p, 0, 1, Advice::kDontNeed, {}).ok());
  EXPECT_TRUE(reads(p, 0, 2));
  map(p, 0, kSharedMemory);
  EXPECT_TRUE(reads(p, 0, 0) && reads(child, 0, 2));
}

TEST_F(SpecFiles, APrivateViewFollowsOrNot) {
  map(p, 0, kPrivateView);
  map(q, 0, kPrivateView);
  EXPECT_TRUE(spec.write_file(kFile, 0, 0, 2, {}).ok());
  EXPECT_TRUE(spec.write_file(kFile, 0, 0, 3, {}).ok());
  EXPECT_TRUE(reads(p, 0, 2)) << "it stopped in between";
  EXPECT_FALSE(reads(p, 0, 3)) << "and goes on no more";
  EXPECT_TRUE(reads(q, 0, 3));
  EXPECT_FALSE(reads(q, 0, 2)) << "it does not go back";
  EXPECT_TRUE(spec.write_file(kFile, 0, 0, 4, {}).ok());
  EXPECT_TRUE(reads(q, 0, 4));
  EXPECT_FALSE(reads(q, 0, 9));
}

TEST_F(SpecFiles, AWrittenPageHasStoppedToFollow) {
  map(p, 0, kPrivateView);
  write(p, 0, 7, 1);
  EXPECT_TRUE(spec.write_file(kFile, 0, 0, 2, {}).ok());
  EXPECT_FALSE(reads(p, 0, 2));
  EXPECT_TRUE(reads(p, 0, 1) && reads(p, 0, 7, 1));
  EXPECT_TRUE(spec.read_file(kFile, 0, 1, {.value = 0}).ok());
  EXPECT_TRUE(spec.madvise(p, 0, 1, Advice::kDontNeed, {}).ok());
  EXPECT_TRUE(reads(p, 0, 2));
}

TEST_F(SpecFiles, WhatIsSeenOfAPrivatePageInAFileIsALeak) {
  map(p, 0, kPrivateView);
  write(p, 0, 7);
  Judgement judgement = spec.read_file(kFile, 0, 0, {.value = 7});
  EXPECT_EQ(judgement.broken, Clause::kPrivate);
  EXPECT_EQ(judgement.harm, Harm::kLeak);
  ASSERT_TRUE(spec.force_write(p, 0, 0, 8, {}).ok());
  judgement = spec.read_file(kFile, 0, 0, {.value = 8});
  EXPECT_EQ(judgement.broken, Clause::kForce);
  map(q, 0, kSharedView);
  write(q, 0, 5);
  judgement = spec.judge_disk(kFile, 0, 0, 1);
  EXPECT_EQ(judgement.broken, Clause::kFile);
  EXPECT_EQ(judgement.harm, Harm::kLostWrite);
  EXPECT_TRUE(spec.judge_disk(kFile, 0, 0, 5).ok());
}

TEST_F(SpecFiles, BehindTheEndIsASigbus) {
  map(p, 0, {.file = kFile, .first = 1, .shared = true});
  ASSERT_TRUE(spec.truncate(kFile, 1, {}).ok());
  EXPECT_TRUE(spec.read(p, 0, 0, {.error = Errno::kSigBus}).ok());
  EXPECT_FALSE(spec.read(p, 0, 0, {.value = 0}).ok());
  EXPECT_TRUE(spec.write(p, 0, 0, 1, {.error = Errno::kSigBus}).ok());
  EXPECT_TRUE(spec.force_write(p, 0, 0, 1, {.error = Errno::kFault}).ok());
  EXPECT_TRUE(spec.madvise(p, 0, 1, Advice::kPopulateRead, {.error = Errno::kFault}).ok());
  SpecPinId made = kNoPin;
  EXPECT_TRUE(spec.pin(p, 0, 1, PinFlags::kWrite, {.error = Errno::kFault}, made).ok());
  EXPECT_TRUE(file_reads(0, 1));
  EXPECT_TRUE(spec.write_file(kFile, 1, 0, 4, {}).ok());
  EXPECT_TRUE(reads(p, 0, 4));
}

TEST_F(SpecFiles, AReferenceKeepsWhatIsCutOff) {
  map(p, 0, kSharedView);
  const SpecPinId device = pin(p, 0, PinFlags::kWrite);
  EXPECT_TRUE(spec.truncate(kFile, 0, {}).ok());
  EXPECT_TRUE(spec.truncate(kFile, 1, {}).ok());
  EXPECT_TRUE(spec.dma_write(device, 0, 0, 6, {}).ok());
  EXPECT_TRUE(device_reads(device, 6));
  EXPECT_TRUE(reads(p, 0, 0) && file_reads(0));
}

TEST_F(SpecFiles, AReferenceToAFileOutlivesTheMapping) {
  map(p, 0, kSharedView);
  const SpecPinId device = pin(p, 0, PinFlags::kWrite | PinFlags::kLongTerm);
  EXPECT_TRUE(spec.munmap(p, 0, 1, {}).ok());
  EXPECT_TRUE(spec.dma_write(device, 0, 0, 6, {}).ok());
  EXPECT_TRUE(file_reads(6));
  EXPECT_TRUE(spec.write_file(kFile, 0, 0, 8, {}).ok());
  EXPECT_TRUE(device_reads(device, 8));
}

TEST_F(SpecFiles, TruncateTakesPrivateCopiesAndAHoleDoesNot) {
  map(p, 0, kPrivateView);
  map(q, 0, kPrivateView);
  write(p, 0, 2);
  EXPECT_TRUE(spec.punch(kFile, 0, 1, {}).ok());
  EXPECT_TRUE(reads(p, 0, 2));
  EXPECT_TRUE(reads(q, 0, 1)) << "it may have had a copy";
  EXPECT_TRUE(file_reads(0));
  EXPECT_TRUE(spec.truncate(kFile, 0, {}).ok());
  EXPECT_TRUE(spec.truncate(kFile, 2, {}).ok());
  EXPECT_TRUE(reads(p, 0, 0) && reads(q, 0, 0));
  EXPECT_FALSE(reads(p, 0, 2));
}

TEST_F(SpecFiles, RemovingMakesAHoleForAllWhoShare) {
  map(p, 0, kSharedView);
  map(p, 1, kPrivateView);
  map(p, 2, kSharedMemory);
  ASSERT_TRUE(spec.mmap(p, 3, 1, Protection::kReadWrite, MapFlags::kFixed, {}).ok());
  write(p, 2, 7);
  q = spec.fork(p);
  const SpecPinId device = pin(p, 2, PinFlags::kWrite);
  EXPECT_TRUE(spec.madvise(p, 3, 1, Advice::kRemove, {.error = Errno::kInvalid}).ok());
  EXPECT_FALSE(spec.madvise(p, 3, 1, Advice::kRemove, {}).ok());
  EXPECT_TRUE(spec.madvise(p, 0, 2, Advice::kRemove, {.error = Errno::kAccess}).ok());
  EXPECT_TRUE(file_reads(0) && reads(p, 0, 0) && reads(q, 0, 0));
  EXPECT_TRUE(spec.madvise(q, 2, 1, Advice::kRemove, {}).ok());
  EXPECT_TRUE(reads(p, 2, 0) && reads(q, 2, 0));
  EXPECT_TRUE(device_reads(device, 7)) << "it keeps the page";
  write(p, 2, 8);
  EXPECT_TRUE(reads(q, 2, 8));
  EXPECT_FALSE(device_reads(device, 8));
  (void)spec.madvise(p, 2, 1, Advice::kLock, {});
  EXPECT_TRUE(spec.madvise(p, 2, 1, Advice::kRemove, {.error = Errno::kInvalid}).ok());
}

TEST_F(SpecFiles, LongTermReadersOfAPrivatePageSeeTheirOwner) {
  map(p, 0, kPrivateView);
  const SpecPinId device = pin(p, 0, PinFlags::kLongTerm);
  write(p, 0, 2);
  EXPECT_FALSE(device_reads(device, 1));
  EXPECT_TRUE(device_reads(device, 2));
}

TEST_F(SpecFiles, ShortReadersOfAPrivatePageMaySeeTheFile) {
  map(p, 0, kPrivateView);
  const SpecPinId device = pin(p, 0, PinFlags::kNone);
  write(p, 0, 2);
  EXPECT_TRUE(spec.write_file(kFile, 0, 0, 3, {}).ok());
  for (const std::int64_t value : {1, 2, 3}) EXPECT_TRUE(device_reads(device, value)) << value;
  EXPECT_FALSE(device_reads(device, 4));
  EXPECT_TRUE(spec.munmap(p, 0, 1, {}).ok());
  for (const std::int64_t value : {1, 2, 3}) EXPECT_TRUE(device_reads(device, value)) << value;
}

TEST_F(SpecFiles, WhatMayBeRefused) {
  map(p, 0, kSharedView);
  map(p, 1, kSharedView, Protection::kRead);
  SpecPinId made = kNoPin;
  const PinFlags long_write = PinFlags::kWrite | PinFlags::kLongTerm;
  EXPECT_TRUE(spec.pin(p, 0, 1, long_write, {.error = Errno::kFault}, made).ok());
  EXPECT_TRUE(spec.pin(p, 0, 1, long_write, {.value = 1}, made).ok());
  EXPECT_FALSE(spec.pin(p, 0, 1, PinFlags::kWrite, {.error = Errno::kFault}, made).ok());
  EXPECT_TRUE(spec.pin(p, 1, 1, PinFlags::kWrite | PinFlags::kForce, {.error = Errno::kFault}, made).ok());
  EXPECT_TRUE(spec.force_write(p, 1, 0, 5, {.error = Errno::kFault}).ok());
  EXPECT_TRUE(spec.madvise(p, 0, 1, Advice::kWipeOnFork, {.error = Errno::kInvalid}).ok());
  EXPECT_TRUE(
      spec.mremap(p,
                  {.first = 0, .count = 1, .to = 4, .to_count = 1, .flags = RemapFlags::kMayMove | RemapFlags::kFixed},
                  {})
          .ok());
}

TEST_F(SpecFiles, AChildGoesOnFollowing) {
  map(p, 0, kPrivateView);
  const SpaceId child = spec.fork(p);
  EXPECT_TRUE(spec.write_file(kFile, 0, 0, 2, {}).ok());
  EXPECT_TRUE(reads(p, 0, 2));
  EXPECT_TRUE(reads(child, 0, 1)) << "the child may have a copy of what was there";
  EXPECT_FALSE(reads(child, 0, 2));
}

}  // namespace
}  // namespace cowherd::spec
