#include <gtest/gtest.h>

#include "spec/spec.hpp"

namespace cowherd::spec {
namespace {

constexpr MapFlags kHuge = MapFlags::kFixed | MapFlags::kHugetlb;

/// A space with two hugetlb pages from page 2 on, and a small page in front of them.
struct HugetlbSpec : testing::Test {
  Spec spec;
  SpaceId space = spec.create_space();

  HugetlbSpec() {
    EXPECT_TRUE(spec.mmap(space, 1, 1, Protection::kReadWrite, MapFlags::kFixed, {}).ok());
    EXPECT_TRUE(spec.mmap(space, 2, 8, Protection::kReadWrite, kHuge, {}).ok());
  }
};

TEST_F(HugetlbSpec, WholePagesAreNotCut) {
  for (std::uint8_t first = 1; first < 10; ++first) {
    for (std::uint8_t count = 1; first + count <= 10; ++count) {
      const auto within = [](int page) { return page > 2 && page < 10 && (page - 2) % 4 != 0; };
      EXPECT_EQ(spec.cuts_hugetlb(space, first, count), within(first) || within(first + count))
          << +first << " " << +count;
    }
  }
}

TEST_F(HugetlbSpec, APartThatIsMappedByItselfKnowsItsPlace) {
  // As parts of one mmap come one by one.
  const SpaceId other = spec.create_space();
  for (std::uint8_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(spec.mmap(other, static_cast<std::uint8_t>(5 + i), 1, Protection::kRead, kHuge, {}, {.first = i}).ok());
  }
  EXPECT_FALSE(spec.cuts_hugetlb(other, 5, 4));
  EXPECT_TRUE(spec.cuts_hugetlb(other, 6, 3));
}

TEST_F(HugetlbSpec, WhatChangesNothingMayBeSaidOfAPart) {
  EXPECT_FALSE(spec.protects_part(space, 1, 3, Protection::kReadWrite));
  EXPECT_TRUE(spec.protects_part(space, 1, 3, Protection::kRead));
  EXPECT_TRUE(spec.protects_part(space, 3, 3, Protection::kRead));
  EXPECT_FALSE(spec.protects_part(space, 1, 5, Protection::kRead));
  EXPECT_FALSE(spec.refuses_advice(space, 3, 1, Advice::kDoFork));
  EXPECT_TRUE(spec.refuses_advice(space, 3, 1, Advice::kDontFork));
  EXPECT_TRUE(spec.refuses_advice(space, 3, 1, Advice::kHugePage));
  EXPECT_FALSE(spec.refuses_advice(space, 3, 1, Advice::kMergeable));
  EXPECT_FALSE(spec.refuses_advice(space, 3, 1, Advice::kLock));
}

TEST_F(HugetlbSpec, DontneedIsOfWholePagesFromOneOn) {
  EXPECT_TRUE(spec.refuses_advice(space, 3, 3, Advice::kDontNeed));
  EXPECT_FALSE(spec.refuses_advice(space, 2, 3, Advice::kDontNeed));
  EXPECT_EQ(spec.discarded(space, 2, 3), 0);
  EXPECT_EQ(spec.discarded(space, 2, 4), 4);
  EXPECT_EQ(spec.discarded(space, 2, 7), 4);
  EXPECT_EQ(spec.discarded(space, 1, 2), 1);
  EXPECT_EQ(spec.discarded(space, 1, 9), 9);
}

/// And a file of two more, mapped privately from page 10 on.
struct HugetlbFileSpec : HugetlbSpec {
  static constexpr FileNumber kFile{0};

  HugetlbFileSpec() {
    spec.create_file(kFile, 4, FileStore::kHugetlb);
    spec.fill_file(kFile, 0, 0, 5);
    spec.fill_file(kFile, 1, 0, 6);
    EXPECT_TRUE(spec.mmap(space, 10, 4, Protection::kReadWrite, kHuge, {}, {.file = kFile}).ok());
  }
};

TEST_F(HugetlbFileSpec, IsOfWholePagesAndNotWritten) {
  EXPECT_FALSE(spec.write_file(kFile, 0, 0, 7, {}).ok());
  EXPECT_TRUE(spec.write_file(kFile, 0, 0, 7, {.error = Errno::kInvalid}).ok());
  EXPECT_TRUE(spec.truncate(kFile, 3, {.error = Errno::kInvalid}).ok());
  EXPECT_TRUE(spec.read_file(kFile, 0, 0, {.value = 5}).ok());
}

TEST_F(HugetlbFileSpec, AHoleOfAWholePageTakesCopies) {
  EXPECT_TRUE(spec.write(space, 10, 0, 9, {}).ok());
  EXPECT_TRUE(spec.punch(kFile, 0, 2, {}).ok());
  EXPECT_TRUE(spec.read(space, 10, 0, {.value = 9}).ok());
  EXPECT_TRUE(spec.read_file(kFile, 1, 0, {.value = 0}).ok());
  EXPECT_TRUE(spec.punch(kFile, 0, 4, {}).ok());
  EXPECT_FALSE(spec.read(space, 10, 0, {.value = 9}).ok());
  EXPECT_TRUE(spec.read(space, 10, 0, {.value = 0}).ok());
}

TEST_F(HugetlbFileSpec, AWritableMappingMakesItLonger) {
  EXPECT_TRUE(spec.mmap(space, 2, 8, Protection::kRead, kHuge, {}, {.file = kFile}).ok());
  EXPECT_EQ(spec.size(kFile), 4);
  EXPECT_TRUE(spec.read(space, 6, 0, {.error = Errno::kSigBus}).ok());
  EXPECT_TRUE(spec.mmap(space, 2, 8, Protection::kReadWrite, kHuge, {}, {.file = kFile}).ok());
  EXPECT_EQ(spec.size(kFile), 8);
  EXPECT_TRUE(spec.read(space, 6, 0, {.value = 0}).ok());
}

TEST_F(HugetlbFileSpec, RemoveIsOfSharedMappings) {
  EXPECT_TRUE(spec.madvise(space, 10, 4, Advice::kRemove, {.error = Errno::kAccess}).ok());
  EXPECT_TRUE(spec.mmap(space, 2, 4, Protection::kReadWrite, kHuge, {}, {.file = kFile, .shared = true}).ok());
  EXPECT_TRUE(spec.madvise(space, 2, 1, Advice::kRemove, {}).ok());
  EXPECT_TRUE(spec.read_file(kFile, 0, 0, {.value = 0}).ok());
  EXPECT_TRUE(spec.read_file(kFile, 1, 0, {.value = 6}).ok());
  EXPECT_TRUE(spec.remove(space, 3, 2, 4).ok());
  EXPECT_TRUE(spec.read_file(kFile, 1, 0, {.value = 0}).ok());
}

TEST_F(HugetlbFileSpec, ThePackedStateKeepsIt) {
  Spec copy;
  copy.assign(spec.bytes());
  EXPECT_EQ(copy.size(kFile), 4);
  EXPECT_TRUE(copy.write_file(kFile, 0, 0, 7, {.error = Errno::kInvalid}).ok());
}

TEST_F(HugetlbSpec, SomeAdviceIsRefused) {
  EXPECT_TRUE(spec.refuses_advice(space, 1, 5, Advice::kFree));
  EXPECT_TRUE(spec.refuses_advice(space, 2, 4, Advice::kPageOut));
  EXPECT_FALSE(spec.refuses_advice(space, 2, 4, Advice::kHugePage));
  EXPECT_FALSE(spec.refuses_advice(space, 1, 1, Advice::kFree));
  EXPECT_FALSE(spec.refuses_advice(space, 2, 4, Advice::kDontNeed));
}

TEST_F(HugetlbSpec, ForkAndThePackedStateKeepIt) {
  const SpaceId child = spec.fork(space);
  Spec copy;
  copy.assign(spec.bytes());
  EXPECT_TRUE(copy.has_hugetlb(child));
  EXPECT_TRUE(copy.cuts_hugetlb(child, 3, 1));
  EXPECT_FALSE(copy.cuts_hugetlb(child, 2, 4));
}

TEST_F(HugetlbSpec, ItIsNotMoved) {
  EXPECT_EQ(spec.remap_error(space, {2, 4, 12, 4, RemapFlags::kMayMove | RemapFlags::kFixed}), Errno::kInvalid);
  EXPECT_EQ(spec.remap_error(space, {1, 1, 3, 1, RemapFlags::kMayMove | RemapFlags::kFixed}), Errno::kInvalid);
}

TEST_F(HugetlbSpec, ForcedWritesMayBeRefused) {
  EXPECT_FALSE(spec.may_refuse_force(space, 2));
  EXPECT_TRUE(spec.mprotect(space, 2, 4, Protection::kRead, {}).ok());
  EXPECT_TRUE(spec.may_refuse_force(space, 2));
  EXPECT_TRUE(spec.force_write(space, 2, 0, 7, {.error = Errno::kFault}).ok());
  EXPECT_TRUE(spec.read(space, 2, 0, {.value = 0}).ok());
  EXPECT_TRUE(spec.force_write(space, 2, 0, 7, {}).ok());
  EXPECT_TRUE(spec.read(space, 2, 0, {.value = 7}).ok());
}

TEST_F(HugetlbSpec, AShortageIsAllowedAndZerosAreNot) {
  EXPECT_TRUE(spec.write(space, 2, 0, 5, {}).ok());
  const SpaceId child = spec.fork(space);
  EXPECT_TRUE(spec.read(child, 2, 0, {.error = Errno::kSigBus, .short_of_memory = true}).ok());
  EXPECT_FALSE(spec.read(child, 2, 0, {.error = Errno::kSigBus}).ok());
  EXPECT_FALSE(spec.read(child, 2, 0, {.value = 0}).ok());
}

}  // namespace
}  // namespace cowherd::spec
