#include <gtest/gtest.h>

#include <string>

#include "spec/story_test.hpp"

namespace cowherd::spec {
namespace {

const StoryCase kMoves[] = {
    {"APageAndItsPinMove", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      d pin P 0+1 w,long = 1
      P remap 0+1 2+1 fixed
      P read 2.0 = 1
      P write 2.0 2
      d read 0.0 = 1 -> write-pin stale-dma
      d read 0.0 = 2
      d write 0.0 3
      P read 2.0 = 2 -> write-pin lost-dma
      P read 2.0 = 3
      P read 0.0 -> access wrong-result SIGSEGV
      P read 0.0 = SIGSEGV)"},
    {"TheNewAddressIsDiscarded", R"(
      space P
      P map 0+2 rw
      P write 0.0 1
      P write 1.0 2
      d pin P 1+1 w = 1
      P remap 0+1 1+1 fixed
      P read 1.0 = 1
      P read 1.0 = 2 -> private lost-write
      d read 0.0 = 2
      d write 0.0 3
      P read 1.0 = 1)"},
    {"LeavingZerosBehind", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      d pin P 0+1 w = 1
      P remap 0+1 2+1 fixed leave
      P read 0.0 = 0
      P write 0.0 5
      d read 0.0 = 1
      P read 2.0 = 1
      P read 0.0 = 1 -> private lost-write)"},
    {"WhatMovedIsHandedOn", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      P advise 0+1 wipeonfork
      P remap 0+1 2+1 fixed
      P fork C
      C read 2.0 = 0
      P advise 2+1 keeponfork
      P fork D
      P write 2.0 2
      D read 2.0 = 1
      D read 2.0 = 2 -> private leak)"},
    {"AMovedPinDetachesWhereItsPageIs", R"(
      space P
      P map 0+2 rw
      P write 0.0 1
      P write 1.0 2
      d pin P 0+2 w = 2
      P remap 0+1 3+1 fixed
      P map 0+1 rw
      P write 0.0 9
      d read 0.0 = 1
      P unmap 3+1
      P map 3+1 rw
      P write 3.0 8
      d read 0.0 = 1
      d read 1.0 = 2)"},
    {"GrowingAndShrinking", R"(
      space P
      P map 0+1 r
      P remap 0+1 0+3
      P read 2.0 = 0
      P write 2.0 1 -> access wrong-result SIGSEGV
      P remap 0+3 0+1
      P read 1.0 = SIGSEGV
      P map 1+1 rw
      P remap 0+1 0+3 = ENOMEM
      P remap 0+1 0+3 -> access wrong-result ENOMEM)"},
    {"Errors", R"(
      space P
      P remap 0+1 2+1 fixed = EFAULT
      P remap 0+1 2+1 fixed -> access wrong-result EFAULT
      P map 0+2 rw
      P remap 0+1 2+1 stuck = EINVAL
      P remap 0+2 1+2 fixed = EINVAL
      P remap 0+1 2+2 fixed leave = EINVAL
      P remap 0+2 2+2 fixed = EFAULT
      P remap 0+1 2+1 fixed = EFAULT -> access wrong-result 0
      P remap 1+1 4+1 fixed = ENOMEM short
      P read 1.0 = 0)"},
};

INSTANTIATE_TEST_SUITE_P(Moves, JudgedStory, testing::ValuesIn(kMoves), name_of_story);

}  // namespace
}  // namespace cowherd::spec
