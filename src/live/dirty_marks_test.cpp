#include "live/dirty_marks.hpp"

#include <gtest/gtest.h>

#include "live/program_test.hpp"

namespace cowherd::live {
namespace {

std::string beyond(Way way, const std::string& flags, const std::string& let_go, const char* then = "swapout(x);") {
  const litmus::Program test = program(
      "P0() { pin(d, x, " + flags + "); dma_read(d); " + let_go + "(d); " + then + " }", "x = anon(1); d = device;");
  return beyond_dirty_marks(test, 0, way);
}

bool names(const std::string& reason, const char* part) { return reason.find(part) != std::string::npos; }

TEST(DirtyMarks, ARingNeverMarks) {
  EXPECT_TRUE(names(beyond(Way::kRing, "FOLL_WRITE", "unpin_dirty"), "does not mark dirty"));
  EXPECT_EQ(beyond(Way::kRing, "FOLL_WRITE", "unpin"), "");
  EXPECT_EQ(beyond(Way::kRing, "FOLL_WRITE", "unpin_dirty", ""), "") << "no page goes";
  EXPECT_TRUE(names(beyond(Way::kRing, "FOLL_WRITE", "unpin_dirty", "madvise(x, MADV_FREE);"), "does not mark"));
  EXPECT_EQ(beyond(Way::kDirectRead, "FOLL_WRITE", "unpin_dirty"), "") << "it marks as it is told";
}

TEST(DirtyMarks, ARegistrationMarksWhatItMayWrite) {
  EXPECT_TRUE(names(beyond(Way::kRdma, "FOLL_WRITE | FOLL_LONGTERM", "unpin"), "for writing"));
  EXPECT_EQ(beyond(Way::kRdma, "FOLL_WRITE | FOLL_LONGTERM", "unpin_dirty"), "");
  EXPECT_EQ(beyond(Way::kRdma, "FOLL_WRITE | FOLL_LONGTERM", "unpin", "madvise(x, MADV_COLD);"), "");
  EXPECT_TRUE(names(beyond(Way::kRdma, "FOLL_LONGTERM", "unpin_dirty"), "for reading"));
  EXPECT_EQ(beyond(Way::kRdma, "FOLL_LONGTERM", "unpin"), "");
  EXPECT_TRUE(names(beyond(Way::kRdma, "FOLL_WRITE | FOLL_FORCE", "unpin_dirty"), "for reading")) << "by force";
}

}  // namespace
}  // namespace cowherd::live
