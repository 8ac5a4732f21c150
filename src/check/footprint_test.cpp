#include "check/footprint.hpp"

#include <gtest/gtest.h>

namespace cowherd::check {
namespace {

using F = Footprint;

Footprint print(std::uint32_t touches, std::uint16_t pages = 1, std::uint8_t space = 0) {
  return {.space = spec::SpaceId{space}, .pages = pages, .word_pages = pages, .touches = touches};
}

void expect(bool expected, const Footprint& a, const Footprint& b, const char* why) {
  EXPECT_EQ(conflict(a, b), expected) << why;
  EXPECT_EQ(conflict(b, a), expected) << why;
}

TEST(Footprint, ConflictsBothWays) {
  expect(true, print(F::kReadsWords), print(F::kWritesWords), "a load and a store");
  expect(false, print(F::kReadsWords), print(F::kReadsWords), "two loads");
  expect(true, print(F::kWritesWords), print(F::kWritesWords), "two stores");
  expect(true, print(F::kDeviceWrites), print(F::kReadsWords), "a device's store and a load");
  expect(false, print(F::kDeviceWrites), print(F::kDiscards), "a device goes where its page goes");
  expect(true, print(F::kDiscards), print(F::kHolds), "what is taken hold of");
  expect(false, print(F::kHolds), print(F::kWritesWords), "a pin follows its owner's stores");
  expect(true, print(F::kRemembersValue), print(F::kWritesWords), "a short reader does not");
  expect(true, print(F::kWritesWritable), print(F::kReadsWritable), "a right");
  expect(false, print(F::kWritesWritable), print(F::kReadsReadable), "another right");
  expect(true, print(F::kWritesProtection), print(F::kWritesProtection), "the last mprotect counts");
  expect(true, print(F::kWritesMarks), print(F::kReadsMarks), "a mark");
  expect(false, print(F::kReadsMarks), print(F::kReadsMarks), "two forks");
}

TEST(Footprint, OnlyWhereTheyMeet) {
  expect(false, print(F::kReadsWords, 1), print(F::kWritesWords, 2), "another page");
  expect(false, print(F::kReadsWords, 1, 0), print(F::kWritesWords, 1, 1), "another space");
  expect(true, print(F::kReadsWords, 1), print(F::kDiscards, 0xffff, F::kEverySpace.value()), "every space");
  Footprint fork = print(F::kReadsWords | F::kReadsMapped, 0xffff);
  fork.word_pages = 0xfffe;
  expect(false, fork, print(F::kWritesWords, 1), "words that do not count");
  expect(true, fork, print(F::kWritesWords, 2), "words that do");
  expect(true, fork, print(F::kWritesMapped, 1), "the page itself");
}

}  // namespace
}  // namespace cowherd::check
