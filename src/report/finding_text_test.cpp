#include "report/finding_text.hpp"

#include <gtest/gtest.h>

#include "report/sample_test.hpp"

namespace cowherd::report {
namespace {

TEST(FindingText, TellsTheWholeStory) {
  const litmus::Program program = sample_program();
  EXPECT_EQ(finding_text(sample_finding(program),
                         {.number = 1, .count = 1, .trace = true, .test = &program, .file = "sample.litmus"}),
            "Finding: wrong COW: stale DMA\n"
            "Trace under R5, 0 preemptions:\n"
            "   (a line to each PTE that changed: the frame that it maps, R/O or R/W, dirty; then the frame's "
            "reference\n"
            "   count, how many PTEs map it, its pins, and whether it is marked as belonging to one address space "
            "alone)\n"
            "   at first: 0:x  frame 8 R/W dirty, refs 2, mapcount 1, pins 1, exclusive\n"
            "1) P0/T0: fork(P1) -> 0\n"
            "     - x: frame 8 shared write-protected\n"
            "     0:x  frame 8 R/O dirty, refs 3, mapcount 2, pins 1, not exclusive\n"
            "     1:x  frame 8 R/O dirty, refs 3, mapcount 2, pins 1, not exclusive\n"
            "     d holds frame 8 (pin for writing)\n"
            "     <== HERE: shares frame 8, which d holds\n"
            "2) P0/T0: r0 = dma_read(d) -> 1   (reference: 2)\n"
            "Broken: promise 2, write-pin: Owner and device see each other's writes.\n"
            "Decision: step 1, fork-pinned=share: A pinned page is shared.\n"
            "minimal: no program with fewer operations shows it\n"
            "replay: 0*2=0123456789abcdef\n"
            "  by: cowherd check --rules R5 --replay '0*2=0123456789abcdef' sample.litmus\n");
}

TEST(FindingText, PrintsTheSmallestTestWhereItIsAnother) {
  const litmus::Program program = sample_program();
  check::Finding finding = sample_finding(program);
  finding.program.blocks[0].operations.pop_back();
  finding.minimal = false;
  const std::string text =
      finding_text(finding, {.number = 2, .count = 3, .trace = true, .test = &program, .file = "sample.litmus"});
  EXPECT_TRUE(
      text.starts_with("Finding: wrong COW: stale DMA (2 of 3)\nThe smallest test that shows it:\nCOW sample\n"))
      << text;
  EXPECT_NE(text.find("' FILE, where FILE holds the smallest test\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("minimal:"), std::string::npos) << text;
  EXPECT_EQ(text.find("Result:"), std::string::npos) << "expectations belong to the whole test: " << text;
}

TEST(FindingText, WithoutTraceNamesWhatBroke) {
  const litmus::Program program = sample_program();
  check::Finding finding = sample_finding(program);
  finding.kind = check::FindingKind::kCorruption;
  finding.subtype = "mapcount-imbalance";
  finding.clause = spec::Clause::kBookkeeping;
  finding.sentence = "a frame's mapcount is wrong";
  finding.remark = "a documented residual";
  EXPECT_EQ(finding_text(finding, {.number = 1, .count = 1, .trace = false, .test = &program, .file = ""}),
            "Finding: corruption: mapcount-imbalance\n"
            "Remark: a documented residual\n"
            "Broken: a frame's mapcount is wrong\n");
}

TEST(FindingText, OneTraceServesFindingsThatShareIt) {
  const litmus::Program program = sample_program();
  const check::Finding first = sample_finding(program);
  check::Finding second = first;
  second.subtype = "lost DMA";
  ASSERT_TRUE(same_trace(first, second));
  EXPECT_EQ(finding_text(second, {.number = 2, .count = 2, .test = &program, .file = "", .same_as = 1}),
            "Finding: wrong COW: lost DMA (2 of 2)\n"
            "Trace: that of finding 1, step 2\n"
            "Broken: promise 2, write-pin: Owner and device see each other's writes.\n");
  second.trace.replay = "0*2=fedcba9876543210";
  EXPECT_FALSE(same_trace(first, second));
  second = first;
  second.program.blocks[0].operations.pop_back();
  EXPECT_FALSE(same_trace(first, second));
}

TEST(FindingText, ADeadlockSaysWhoStandsWhere) {
  const litmus::Program program = sample_program();
  check::Finding finding = sample_finding(program);
  finding.kind = check::FindingKind::kStuck;
  finding.subtype = "deadlock";
  finding.trace.steps.resize(1);
  finding.trace.steps[0].operation = "pin(d, x, FOLL_WRITE | FOLL_LONGTERM)";
  const std::string text = finding_text(finding, {.test = &program, .file = ""});
  EXPECT_NE(text.find("\nStuck: P0 before fork(P1)\nBroken: "), std::string::npos) << text;
  EXPECT_EQ(text.find("Stuck: P1"), std::string::npos) << "never started: " << text;
}

TEST(FindingText, NamesTheDecisionsThatCureIt) {
  const litmus::Program program = sample_program();
  check::Finding finding = sample_finding(program);
  finding.remedies = {{"fork-pinned", "share", "copy-exclusive"}, {"reuse", "count", "exclusive"}};
  const std::string text = finding_text(finding, {.test = &program, .file = ""});
  EXPECT_NE(text.find("\nGone with: fork-pinned=copy-exclusive (here share), or reuse=exclusive (here count)\n"),
            std::string::npos)
      << text;
}

TEST(SightText, SaysWhatIsMapped) {
  check::PageSight page;
  EXPECT_EQ(sight_text(page), "not mapped");
  page.present = page.zero_page = true;
  EXPECT_EQ(sight_text(page), "zero page R/O");
  EXPECT_EQ(sight_text(sight("0:x", 8, true, 2, 1, 1)), "frame 8 R/W dirty, refs 2, mapcount 1, pins 1, exclusive");
}

TEST(TraceText, ShowsAPageThatWent) {
  const litmus::Program program = sample_program();
  check::Trace trace = sample_finding(program).trace;
  trace.steps[1].pages.pop_back();
  trace.steps[1].pages[0].present = false;
  trace.steps[1].devices[0].frames.clear();
  const std::string text = trace_text(trace);
  EXPECT_NE(text.find("     0:x  not mapped\n     1:x  gone\n     d holds nothing\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace cowherd::report
