#include "check/columns.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace cowherd::check {
namespace {

PageSight page(bool writable, std::uint32_t references, std::uint32_t pins) {
  PageSight sight;
  sight.name = "0:x";
  sight.present = true;
  sight.writable = writable;
  sight.exclusive = true;
  sight.frame = FrameNumber{8};
  sight.references = references;
  sight.mapcount = 1;
  sight.pins = pins;
  return sight;
}

TraceStep step(std::uint8_t block, const char* operation, bool begins, bool ends, const PageSight& after) {
  TraceStep made;
  made.block = block;
  made.agent = block == 0 ? "P0/T0" : "P0/T1";
  made.operation = operation;
  made.begins = begins;
  made.ends = ends;
  if (!ends) made.next = "take a reference";
  made.pages = {after};
  return made;
}

/// A pin in four steps, with a store between the second and the third.
Trace race() {
  Trace trace;
  trace.by_steps = true;
  trace.initial_pages = {page(true, 1, 0)};
  trace.steps = {step(0, "pin(d, x)", true, false, page(true, 1, 0)),
                 step(0, "pin(d, x)", false, false, page(true, 1, 0)),
                 step(1, "WRITE_ONCE(*x, 2)", true, true, page(true, 1, 0)),
                 step(0, "pin(d, x)", false, false, page(true, 2, 1)),
                 step(0, "pin(d, x)", false, true, page(true, 2, 1)),
                 step(0, "r0 = dma_read(d)", true, true, page(true, 2, 1))};
  trace.steps[4].result = 1;
  trace.steps[4].devices =
      trace.steps[5].devices = {{.name = "d", .frames = {FrameNumber{8}}, .writes = true, .get = false}};
  trace.steps[5].expected = {2};
  trace.steps[5].note = "the reference semantics allows 2";
  return trace;
}

TEST(Columns, StandSideBySide) {
  EXPECT_EQ(write_columns(race(), 80),
            "   P0/T0                                  P0/T1\n"
            "   -----                                  -----\n"
            "1) pin(d, x)\n"
            "     [next: take a reference]\n"
            "2)                                        WRITE_ONCE(*x, 2) -> 0\n"
            "3) ... pin(d, x) -> 1\n"
            "     frame 8: refs 1 -> 2, pins 0 -> 1\n"
            "     d holds frame 8 (pin for writing)\n"
            "   r0 = dma_read(d) -> 0 (reference: 2)\n"
            "     <-- the reference semantics allows\n"
            "         2\n");
}

TEST(Columns, StepsAreNumberedByTheirRun) {
  Trace trace = race();
  EXPECT_EQ(shown_number(trace, 0), 1u);
  EXPECT_EQ(shown_number(trace, 1), 1u);
  EXPECT_EQ(shown_number(trace, 2), 2u);
  EXPECT_EQ(shown_number(trace, 5), 3u);
  trace.by_steps = false;
  EXPECT_EQ(shown_number(trace, 5), 6u);
}

TEST(Columns, SayWhatChangedOverTheWholeRun) {
  Trace trace = race();
  PageSight gone;
  gone.name = "0:x";
  PageSight moved = page(false, 1, 0);
  moved.frame = FrameNumber{9};
  moved.exclusive = false;
  trace.steps[3].pages = {gone};
  trace.steps[4].pages = {moved};
  trace.steps[5].pages = {moved};
  const std::string text = write_columns(trace, 100);
  EXPECT_NE(text.find("0:x maps frame 9 R/O, no longer frame 8\n"), std::string::npos) << text;
  EXPECT_NE(text.find("frame 9: refs 1, mapcount 1, not exclusive\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("maps nothing"), std::string::npos) << text;
}

TEST(Columns, TellOfStaleTranslationsAndChoices) {
  Trace trace = race();
  trace.steps[2].choice = "through a stale translation";
  trace.steps[1].stale = {{"P0/T1", "0:x", FrameNumber{8}, true}};
  const std::string text = write_columns(trace, 120);
  EXPECT_NE(text.find("the CPU of P0/T1 still has 0:x as frame 8 R/W\n"), std::string::npos) << text;
  EXPECT_NE(text.find("* through a stale translation\n"), std::string::npos) << text;
}

TEST(Columns, LinesAreNotTooLong) {
  Trace trace = race();
  trace.steps[5].note = "a note that goes on for much longer than a column of this width has room for in one line";
  std::istringstream lines(write_columns(trace, 70));
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 70u) << line;
  EXPECT_GT(count, 10u);
}

TEST(Columns, ManyBlocksStandBelowEachOther) {
  Trace trace = race();
  for (std::uint8_t block = 2; block < 5; ++block) {
    TraceStep more = step(block, "exit()", true, true, page(true, 2, 1));
    more.agent = "P" + std::to_string(block) + "/T0";
    trace.steps.push_back(more);
  }
  const std::string text = write_columns(trace, 80);
  EXPECT_NE(text.find("2) P0/T1: WRITE_ONCE(*x, 2) -> 0\n"), std::string::npos) << text;
  EXPECT_NE(text.find("6) P4/T0: exit() -> 0\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace cowherd::check
