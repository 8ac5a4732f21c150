#include "spec/spec.hpp"

#include <gtest/gtest.h>

#include <string>

#include "spec/story_test.hpp"

namespace cowherd::spec {
namespace {

const StoryCase kAccess[] = {
    {"UntouchedMemoryIsZero", R"(
      space P
      P map 0+2 rw
      P read 0.0 = 0
      P read 1.3 = 0
      P read 1.3 = 5 -> private garbage)"},
    {"ProtectionDecides", R"(
      space P
      P read 0.0 = SIGSEGV
      P read 0.0 = 0 -> access wrong-result SIGSEGV
      P write 0.0 1 -> access wrong-result SIGSEGV
      P map 0+1 none
      P read 0.0 = SIGSEGV
      P protect 0+1 r
      P read 0.0 = 0
      P write 0.0 1 = SIGSEGV
      P write 0.0 1 -> access wrong-result SIGSEGV
      P read 0.0 = 0
      P protect 0+1 w
      P write 0.0 2
      P read 0.0 = 2
      P read 0.0 = SIGSEGV -> access wrong-result 0
      P protect 0+1 rw
      P write 0.0 3 = SIGSEGV -> access wrong-result 0
      P read 0.0 = 3)"},
    {"ShortageExcusesAndChangesNothing", R"(
      space P
      P map 0+1 rw = ENOMEM short
      P read 0.0 = SIGSEGV
      P map 0+1 rw = ENOMEM -> access wrong-result 0
      P write 0.0 1
      P write 0.0 2 = SIGBUS short
      P read 0.0 = 1
      P write 0.0 2 = SIGBUS -> access wrong-result 0
      P read 0.0 = SIGBUS short
      P read 0.0 = SIGSEGV short -> access wrong-result 0
      P unmap 0+1 = ENOMEM short
      P read 0.0 = 2
      P advise 0+1 dontneed = EAGAIN short
      P read 0.0 = 2
      P unmap 0+1
      P read 0.0 = SIGBUS short)"},
    {"MapReplacesUnlessForbidden", R"(
      space P
      P map 0+1 rw
      P write 0.0 1
      P map 0+2 rw noreplace = EEXIST
      P map 0+2 rw noreplace -> access wrong-result EEXIST
      P read 0.0 = 1
      P read 1.0 = SIGSEGV
      P map 0+2 rw populate
      P read 0.0 = 0
      P map 0+1 rw = EEXIST -> access wrong-result 0
      P map 2+1 r noreplace
      P unmap 1+2
      P unmap 1+2
      P read 1.0 = SIGSEGV
      P read 2.0 = SIGSEGV)"},
    {"ProtectStopsAtHole", R"(
      space P
      P map 0+1 rw
      P map 2+1 rw
      P protect 0+3 r = ENOMEM
      P write 0.0 1 = SIGSEGV
      P write 2.0 1
      P protect 0+3 r -> access wrong-result ENOMEM
      P protect 1+2 r = ENOMEM
      P write 2.0 2)"},
    {"AdviseSkipsHoles", R"(
      space P
      P map 0+1 rw
      P map 2+1 rw
      P write 0.0 1
      P write 2.0 2
      P advise 0+3 dontneed = ENOMEM
      P read 0.0 = 0
      P read 2.0 = 0
      P advise 0+3 dontneed -> access wrong-result ENOMEM
      P advise 0+1 dontneed = ENOMEM -> access wrong-result 0)"},
    {"PopulateChecksInOrder", R"(
      space P
      P map 0+1 r
      P map 2+1 none
      P advise 0+1 populate-read
      P advise 0+1 populate-write = EINVAL
      P advise 0+1 populate-write -> access wrong-result EINVAL
      P advise 0+2 populate-read = ENOMEM
      P advise 0+2 populate-write = EINVAL
      P advise 2+1 populate-read = EINVAL
      P advise 1+2 populate-read = ENOMEM
      P map 3+1 w
      P advise 3+1 populate-read
      P advise 3+1 populate-read = EINVAL
      P advise 3+1 populate-write
      P advise 3+1 populate-write = EINVAL -> access wrong-result 0)"},
    {"PinCountsPages", R"(
      space P
      P map 0+2 rw
      P map 3+1 r
      d pin P 0+2 w = 2
      d unpin
      d pin P 0+3 w = 2
      d unpin
      d pin P 0+2 w = 1 -> access wrong-result 0
      d read 1.0 = 0
      d unpin
      d pin P 0+2 w = 3 -> access wrong-result 0
      d unpin
      d pin P 0+2 w = 1 short
      d read 1.0 = ENXIO
      d unpin
      d pin P 0+2 w = ENOMEM short
      d pin P 0+2 w = ENOMEM -> access wrong-result 0
      d pin P 2+2 w = EFAULT
      d pin P 2+2 w = 1 -> access wrong-result EFAULT
      d read 0.0 = ENXIO
      d pin P 3+1 w = EFAULT
      d pin P 3+1 - = 1
      d unpin
      d pin P 3+1 w,force = 1
      d unpin
      d pin P 2+1 force = EFAULT
      d pin P 0+2 nofault = 1
      d unpin
      d pin P 0+2 nofault = EFAULT
      d pin P 0+2 - = EFAULT -> access wrong-result 0
      d pin P 0+1 get,long = EINVAL
      d pin P 0+1 get,long = 1 -> access wrong-result EINVAL
      d pin P 2+1 nofault = 1 -> access wrong-result EFAULT)"},
    {"PinOfWriteOnlyPageMayGoEitherWay", R"(
      space P
      P map 0+2 w
      d pin P 0+1 - = EFAULT
      d pin P 0+1 - = 1
      d unpin
      d pin P 0+1 w = EFAULT -> access wrong-result 0
      d pin P 0+1 - = 0 -> access wrong-result 0
      d unpin
      P protect 1+1 r
      d pin P 0+2 - = EFAULT
      P protect 1+1 w
      P protect 0+1 r
      d pin P 0+2 - = 1
      d unpin
      d pin P 0+2 - = 2
      d unpin
      d pin P 0+2 - = EFAULT -> access wrong-result 0)"},
    {"DeviceErrors", R"(
      space P
      P map 0+1 rw
      d pin P 0+1 - = 1
      d write 0.0 1 = EPERM
      d write 0.0 1 -> access wrong-result EPERM
      d read 1.0 = ENXIO
      d write 1.0 1 = ENXIO
      d write 1.0 1 = EPERM
      d write 1.0 1 -> access wrong-result ENXIO
      d read 1.0 = 0 -> access wrong-result ENXIO
      d read 0.0 = ENXIO -> access wrong-result 0
      d unpin
      d read 0.0 = ENXIO
      d write 0.0 1 = ENXIO
      d write 0.0 1 = EPERM -> access wrong-result ENXIO
      d unpin)"},
};

INSTANTIATE_TEST_SUITE_P(Access, JudgedStory, testing::ValuesIn(kAccess), name_of_story);

}  // namespace
}  // namespace cowherd::spec
