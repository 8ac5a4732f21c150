#include "live/emit_c.hpp"

#include <gtest/gtest.h>

#include "live/program_test.hpp"

namespace cowherd::live {
namespace {

TEST(EmitC, StatementsStandInTheirOrderWithTheTestAsAComment) {
  const litmus::Program test = program(
      "P0() { pin(d, x, FOLL_WRITE) times 2; fork(P1); r0 = dma_read(d); }\nP1() { exec(); r0 = READ_ONCE(*x); }\n"
      "exists (0:r0=1 /\\ 0:x=2)");
  ASSERT_EQ(problem_in_c(test), "");
  const std::string text = emit_c({{&test, {{{0, 0, 0, 1, 1}}, {{0, 0, 1, 1, 0}}}, false}});
  EXPECT_NE(text.find(" * COW t\n"), std::string::npos);
  EXPECT_NE(text.find("take(0, BASE + 1 * PAGE, 1, 2, 1, BY_RING)"), std::string::npos);
  EXPECT_NE(text.find("do_exec(1, 1);"), std::string::npos);
  EXPECT_NE(text.find("return (values[0] == 1L) && (values[1] == 2L);"), std::string::npos);
  EXPECT_NE(text.find("{ 0, \"00011\" },"), std::string::npos);
  EXPECT_NE(text.find("{ 0, \"00110\" },"), std::string::npos);
  EXPECT_NE(text.find("#define CASES 2u"), std::string::npos);
}

TEST(EmitC, TheKernelIsToldWhatToDoOnTheSide) {
  const litmus::Program test =
      program("P0() { r0 = swapout(x); r1 = swapin(x); mlock(x); madvise(x, MADV_MERGEABLE); r2 = ksm_merge(x, y); }",
              "x = anon(1); y = anon(1); s = secret(1);");
  ASSERT_EQ(problem_in_c(test), "");
  const std::string text = emit_c({{&test, {{{0, 0, 0, 0, 0}}}, {}}});
  EXPECT_NE(text.find("s->reg[0][0] = swap_out(BASE + 1 * PAGE);"), std::string::npos);
  EXPECT_NE(text.find("result_of(mlock((void *)(BASE + 1 * PAGE), 1 * PAGE))"), std::string::npos);
  EXPECT_NE(text.find("ksm_merge(BASE + 1 * PAGE, BASE + 3 * PAGE)"), std::string::npos);
  EXPECT_NE(text.find("map_secret(BASE + 5 * PAGE, 1 * PAGE);"), std::string::npos);
  EXPECT_NE(problem_in_c(program("P0() { fork(P1); swapout(P1:x); } P1() { r0 = READ_ONCE(*x); }")), "");
  EXPECT_NE(problem_in_c(program("P0() { swapout(x); }", "x = anon shared;")).find("shared"), std::string::npos);
}

TEST(EmitC, FilesAndSharedMemoryAreMapped) {
  const litmus::Program test = program(
      "P0() { WRITE_ONCE(*x, 2); r0 = read(f.1); write(f[1], 3); truncate(f, 1); punch(f[0]); msync(x); fsync(f); "
      "mmap(y, PROT_READ, MAP_FIXED); }\nexists (f=2)",
      "f = memfd[2](1); g = file; x = f shared; y = f[1] private; s = anon shared;");
  ASSERT_EQ(problem_in_c(test), "");
  const std::string text = emit_c({{&test, {{{0, 0, 0, 0, 0, 0, 0, 0}}}, {}}});
  EXPECT_NE(text.find("open_file(0, 0, 2, 1L);"), std::string::npos);
  EXPECT_NE(text.find("open_file(1, 1, 1, 0L);"), std::string::npos);
  EXPECT_NE(text.find("MAP_SHARED | MAP_FIXED_NOREPLACE, s->file[0], 0 * PAGE)"), std::string::npos);
  EXPECT_NE(text.find("map_file(BASE + 4 * PAGE, 1 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, s->file[0], 1 * PAGE)"),
            std::string::npos);
  EXPECT_NE(text.find("MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE)"), std::string::npos);
  EXPECT_NE(text.find("s->reg[0][0] = read_file(0, 0 * PAGE + 8);"), std::string::npos);
  EXPECT_NE(text.find("write_file(0, 1 * PAGE, 3L)"), std::string::npos);
  EXPECT_NE(text.find("ftruncate(s->file[0], 1 * PAGE)"), std::string::npos);
  EXPECT_NE(text.find("values[0] = read_file(0, 0 * PAGE);"), std::string::npos);
  EXPECT_NE(text.find("s->page = PAGE;"), std::string::npos);
}

TEST(EmitC, HugePagesAreLaidOutInQuarters) {
  const litmus::Program test = program(
      "P0() { WRITE_ONCE(x[1], 2); r0 = split(x[2]); r1 = collapse(x[0]); }\nexists (huge(0:x[0]))", "x = thp;");
  ASSERT_EQ(problem_in_c(test), "");
  const std::string text = emit_c({{&test, {{{0, 0, 0}}}, {}}});
  EXPECT_NE(text.find("want_huge_pages();"), std::string::npos);
  EXPECT_NE(text.find("madvise((void *)(BASE + 512 * PAGE), 512 * PAGE, MADV_HUGEPAGE);"), std::string::npos);
  EXPECT_NE(text.find("access_word(BASE + 640 * PAGE, 1, 2L)"), std::string::npos);
  EXPECT_NE(text.find("split(BASE + 768 * PAGE)"), std::string::npos);
  EXPECT_NE(text.find("is_huge(s->pid[0], BASE + 512 * PAGE)"), std::string::npos);
  EXPECT_NE(problem_in_c(program("P0() { r0 = READ_ONCE(*x); }", "x = hugetlb;")), "");
}

TEST(EmitC, MemoryIsRegisteredForRdmaWhereThatIsAskedFor) {
  const litmus::Program test =
      program("P0() { pin(d, x, FOLL_WRITE | FOLL_LONGTERM) times 2; get(e, x, 0); dma_write(d, 2); unpin(d); }",
              "x = anon(1); d = device; e = device;");
  ASSERT_EQ(problem_in_c(test, PinBy::kRdma), "");
  const std::string text = emit_c({{&test, {{{0, 0, 0, 0, 0}}}, {}, PinBy::kRdma}});
  EXPECT_NE(text.find("take(0, BASE + 1 * PAGE, 1, 2, 1, BY_RDMA)"), std::string::npos);
  EXPECT_NE(text.find("BY_PIPE)"), std::string::npos) << "what is no pin is held as ever";
  EXPECT_NE(text.find("#include <rdma/rdma_user_rxe.h>"), std::string::npos);
  // A C library is enough where nobody asks for it.
  EXPECT_EQ(emit_c({{&test, {{{0, 0, 0, 0, 0}}}, {}}}).find("#include <rdma/"), std::string::npos);
  EXPECT_NE(problem_in_c(program("P0() { pin(d, x, FOLL_WRITE) times 17; }"), PinBy::kRdma).find("so often"),
            std::string::npos);
  EXPECT_NE(problem_in_c(test, PinBy::kCard).find("by cuda are not written"), std::string::npos);
}

TEST(EmitC, WhatCannotBeWrittenIsNamed) {
  EXPECT_NE(problem_in_c(program("P0() { r0 = READ_ONCE(*x); }\ndevice D0() { r0 = dma_read(d); }")), "");
  EXPECT_NE(problem_in_c(program("P0() { thread(P1); r0 = READ_ONCE(*x); }\nP1() { exit(); }")), "");
  EXPECT_EQ(problem_in_c(program("P0() { thread(P1); r0 = READ_ONCE(*x); }\nP1() { WRITE_ONCE(*x, 2); }")), "");
}

}  // namespace
}  // namespace cowherd::live
