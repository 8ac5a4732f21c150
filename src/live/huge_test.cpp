// Huge pages on the kernel at hand, and where pages are found to be huge.

#include <gtest/gtest.h>
#include <unistd.h>

#include "live/host.hpp"
#include "live/page_facts.hpp"
#include "live/play_test.hpp"
#include "live/poison.hpp"

namespace cowherd::live {
namespace {

constexpr const char* kHuge = "x = thp(1); y = anon[4](1); z = thp; d = device;";

bool here(Need need) { return shared_offers()[static_cast<std::size_t>(need)].here; }

TEST(Huge, AFirstWriteMapsOneAndAPartOfItMapsNone) {
  Play play(
      "P0() { WRITE_ONCE(x[3], 2); WRITE_ONCE(y[3], 3); mprotect(z, PROT_READ | PROT_WRITE); WRITE_ONCE(z[1], 4); "
      "munmap(z[2]); r0 = READ_ONCE(z[1]); r1 = READ_ONCE(z[2]); r2 = READ_ONCE(x[0]); }\n"
      "locations [huge(0:x[0]); huge(0:x[3]); huge(0:y[3]); huge(0:z[1]); rss(P0);]",
      kHuge);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.term(0), 1);
  EXPECT_EQ(play.term(1), 1);
  EXPECT_EQ(play.term(2), 0) << "nobody advised it";
  EXPECT_EQ(play.term(3), 0) << "a part of it was unmapped";
  EXPECT_EQ(play.term(4), 4 + 4 + 3);
  EXPECT_EQ(play.reg(0, 0), 4);
  EXPECT_EQ(play.reg(0, 1), -static_cast<std::int64_t>(Errno::kSigSegv));
  EXPECT_EQ(play.reg(0, 2), 1);
}

TEST(Huge, SplitAndCollapseComeAndGo) {
  Play play(
      "P0() { r0 = split(x[2]); r1 = split(x[2]); r2 = READ_ONCE(x[3]); r3 = collapse(x[1]); r4 = READ_ONCE(x[3]); "
      "r5 = split(y[0]); r6 = collapse(y[0]); }\nlocations [huge(0:x); huge(0:y[2]);]",
      kHuge);
  SKIP_UNLESS_PLAYED(play);
  const std::int64_t fault = -static_cast<std::int64_t>(Errno::kFault);
  const std::int64_t expected[] = {0, fault, 1, 0, 1, fault, 0};
  for (std::uint8_t i = 0; i < 7; ++i) EXPECT_EQ(play.reg(0, i), expected[i]) << i;
  EXPECT_EQ(play.term(0), 1);
  EXPECT_EQ(play.term(1), 1);
}

TEST(Huge, AChildHasItAsWellUntilItWrites) {
  Play play(
      "P0() { fork(P1); r0 = READ_ONCE(x[1]); }\nP1() { WRITE_ONCE(x[1], 2); r0 = READ_ONCE(x[2]); }\n"
      "locations [huge(0:x); huge(1:x); frame(0:x[2]); frame(1:x[2]); excl(0:x[2]); frame(0:x[1]); frame(1:x[1]);]",
      kHuge);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(0, 0), 1);
  EXPECT_EQ(play.reg(1, 0), 1);
  EXPECT_EQ(play.term(0), 1);
  EXPECT_EQ(play.term(1), 0);
  EXPECT_EQ(play.term(2), play.term(3));
  EXPECT_EQ(play.term(4), 0);
  EXPECT_NE(play.term(5), play.term(6));
}

TEST(Huge, TheMarkOfAHugePageIsThatOfAllItsPages) {
  Play play("P0() { WRITE_ONCE(x[1], 2); }\nlocations [excl(0:x[0]); excl(0:x[3]);]", kHuge);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.term(0), 1);
  EXPECT_EQ(play.term(1), 1);
}

TEST(Huge, DevicesFindThePartThatTheyHold) {
  Play play(
      "P0() { pin(d, x[2..3], FOLL_WRITE | FOLL_LONGTERM); WRITE_ONCE(x[3].1, 7); r0 = dma_read(d[1].1); dma_write(d, "
      "8); r1 = READ_ONCE(x[2]); unpin(d); }",
      kHuge);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(0, 0), 7);
  EXPECT_EQ(play.reg(0, 1), 8);
  Play pipe("P0() { get(d, x[1..3], 0); WRITE_ONCE(x[3].2, 9); r0 = dma_read(d[2].2); r1 = dma_read(d); }", kHuge);
  SKIP_UNLESS_PLAYED(pipe);
  EXPECT_EQ(pipe.reg(0, 0), 9);
  EXPECT_EQ(pipe.reg(0, 1), 1);
}

TEST(Huge, APageThatWasWrittenIsThereAsAWhole) {
  Play play("P0() { r0 = READ_ONCE(*x); r1 = madvise(x, MADV_NOHUGEPAGE); }", "x = anon(1);");
  SKIP_UNLESS_PLAYED(play);
  const PageFacts facts(play.stage().pid_of(0));
  const std::uint64_t first = play.stage().address_of({});
  const bool last = facts.entry_at(first + kHugeBytes / litmus::kHugePages - kPageBytes).present;
  EXPECT_EQ(last, here(Need::kPopulate));
}

TEST(Huge, WhereNothingIsMappedNothingCollapses) {
  Play play("P0() { munmap(x); r0 = madvise(x, MADV_COLLAPSE); r1 = collapse(x[0]); }", kHuge);
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(0, 0), -12);
  EXPECT_EQ(play.reg(0, 1), -22);
}

TEST(PageFacts, ScanAndSmapsSayTheSameOfZerosAndHugePages) {
  if (!here(Need::kPageScan) || !here(Need::kHugePages)) GTEST_SKIP() << "no PAGEMAP_SCAN";
  Play play("P0() { r0 = READ_ONCE(*z); WRITE_ONCE(x[1], 2); r1 = READ_ONCE(*u); }",
            "x = thp(1); z = anon[2]; u = anon(1);");
  SKIP_UNLESS_PLAYED(play);
  const pid_t process = play.stage().pid_of(0);
  const PageFacts facts(process);
  litmus::Place place;
  const auto entry = [&](std::uint8_t variable) {
    place.variable = variable;
    return facts.entry_at(play.stage().address_of(place));
  };
  EXPECT_EQ(entry(0).huge, std::optional(true));
  EXPECT_EQ(all_or_none_is_huge(process, play.stage().address_of(place)), std::optional(true));
  EXPECT_TRUE(entry(1).zero);
  EXPECT_FALSE(entry(1).huge.value_or(true));
  EXPECT_EQ(all_or_none_is_huge(process, play.stage().address_of(place)), std::optional(false));
  EXPECT_FALSE(entry(2).zero);
}

TEST(Pages, OnesThatMoveKeepWhatTheyHold) {
  Play play(
      "P0() { r0 = migrate(x[0]); r1 = READ_ONCE(*x); fork(P1); r2 = migrate(x[0]); WRITE_ONCE(*x, 2); }\n"
      "P1() { r0 = READ_ONCE(*x); }",
      "x = anon(1);");
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(0, 0), 0);
  EXPECT_EQ(play.reg(0, 1), 1);
  EXPECT_EQ(play.reg(0, 2), 0);
  EXPECT_EQ(play.reg(1, 0), 1);
}

TEST(Pages, OnesThatFailAreASigbusAndAreHealed) {
  Play play("P0() { r0 = poison(x[0]); r1 = READ_ONCE(*x); r2 = READ_ONCE(x[1]); }", "x = anon[2](1);");
  SKIP_UNLESS_PLAYED(play);
  EXPECT_EQ(play.reg(0, 0), 0);
  EXPECT_EQ(play.reg(0, 1), -static_cast<std::int64_t>(Errno::kSigBus));
  EXPECT_EQ(play.reg(0, 2), 1);
}

}  // namespace
}  // namespace cowherd::live
