#include "check/reference.hpp"

#include <gtest/gtest.h>

#include "check/overlap_test.hpp"

namespace cowherd::check {
namespace {

// Page 0 holds 1, page 1 holds 2; then what the case says. `wrong` is empty where all of it is allowed.
struct OverlapCase {
  const char* name;
  const char* story;
  const char* wrong;

  friend void PrintTo(const OverlapCase& tested, std::ostream* out) { *out << tested.name; }
};

class Overlaps : public testing::TestWithParam<OverlapCase> {};

TEST_P(Overlaps, AreAllowedOrNot) {
  Overlap overlap;
  ASSERT_EQ(overlap.tell("0 map 0+4 rw; 0 store 0 1; 0 store 1 2"), "");
  EXPECT_EQ(overlap.tell(GetParam().story), GetParam().wrong);
  EXPECT_FALSE(overlap.reference().overflowed());
}

constexpr OverlapCase kDiscards[] = {
    {"BeforeIsSeenAfterIsNot", "1 begins dontneed 0; 2 load 0 = 1; 2 load 0 = 0; 1 ends; 2 load 0 = 0", ""},
    {"AtTheEndItIsDone", "1 begins dontneed 0; 2 load 0 = 1; 1 ends; 2 load 0 = 1", "2 load 0 = 1: private garbage\n"},
    {"StoreBeforeIsLost", "1 begins dontneed 0; 2 store 0 5; 1 ends; 2 load 0 = 0", ""},
    {"StoreAfterIsKept", "1 begins dontneed 0; 2 store 0 5; 1 ends; 2 load 0 = 5", ""},
    {"StoreIsKeptOrLostNotBoth", "1 begins dontneed 0; 2 store 0 5; 1 ends; 2 load 0 = 5; 2 load 0 = 0",
     "2 load 0 = 0: private lost-write\n"},
    {"OldValueIsGone", "1 begins dontneed 0; 2 store 0 5; 1 ends; 2 load 0 = 1", "2 load 0 = 1: private garbage\n"},
    // Thread 2 has met the new page, thread 3's CPU has not forgotten the old one.
    {"StaleTranslationReads", "1 begins dontneed 0; 2 load 0 = 0; 3 load 0 = 1; 1 ends; 3 load 0 = 0", ""},
    {"StaleTranslationWrites",
     "1 begins dontneed 0; 2 store 0 7; 2 load 0 = 7; 3 load 0 = 1; 3 store 0 8; 3 load 0 = 8;"
     "2 load 0 = 7; 1 ends; 2 load 0 = 7; 3 load 0 = 7",
     ""},
    {"StaleTranslationIsFlushed", "1 begins dontneed 0; 2 load 0 = 0; 1 ends; 3 load 0 = 1",
     "3 load 0 = 1: private garbage\n"},
    {"OnePageIsNotTheOther", "1 begins dontneed 0+2; 2 load 1 = 0; 2 load 0 = 1; 2 load 1 = 0; 1 ends; 2 load 0 = 0",
     ""},
    {"TwoAtOnce",
     "1 begins dontneed 0; 3 begins dontneed 0; 2 load 0 = 0; 2 store 0 5; 2 load 0 = 0; 1 ends; 3 ends;"
     "2 load 0 = 0",
     ""},
    {"TwoThatEndedKeepNothing", "1 begins dontneed 0; 3 begins dontneed 0; 1 ends; 3 ends; 2 load 0 = 1",
     "2 load 0 = 1: private garbage\n"},
    {"UnmapFaultsOrNot", "1 begins unmap 0; 2 load 0 = 1; 2 load 0 = SIGSEGV; 3 load 0 = 1; 1 ends; 3 load 0 = SIGSEGV",
     ""},
    {"UnmapIsDoneAtItsEnd", "1 begins unmap 0; 2 load 0 = 1; 1 ends; 2 load 0 = 1",
     "2 load 0 = 1: access wrong-result\n"},
    {"MapOver",
     "1 begins map 0 r; 2 load 0 = 1; 3 load 0 = 0; 2 store 0 5; 1 ends; 2 load 0 = 0; 2 store 0 5 = SIGSEGV", ""},
    {"MapMayFailFromEarlier", "1 begins map 0 rw noreplace; 2 unmap 0; 1 ends = EEXIST; 2 load 0 = SIGSEGV", ""},
    {"MapMayComeAfterUnmap", "1 begins map 0 rw noreplace; 2 unmap 0; 1 ends; 2 load 0 = 0", ""},
    {"HoleThatWasMapped", "3 unmap 1; 1 begins dontneed 0+2; 2 map 1 rw; 1 ends = ENOMEM", ""},
    {"HoleThatIsMapped", "3 unmap 1; 1 begins dontneed 0+2; 2 map 1 rw; 1 ends", ""},
    {"FailureThatChangedSomething", "1 begins dontneed 0; 2 load 0 = 0; 1 ends = ENOMEM short",
     "1 ends = ENOMEM short: access wrong-result\n"},
    {"FailureThatChangedNothing", "1 begins dontneed 0; 2 load 0 = 1; 1 ends = ENOMEM short; 2 load 0 = 1", ""},
};

constexpr OverlapCase kProtections[] = {
    {"StoreUntilItIsDone", "1 begins protect 0 r; 2 store 0 5; 1 ends; 2 load 0 = 5; 2 store 0 6 = SIGSEGV", ""},
    {"StoreFaultsEarly", "1 begins protect 0 r; 2 store 0 5 = SIGSEGV; 1 ends; 2 load 0 = 1", ""},
    {"NotBackAndForth", "1 begins protect 0 r; 2 store 0 5 = SIGSEGV; 2 store 0 6",
     "2 store 0 6: access wrong-result\n"},
    {"EachPageByItself", "1 begins protect 0+2 r; 2 store 1 5 = SIGSEGV; 2 store 0 5; 1 ends; 2 load 0 = 5", ""},
    {"RightsComeEarly", "1 protect 0 none; 1 begins protect 0 rw; 2 load 0 = SIGSEGV; 2 load 0 = 1; 1 ends", ""},
    {"RightsStay", "1 begins protect 0 r; 1 ends; 2 store 0 5", "2 store 0 5: access wrong-result\n"},
    {"PinBeforeOrAfter", "1 begins protect 0 r; 2 pin 0 write = EFAULT; 2 pin 0 long = 1; 1 ends", ""},
    {"PinByTheOldRights", "1 begins protect 0 r; 2 pin 0 write = 1; 1 ends; 0 dma-write 0 5; 2 load 0 = 5", ""},
    {"ChildHasTheOldRights", "1 begins protect 0 r; 2 fork; 1 ends; 4 store 0 5; 2 store 0 5 = SIGSEGV", ""},
    {"ChildHasTheNewRights", "1 begins protect 0 r; 2 fork; 1 ends; 4 store 0 5 = SIGSEGV", ""},
    {"HoleStopsIt", "1 unmap 2; 1 begins protect 0+4 r; 2 store 0 5 = SIGSEGV; 1 ends = ENOMEM; 2 store 3 5", ""},
    {"NotBehindTheHole", "1 unmap 2; 1 begins protect 0+4 r; 2 store 3 5 = SIGSEGV",
     "2 store 3 5 = SIGSEGV: access wrong-result\n"},
};

constexpr OverlapCase kPins[] = {
    {"AttachedAfterDiscard", "1 begins pin 0 write; 2 dontneed 0; 1 ends = 1; 2 store 0 5; 0 dma-read 0 = 5", ""},
    {"DetachedBeforeDiscard", "1 begins pin 0 write; 2 dontneed 0; 1 ends = 1; 2 store 0 5; 0 dma-read 0 = 1", ""},
    {"OneOfBoth",
     "1 begins pin 0 write; 2 dontneed 0; 1 ends = 1; 2 store 0 5; 0 dma-read 0 = 1; 2 store 0 6;"
     "0 dma-read 0 = 6",
     "0 dma-read 0 = 6: reference garbage\n"},
    {"AfterTheDiscardEnded", "2 begins dontneed 0; 2 ends; 1 begins pin 0 write; 1 ends = 1; 0 dma-read 0 = 1",
     "0 dma-read 0 = 1: write-pin stale-dma\n"},
    {"BothOverlap", "1 begins pin 0 write; 2 begins dontneed 0; 1 ends = 1; 2 ends; 2 store 0 5; 0 dma-read 0 = 1", ""},
    {"StaleDma", "1 begins pin 0 write; 2 store 0 5; 1 ends = 1; 2 store 0 6; 0 dma-read 0 = 5",
     "0 dma-read 0 = 5: write-pin stale-dma\n"},
    {"LostDma", "1 begins pin 0 write; 2 store 0 5; 1 ends = 1; 0 dma-write 0 6; 2 load 0 = 5",
     "2 load 0 = 5: write-pin lost-dma\n"},
    {"ShortReaderMayHaveLookedBefore", "1 begins pin 0 read; 2 store 0 5; 1 ends = 1; 0 dma-read 0 = 1", ""},
    {"ShortReaderThatBeganLater", "2 store 0 5; 1 begins pin 0 read; 1 ends = 1; 0 dma-read 0 = 1",
     "0 dma-read 0 = 1: read-pin stale-dma\n"},
    {"FailsFromEarlier", "3 unmap 0; 1 begins pin 0 write; 2 map 0 rw; 1 ends = EFAULT", ""},
    {"FailsForNothing", "1 begins pin 0 write; 2 store 0 5; 1 ends = EFAULT", "1 ends = EFAULT: access wrong-result\n"},
    {"SomePages", "3 unmap 1; 1 begins pin 0+2 write; 2 map 1 rw; 1 ends = 1", ""},
    {"AllPages", "3 unmap 1; 1 begins pin 0+2 write; 2 map 1 rw; 1 ends = 2; 2 store 1 5; 0 dma-read 1 = 5", ""},
    {"PagesInOrder",
     "1 begins pin 0+2 write; 2 dontneed 1; 2 dontneed 0; 1 ends = 2; 2 store 0 5; 2 store 1 6;"
     "0 dma-read 1 = 2; 0 dma-read 0 = 5",
     "0 dma-read 0 = 5: reference garbage\n"},
    {"EmptyHanded", "1 begins pin 0 write; 2 dontneed 0; 1 ends = ENOMEM short; 2 load 0 = 0", ""},
    {"GivesUp", "1 begins pin 0 write; 2 dontneed 0; 1 gives-up; 1 pin 0 write = 1; 2 store 0 5; 0 dma-read 0 = 5", ""},
};

constexpr OverlapCase kForks[] = {
    {"StoreBefore", "1 begins fork; 2 store 0 5; 1 ends; 4 load 0 = 5; 2 load 0 = 5", ""},
    {"StoreAfter", "1 begins fork; 2 store 0 5; 1 ends; 4 load 0 = 1; 2 load 0 = 5; 4 load 0 = 1", ""},
    {"OneMoment", "1 begins fork; 2 store 0 5; 2 store 1 6; 1 ends; 4 load 0 = 1; 4 load 1 = 6",
     "4 load 1 = 6: private leak\n"},
    {"OneMomentBetween", "1 begins fork; 2 store 0 5; 2 store 1 6; 1 ends; 4 load 0 = 5; 4 load 1 = 2", ""},
    {"WholeAtItsEnd", "1 begins fork; 1 ends; 2 store 0 5; 4 load 0 = 5", "4 load 0 = 5: private leak\n"},
    {"ParentKeepsItsStore", "1 begins fork; 2 store 0 5; 1 ends; 2 load 0 = 1", "2 load 0 = 1: private lost-write\n"},
    {"DiscardBefore", "1 begins fork; 2 dontneed 0; 1 ends; 4 load 0 = 0", ""},
    {"DiscardAfter", "1 begins fork; 2 dontneed 0; 1 ends; 4 load 0 = 1", ""},
    {"DiscardsOfPagesAreInOrder", "1 begins dontneed 0+2; 3 begins fork; 3 ends; 1 ends; 4 load 0 = 1; 4 load 1 = 0",
     "4 load 1 = 0: private lost-write\n"},
    {"SomeOfTheDiscards", "1 begins dontneed 0+2; 3 begins fork; 3 ends; 1 ends; 4 load 0 = 0; 4 load 1 = 2", ""},
    {"Fails", "1 begins fork; 2 store 0 5; 1 ends = ENOMEM short; 2 load 0 = 5", ""},
    {"FailsForNothing", "1 begins fork; 1 ends = ENOMEM", "1 ends = ENOMEM: access wrong-result\n"},
    {"ProvesItselfThroughTheMark", "1 begins dontfork 0; 2 fork; 1 ends; 4 load 0 = SIGSEGV", ""},
};

// A pinned page is copied while others go on writing: each of its words at a moment of its own.
constexpr OverlapCase kTorn[] = {
    {"OldValue", "1 pin 0 write = 1; 1 begins fork; 2 store 0 5; 1 ends; 4 load 0 = 1", ""},
    {"NewValue", "1 pin 0 write = 1; 1 begins fork; 2 store 0 5; 1 ends; 4 load 0 = 5", ""},
    {"OneOfThem", "1 pin 0 write = 1; 1 begins fork; 2 store 0 5; 1 ends; 4 load 0 = 5; 4 load 0 = 1",
     "4 load 0 = 1: private lost-write\n"},
    {"NeitherAfterTheEnd", "1 pin 0 write = 1; 1 begins fork; 1 ends; 2 store 0 5; 4 load 0 = 5",
     "4 load 0 = 5: private leak\n"},
    {"WordsInAnyOrder",
     "1 pin 0 write = 1; 1 begins fork; 2 store 0.0 5; 2 store 0.1 6; 1 ends; 4 load 0.0 = 1;"
     "4 load 0.1 = 6",
     ""},
    {"ByTheDevice",
     "1 pin 0 write = 1; 1 begins fork; 0 dma-write 0.0 5; 0 dma-write 0.1 6; 1 ends;"
     "4 load 0.0 = 1; 4 load 0.1 = 6",
     ""},
    {"OtherPagesAreNot",
     "1 pin 0 write = 1; 1 begins fork; 2 store 1.0 5; 2 store 1.1 6; 1 ends; 4 load 1.0 = 2;"
     "4 load 1.1 = 6",
     "4 load 1.1 = 6: private leak\n"},
    {"APinThatIsComing",
     "1 begins fork; 3 begins pin 0 write; 2 store 0.0 5; 2 store 0.1 6; 1 ends; 3 ends = 1;"
     "4 load 0.0 = 1; 4 load 0.1 = 6",
     ""},
    {"APinThatIsGone",
     "1 pin 0 write = 1; 0 unpin; 1 begins fork; 2 store 0.0 5; 2 store 0.1 6; 1 ends;"
     "4 load 0.0 = 1; 4 load 0.1 = 6",
     "4 load 0.1 = 6: private leak\n"},
    {"AValueInBetween", "1 pin 0 write = 1; 1 begins fork; 2 store 0 5; 2 store 0 6; 1 ends; 4 load 0 = 5", ""},
    {"NeverAValueOfLater", "1 pin 0 write = 1; 1 begins fork; 2 store 0 5; 1 ends; 2 store 0 6; 4 load 0 = 6",
     "4 load 0 = 6: private leak\n"},
    {"TheParentIsWhole", "1 pin 0 write = 1; 1 begins fork; 2 store 0 5; 1 ends; 2 load 0 = 5; 0 dma-read 0 = 5", ""},
    {"TheParentIsWholeAlways", "1 pin 0 write = 1; 1 begins fork; 2 store 0 5; 1 ends; 0 dma-read 0 = 1",
     "0 dma-read 0 = 1: write-pin stale-dma\n"},
};

constexpr OverlapCase kOthers[] = {
    {"LastStoreCounts", "1 begins store 0 5; 2 begins store 0 6; 2 ends; 1 ends; 2 load 0 = 5", ""},
    {"StoreOfWhoEndedFirst", "1 begins store 0 5; 2 begins store 0 6; 2 ends; 1 ends; 2 load 0 = 6",
     "2 load 0 = 6: private lost-write\n"},
    {"LoadIsAtItsEnd", "1 begins load 0; 2 store 0 5; 1 ends = 1", "1 ends = 1: private lost-write\n"},
    {"PokeEarly", "3 begins poke 0 5; 2 load 0 = 5; 2 store 0 6; 3 ends; 2 load 0 = 6", ""},
    {"PokeLate", "3 begins poke 0 5; 2 load 0 = 1; 2 store 0 6; 3 ends; 2 load 0 = 5", ""},
    {"PokeLost", "3 begins poke 0 5; 2 load 0 = 1; 3 ends; 2 load 0 = 1", "2 load 0 = 1: force lost-write\n"},
    {"PokeThatFailed", "3 begins poke 0 5; 2 load 0 = 5; 3 ends = EFAULT", "3 ends = EFAULT: access wrong-result\n"},
    {"PeekEarly", "3 begins peek 0; 2 store 0 5; 3 ends = 1", ""},
    {"PeekLate", "3 begins peek 0; 2 store 0 5; 3 ends = 5", ""},
    {"PeekNever", "3 begins peek 0; 2 store 0 5; 3 ends = 6", "3 ends = 6: private lost-write\n"},
    {"PeekOfAHoleThatWas", "3 begins peek 0; 2 unmap 0; 2 map 0 rw; 3 ends = EFAULT", ""},
    {"PinBeforeExec", "0 fork; 5 begins pin 0 write; 0 exec; 5 ends = 1; 0 dma-read 0 = 1", ""},
    {"PinAfterExec", "0 fork; 5 begins pin 0 write; 0 exec; 5 ends = EFAULT", ""},
    {"PinAfterExit", "0 fork; 5 begins pin 0 write; 0 exit; 5 ends = ESRCH", ""},
    {"PeekHeldMemoryOrNot", "5 begins peek 0; 0 exit; 5 ends = 1", ""},
    {"PeekFoundNobody", "5 begins peek 0; 0 exit; 5 ends = ESRCH", ""},
    {"PeekComesTooLate", "0 exit; 5 begins peek 0; 5 ends = 1", "5 ends = 1: access wrong-result\n"},
    {"PeekOfWhatExecLeft", "5 begins peek 0; 0 exec; 5 ends = 1", ""},
    {"PeekOfWhatExecMade", "5 begins peek 0; 0 exec; 5 ends = EFAULT", ""},
    {"PeekIsOfTheProcess", "5 begins peek 0; 0 exec; 5 ends = ESRCH", "5 ends = ESRCH: access wrong-result\n"},
    {"PeekOfWhatTwoExecsLeft", "5 begins peek 0; 0 exec; 0 map 0 rw; 0 store 0 7; 0 exec; 5 ends = 7", ""},
    {"PokeWhenAllHaveGone",
     "5 pin 0 write = 1; 6 begins poke 0 9; 0 exit; 5 dma-read 0 = 1; 5 dma-read 0 = 9; 6 ends; 5 dma-read 0 = 9", ""},
    {"PokeStays", "5 pin 0 write = 1; 6 begins poke 0 9; 0 exit; 5 dma-read 0 = 9; 5 dma-read 0 = 1",
     "5 dma-read 0 = 1: write-pin stale-dma\n"},
    {"PokeThatFailedHasNotBeen", "5 pin 0 write = 1; 6 begins poke 0 9; 0 exit; 5 dma-read 0 = 9; 6 ends = ESRCH",
     "6 ends = ESRCH: access wrong-result\n"},
    {"PokeAfterAllHasGone",
     "5 pin 0 write = 1; 6 begins poke 0 9; 7 begins peek 0; 0 exit; 7 ends = 1; 6 ends; 5 dma-read 0 = 9", ""},
    {"ExecWasEarly", "0 fork; 0 begins exec; 5 peek 0 = EFAULT; 5 peek 0 = 1", "5 peek 0 = 1: access wrong-result\n"},
    {"NothingChangesNothing", "1 begins nothing; 2 store 0 5; 1 ends; 2 load 0 = 5", ""},
    {"PopulateFromEarlier", "1 unmap 1; 1 begins populate 0+2; 2 map 1 rw; 1 ends = ENOMEM", ""},
};

// The snapshot is the child, in which nothing happens.
constexpr OverlapCase kRestores[] = {
    {"OneOrTheOther", "0 fork; 0 store 0 5; 1 begins restore; 2 load 0 = 5; 2 load 0 = 1; 1 ends; 2 load 0 = 1", ""},
    {"IsDoneAtItsEnd", "0 fork; 0 store 0 5; 1 begins restore; 1 ends; 2 load 0 = 5",
     "2 load 0 = 5: private lost-write\n"},
    {"StaleTranslationReads", "0 fork; 0 store 0 5; 1 begins restore; 2 load 0 = 1; 3 load 0 = 5; 1 ends; 3 load 0 = 1",
     ""},
    {"StoreBeforeIsLost", "0 fork; 1 begins restore; 2 store 0 5; 1 ends; 2 load 0 = 1", ""},
    {"StoreAfterIsKept", "0 fork; 1 begins restore; 2 store 0 5; 1 ends; 2 load 0 = 5", ""},
    {"PinsKeepTheirPages",
     "0 fork; 0 pin 0 write = 1; 0 restore; 0 dma-write 0 7; 2 load 0 = 1; 0 dma-read 0 = 7; 2 store 0 8;"
     "0 dma-read 0 = 7",
     ""},
    {"AgainAndAgain", "0 fork; 0 store 0 5; 0 restore; 2 load 0 = 1; 0 unmap 0+2; 0 restore; 2 load 1 = 2", ""},
};

std::string case_name(const testing::TestParamInfo<OverlapCase>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Discard, Overlaps, testing::ValuesIn(kDiscards), case_name);
INSTANTIATE_TEST_SUITE_P(Protect, Overlaps, testing::ValuesIn(kProtections), case_name);
INSTANTIATE_TEST_SUITE_P(Pin, Overlaps, testing::ValuesIn(kPins), case_name);
INSTANTIATE_TEST_SUITE_P(Fork, Overlaps, testing::ValuesIn(kForks), case_name);
INSTANTIATE_TEST_SUITE_P(Torn, Overlaps, testing::ValuesIn(kTorn), case_name);
INSTANTIATE_TEST_SUITE_P(Restore, Overlaps, testing::ValuesIn(kRestores), case_name);
INSTANTIATE_TEST_SUITE_P(Other, Overlaps, testing::ValuesIn(kOthers), case_name);

std::size_t pasts_after(const std::string& story) {
  Overlap overlap;
  EXPECT_EQ(overlap.tell("0 map 0+4 rw; 0 store 0 1; 0 store 1 2; " + story), "");
  return overlap.reference().pasts();
}

TEST(Reference, HasOnePastWhereNothingOverlaps) {
  EXPECT_EQ(pasts_after("1 dontneed 0; 2 store 0 5; 1 fork; 2 pin 0+2 write = 2; 0 dma-write 0 7; 1 protect 0 r"), 1u);
}

TEST(Reference, DoesNotTellApartWhatNobodyCan) {
  EXPECT_EQ(pasts_after("1 begins dontneed 0; 2 store 1 5; 2 load 1 = 5"), 1u) << "another page";
  EXPECT_EQ(pasts_after("1 begins pin 0 write; 2 load 0 = 1; 2 store 0 5"), 1u) << "a pin for writing follows stores";
  EXPECT_EQ(pasts_after("1 begins protect 0 r; 2 load 0 = 1; 2 load 0 = 1"), 1u)
      << "a load may be done before and after";
  EXPECT_EQ(pasts_after("1 begins fork; 2 load 0 = 1"), 1u) << "both have what it reads";
  EXPECT_EQ(pasts_after("1 begins dontneed 0; 2 store 0 5; 1 ends; 2 load 0 = 5"), 1u) << "seen to be kept";
  EXPECT_EQ(pasts_after("1 begins dontneed 0; 2 store 0 5; 1 ends; 2 load 0 = 0"), 1u) << "seen to be lost";
}

TEST(Reference, RemembersWhatIsOpen) {
  EXPECT_EQ(pasts_after("1 begins dontneed 0; 2 store 0 5; 1 ends"), 2u);
  EXPECT_EQ(pasts_after("1 pin 0 write = 1; 1 begins fork; 2 store 0 5; 1 ends"), 2u);
  EXPECT_EQ(pasts_after("1 begins dontneed 0+4; 2 fork; 1 ends"), 3u)
      << "the pages that hold something, in their order";
}

TEST(Reference, EqualPastsAreEqualBytes) {
  Overlap one;
  Overlap other;
  ASSERT_EQ(one.tell("0 map 0 rw; 1 begins dontneed 0; 2 store 0 5; 1 ends; 2 store 0 6"), "");
  ASSERT_EQ(other.tell("0 map 0 rw; 1 dontneed 0; 2 store 0 5; 2 store 0 6"), "");
  const std::vector<std::byte> expected(other.reference().bytes().begin(), other.reference().bytes().end());
  const std::vector<std::byte> found(one.reference().bytes().begin(), one.reference().bytes().end());
  EXPECT_EQ(found, expected);
}

TEST(Reference, SaysWhenItHasTooManyPasts) {
  Overlap overlap;
  std::string story = "0 map 0+16 rw; 1 pin 0+16 write = 16; 1 begins fork";
  for (int page = 0; page < 16; ++page) story += "; 2 store " + std::to_string(page) + " 5";
  EXPECT_EQ(overlap.tell(story), "");
  EXPECT_FALSE(overlap.reference().overflowed());
  EXPECT_EQ(overlap.tell("1 ends"), "");
  EXPECT_TRUE(overlap.reference().overflowed());
  overlap.reference().clear();
  EXPECT_FALSE(overlap.reference().overflowed());
}

TEST(Reference, AfterABreachAllGoesOnAsItShould) {
  Overlap overlap;
  EXPECT_NE(overlap.tell("0 map 0 rw; 0 store 0 1; 1 begins dontneed 0; 1 ends; 2 load 0 = 1"), "");
  EXPECT_EQ(overlap.tell("2 load 0 = 0; 2 store 0 3; 2 load 0 = 3"), "");
  EXPECT_EQ(overlap.reference().pasts(), 1u);
}

TEST(Reference, BreachNamesAllThatWasAllowed) {
  Overlap overlap;
  EXPECT_EQ(overlap.tell("0 map 0 rw; 0 store 0 1; 1 begins dontneed 0; 2 store 0 5; 1 ends"), "");
  Reference& reference = overlap.reference();
  const spec::Judgement judgement =
      reference.run(2, {.kind = Call::Kind::kRead, .process = 0, .page = 0}, {.value = 9});
  EXPECT_FALSE(judgement.ok());
  ASSERT_EQ(judgement.allowed_count, 2u);
  EXPECT_EQ(judgement.allowed[0] + judgement.allowed[1], 5);
}

}  // namespace
}  // namespace cowherd::check
