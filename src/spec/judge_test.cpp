#include <gtest/gtest.h>

#include <string>

#include "spec/spec.hpp"
#include "spec/story_test.hpp"

namespace cowherd::spec {
namespace {

TEST_P(JudgedStory, IsJudgedLineByLine) { EXPECT_EQ(tell_all(GetParam().text, false), ""); }
TEST_P(JudgedStory, IsJudgedTheSameAfterASnapshot) { EXPECT_EQ(tell_all(GetParam().text, true), ""); }

const StoryCase kPrivate[] = {
    {"ForkCopies", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      P write 0.1 2
      P fork C
      P write 0.0 3
      C write 0.1 4
      P read 0.0 = 3
      P read 0.1 = 2
      C read 0.0 = 1
      C read 0.1 = 4)"},
    {"ChildSeesParent", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      P fork C
      P write 0.0 2
      C read 0.0 = 2 -> private leak)"},
    {"ParentSeesChild", R"(
      space P
      P map 0+1 rw
      P fork C
      C write 0.0 2
      P read 0.0 = 2 -> private leak)"},
    {"ValueFromBeforeForkIsNoLeak", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      P write 0.0 2
      P fork C
      C read 0.0 = 1 -> private lost-write)"},
    {"LostCpuWrite", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      P write 0.0 2
      P read 0.0 = 1 -> private lost-write
      P read 0.0 = 0 -> private lost-write
      P read 0.0 = 2)"},
    {"GarbageWhereNobodyWrote", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      P advise 0+1 dontneed
      P read 0.0 = 1 -> private garbage
      P read 0.1 = 9 -> private garbage)"},
    {"DeadProcessLeaks", R"(
      space P
      space Q
      P map 0+1 rw
      P write 0.0 7
      P drop
      Q map 1+1 rw
      Q read 1.0 = 7 -> private leak
      space R
      R map 0+1 rw
      R read 0.0 = 7 -> private leak)"},
    {"SameValueOfBothIsNoLeak", R"(
      space P
      space Q
      P map 0+1 rw
      Q map 0+1 rw
      P write 0.0 7
      Q write 0.0 7
      Q write 0.0 8
      Q read 0.0 = 7 -> private lost-write)"},
    {"DontForkLeavesHole", R"(
      space P
      P map 0+2 rw
      P write 0.0 1
      P write 1.0 2
      P advise 0+1 dontfork
      P fork C
      C read 0.0 = SIGSEGV
      C read 1.0 = 2
      C map 0+1 rw
      C read 0.0 = 1 -> private leak
      P advise 0+1 dofork
      P fork D
      D read 0.0 = 1)"},
    {"WipeOnForkWipesEachGeneration", R"(
      space P
      P map 0+2 rw
      P write 0.0 1
      P write 1.0 2
      P advise 0+1 wipeonfork
      P fork C
      P read 0.0 = 1
      C read 0.0 = 0
      C read 0.0 = 1 -> private leak
      C read 0.0 = 99 -> private garbage
      C read 1.0 = 2
      C write 0.0 3
      C fork G
      G read 0.0 = 0
      C advise 0+1 keeponfork
      C fork H
      H read 0.0 = 3)"},
    {"NewMappingForgetsForkAdvice", R"(
      space P
      P map 0+2 rw
      P advise 0+1 dontfork
      P advise 1+1 wipeonfork
      P map 0+2 rw
      P write 0.0 1
      P write 1.0 2
      P fork C
      C read 0.0 = 1
      C read 1.0 = 2)"},
    {"ProtectionIsInherited", R"(
      space P
      P map 0+1 r
      P fork C
      C write 0.0 1 = SIGSEGV
      C protect 0+1 rw
      C write 0.0 1
      P write 0.0 1 = SIGSEGV)"},
};

const StoryCase kPins[] = {
    {"WritePinIsCoherentBothWays", R"(
      space P
      P map 0+2 rw
      P write 0.0 1
      d pin P 0+2 w,long = 2
      d read 0.0 = 1
      P write 0.0 2
      d read 0.0 = 2
      d read 0.0 = 1 -> write-pin stale-dma
      d write 1.2 3
      P read 1.2 = 3
      P read 1.2 = 0 -> write-pin lost-dma
      d read 0.0 = 77 -> write-pin garbage)"},
    {"CpuWriteAfterDmaIsTheOneLost", R"(
      space P
      P map 0+1 rw
      d pin P 0+1 w = 1
      d write 0.0 3
      P write 0.0 4
      P read 0.0 = 3 -> private lost-write)"},
    {"LossOutlivesThePin", R"(
      space P
      P map 0+1 rw
      d pin P 0+1 w,get = 1
      d write 0.0 3
      d unpin
      P read 0.0 = 0 -> write-pin lost-dma get
      P fork C
      C read 0.0 = 3
      C read 0.0 = 0 -> write-pin lost-dma get)"},
    {"ForkAndProtectAreNoDiscards", R"(
      space P
      P map 0+1 rw
      d pin P 0+1 w,long = 1
      P fork C
      P protect 0+1 r
      P protect 0+1 rw
      P write 0.0 2
      C write 0.0 3
      d read 0.0 = 2
      d read 0.0 = 3 -> reference leak
      d read 0.0 = 0 -> write-pin stale-dma
      d write 0.0 4
      C read 0.0 = 3
      C read 0.0 = 4 -> reference leak
      C drop
      d read 0.0 = 4)"},
    {"LongReadPinSeesOwner", R"(
      space P
      P map 0+1 rw
      d pin P 0+1 long = 1
      P write 0.0 1
      d read 0.0 = 1
      d read 0.0 = 0 -> read-pin stale-dma
      d read 0.0 = 5 -> read-pin garbage)"},
    {"ShortReadPinSawSomethingCurrent", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      P write 0.0 2
      d pin P 0+1 - = 1
      P write 0.0 3
      P write 0.0 4
      P write 0.1 5
      d read 0.0 = 2
      d read 0.0 = 3
      d read 0.0 = 4
      d read 0.0 = 2
      d read 0.0 = 1 -> read-pin stale-dma
      d read 0.0 = 5 -> read-pin stale-dma
      d read 0.1 = 0
      d read 0.1 = 5
      d unpin
      d pin P 0+1 get = 1
      d read 0.0 = 3 -> read-pin stale-dma get
      d read 0.0 = 4)"},
    {"ShortReadPinSeesOtherDevices", R"(
      space P
      P map 0+1 rw
      d pin P 0+1 - = 1
      e pin P 0+1 w = 1
      e write 0.0 1
      P force-write 0.0 2
      d read 0.0 = 0
      d read 0.0 = 1
      d read 0.0 = 2
      P unmap 0+1
      e write 0.0 3
      d read 0.0 = 1
      d read 0.0 = 3
      d read 0.0 = 9 -> reference garbage
      e unpin
      d read 0.0 = 3)"},
    {"ShortReadPinNeverSeesAnotherProcess", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      P fork C
      d pin C 0+1 get = 1
      P write 0.0 2
      d read 0.0 = 1
      d read 0.0 = 2 -> reference leak get)"},
    {"DetachedPageBelongsToItsPins", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      d pin P 0+1 w = 1
      e pin P 0+1 long = 1
      P unmap 0+1
      P map 0+1 rw
      P write 0.0 2
      d read 0.0 = 1
      d read 0.0 = 2 -> reference garbage
      d write 0.0 3
      e read 0.0 = 3
      e read 0.0 = 1 -> reference garbage
      P read 0.0 = 2
      P read 0.0 = 3 -> private lost-write
      f pin P 0+1 w = 1
      f read 0.0 = 2
      d unpin
      e read 0.0 = 3)"},
    {"DeviceIntoDiscardedPageHitsAnother", R"(
      space P
      space Q
      P map 0+1 rw
      d pin P 0+1 w,get = 1
      P unmap 0+1
      Q map 0+1 rw
      d write 0.0 9
      Q read 0.0 = 9 -> reference leak get
      Q write 0.1 8
      d read 0.1 = 8 -> reference leak get)"},
    {"PartOfAPinDetaches", R"(
      space P
      P map 0+3 rw
      d pin P 0+3 w = 3
      P advise 1+1 dontneed
      P write 0.0 1
      P write 1.0 2
      P write 2.0 3
      d read 0.0 = 1
      d read 1.0 = 0
      d read 2.0 = 3
      P map 2+1 rw
      P write 2.0 4
      d read 2.0 = 3)"},
    {"RestoreDetaches", R"(
      space P
      P map 0+2 rw
      P write 0.0 1
      P advise 1+1 wipeonfork
      P write 1.0 2
      P fork S
      d pin P 0+1 w = 1
      P write 0.0 3
      P unmap 1+1
      P restore S
      d read 0.0 = 3
      P read 0.0 = 1
      P read 1.0 = 0
      d write 0.0 4
      P read 0.0 = 1
      P write 0.0 5
      d read 0.0 = 4
      P restore S
      P read 0.0 = 1)"},
    {"ExitDetaches", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      d pin P 0+1 w = 1
      P drop
      d read 0.0 = 1
      d write 0.0 2
      d read 0.0 = 2
      space Q
      Q map 0+1 rw
      Q write 0.0 3
      d read 0.0 = 3 -> reference leak
      Q read 0.0 = 2 -> reference leak
      d unpin
      space R
      R map 0+1 rw
      R read 0.0 = 2 -> reference leak
      R read 0.0 = 1 -> private leak)"},
};

const StoryCase kForce[] = {
    {"ForceIgnoresProtection", R"(
      space P
      P force-read 0.0 = EFAULT
      P force-write 0.0 1 = EFAULT
      P force-write 0.0 1 -> access wrong-result EFAULT
      P map 0+1 none
      P force-write 0.0 1
      P force-read 0.0 = 1
      P force-read 0.0 = 0 -> force lost-write
      P force-write 0.0 2 = EFAULT -> access wrong-result 0
      P protect 0+1 r
      P read 0.0 = 2
      P read 0.0 = 0 -> force lost-write)"},
    {"ForceStaysInTheTarget", R"(
      space P
      P map 0+1 r
      P fork C
      P force-write 0.0 5
      C read 0.0 = 0
      C read 0.0 = 5 -> force leak
      d pin C 0+1 - = 1
      d read 0.0 = 5 -> reference leak)"},
    {"ForcedPinWritesReadOnlyMemory", R"(
      space P
      P map 0+1 r
      d pin P 0+1 w,force = 1
      d write 0.0 5
      P read 0.0 = 5
      P write 0.0 6 = SIGSEGV
      P read 0.0 = 0 -> write-pin lost-dma)"},
};

const StoryCase kHistory[] = {
    {"F1ChildGoneParentWrites", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      d pin P 0+1 w,force,long = 1
      P fork C
      C drop
      P write 0.0 2
      d read 0.0 = 1 -> write-pin stale-dma
      d read 0.0 = 2
      d write 0.0 3
      P read 0.0 = 2 -> write-pin lost-dma
      P read 0.0 = 3)"},
    {"F2ParentWritesWhileChildLives", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      d pin P 0+1 w,get = 1
      P fork C
      P write 0.0 2
      d read 0.0 = 1 -> write-pin stale-dma get)"},
    {"F3DmaIntoTheChild", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      d pin P 0+1 w,get = 1
      P fork C
      P write 0.0 2
      d write 0.0 9
      C read 0.0 = 9 -> reference leak get
      C read 0.0 = 1
      P read 0.0 = 2 -> write-pin lost-dma get)"},
    {"M1ChildReadsParentThroughPipe", R"(
      space P
      P map 0+1 rw
      P write 0.0 10
      P fork C
      h pin C 0+1 get = 1
      C unmap 0+1
      P write 0.0 11
      h read 0.0 = 11 -> reference leak get
      h read 0.0 = 10)"},
    {"W8ReadPinOfSharedPage", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      P fork C
      d pin P 0+1 long = 1
      P write 0.0 2
      d read 0.0 = 1 -> read-pin stale-dma
      g pin P 0+1 get = 1
      P write 0.0 3
      g read 0.0 = 2)"},
    {"W9LongReadPinOfZeroPage", R"(
      space P
      P map 0+1 rw
      P read 0.0 = 0
      d pin P 0+1 long = 1
      P write 0.0 1
      d read 0.0 = 0 -> read-pin stale-dma
      d read 0.0 = 1)"},
    {"W15DontNeedDetaches", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      d pin P 0+1 w = 1
      P advise 0+1 dontneed
      P read 0.0 = 0
      P write 0.0 2
      d read 0.0 = 1
      d write 0.0 3
      P read 0.0 = 2
      P fork C
      C read 0.0 = 2
      C read 0.0 = 3 -> reference leak)"},
};

INSTANTIATE_TEST_SUITE_P(Private, JudgedStory, testing::ValuesIn(kPrivate), name_of_story);
INSTANTIATE_TEST_SUITE_P(Pins, JudgedStory, testing::ValuesIn(kPins), name_of_story);
INSTANTIATE_TEST_SUITE_P(Force, JudgedStory, testing::ValuesIn(kForce), name_of_story);
INSTANTIATE_TEST_SUITE_P(History, JudgedStory, testing::ValuesIn(kHistory), name_of_story);

}  // namespace
}  // namespace cowherd::spec
