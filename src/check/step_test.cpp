#include "check/step.hpp"

#include <gtest/gtest.h>

#include "check/program_test.hpp"

namespace cowherd::check {
namespace {

// What docs/litmus.md says of statements and blocks, as outcomes of small tests.

struct StepCase {
  const char* name;
  const char* init;
  const char* blocks;
  const char* outcomes;
};

class Statements : public testing::TestWithParam<StepCase> {};

TEST_P(Statements, EndAsTheLanguageSays) {
  const StepCase& tested = GetParam();
  const std::string text = std::string("COW t\n{ ") + tested.init + " }\n" + tested.blocks + "\n";
  const litmus::Program program = program_of(text);
  const CheckResult result = check(program, under("cowherd"));
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(outcomes_text(program, result), tested.outcomes);
  EXPECT_TRUE(result.findings.empty()) << result.findings[0].subtype;
  EXPECT_EQ(result.stuck, 0u);
}

constexpr StepCase kCases[] = {
    {"ReadAndWrite", "x = anon(1);", "P0() { r0 = READ_ONCE(*x); r1 = WRITE_ONCE(x.3, r0); r2 = READ_ONCE(x.3); }",
     "0:r0=1; 0:r1=0; 0:r2=1;"},
    {"Faults", "x = unmapped; y = anon PROT_READ;",
     "P0() { r0 = READ_ONCE(*x); r1 = WRITE_ONCE(*y, 1); r2 = READ_ONCE(*y); }\nlocations [0:r0; 0:r1; 0:r2; "
     "fault(P0);]",
     "0:r0=-SIGSEGV; 0:r1=-SIGSEGV; 0:r2=0; fault(P0)=2;"},
    {"MmapIsFixed", "x = anon(1);",
     "P0() { r0 = mmap(x, PROT_READ|PROT_WRITE, MAP_FIXED_NOREPLACE); r1 = mmap(x, PROT_READ|PROT_WRITE, 0); "
     "r2 = READ_ONCE(*x); r3 = munmap(x); r4 = munmap(x); r5 = madvise(x, MADV_DONTNEED); }",
     "0:r0=-EEXIST; 0:r1=0; 0:r2=0; 0:r3=0; 0:r4=0; 0:r5=-ENOMEM;"},
    {"ForkCopies", "x = anon(1);",
     "P0() { r0 = fork(P1); WRITE_ONCE(*x, 2); r1 = wait(P1); r2 = wait(P1); }\nP1() { r0 = READ_ONCE(*x); }",
     "0:r0=0; 0:r1=0; 0:r2=-ECHILD; 1:r0=1;"},
    {"ForkFails", "x = anon(1);", "P0() { r0 = fork(P1) fail_nth 1; r1 = wait(P1); }\nP1() { fork(P2); }\nP2() { }",
     "0:r0=-ENOMEM; 0:r1=-ECHILD;"},
    {"VforkSharesAndSuspends", "x = anon(1);",
     "P0() { r0 = vfork(P1); r1 = READ_ONCE(*x); }\nP1() { WRITE_ONCE(*x, 2); WRITE_ONCE(*x, 3); }", "0:r0=0; 0:r1=3;"},
    {"VforkEndsWithExec", "x = anon(1);",
     "P0() { vfork(P1); r0 = READ_ONCE(*x); wait(P1); }\nP1() { WRITE_ONCE(*x, 2); exec(); r0 = READ_ONCE(*x); }",
     "0:r0=2; 1:r0=-SIGSEGV;"},
    {"VforkOfNothing", "x = anon(1);", "P0() { vfork(P1); r0 = wait(P1); }\nP1() { }", "0:r0=0;"},
    {"VforkInVforkSuspendsBoth", "x = anon(1);",
     "P0() { vfork(P1); r0 = READ_ONCE(*x); }\nP1() { vfork(P2); }\nP2() { WRITE_ONCE(*x, 2); WRITE_ONCE(*x, 3); }",
     "0:r0=3;"},
    {"VforkSuspendsOneThread", "x = anon(1);",
     "P0() { thread(P2); vfork(P1); r0 = READ_ONCE(*x); }\nP1() { exit(); }\nP2() { WRITE_ONCE(*x, 2); }",
     "0:r0=1; | 0:r0=2;"},
    {"ThreadsShare", "x = anon(1);", "P0() { thread(P1); wait(P1); r0 = READ_ONCE(*x); }\nP1() { WRITE_ONCE(*x, 2); }",
     "0:r0=2;"},
    {"ExecEndsOtherThreads", "x = anon(1);",
     "P0() { thread(P1); r0 = exec(); r1 = READ_ONCE(*x); }\nP1() { thread(P2); }\nP2() { r0 = READ_ONCE(*x); }",
     "0:r0=0; 0:r1=-SIGSEGV; 2:r0=0; | 0:r0=0; 0:r1=-SIGSEGV; 2:r0=1;"},
    {"ExitIsOfOneThread", "x = anon(1);",
     "P0() { thread(P1); exit(); }\nP1() { r0 = READ_ONCE(*x); }\nlocations [1:r0; "
     "0:x;]",
     "1:r0=1; 0:x=-SIGSEGV; | 1:r0=1; 0:x=1;"},
    {"LastExitEndsTheProcess", "x = anon(1);",
     "P0() { thread(P1); exit(); }\nP1() { exit(); }\nlocations [0:x; rss(P0);]", "0:x=-SIGSEGV; rss(P0)=0;"},
    {"RunningOffTheEndIsNoExit", "x = anon(1);", "P0() { fork(P1); }\nP1() { }\nlocations [0:x; 1:x;]",
     "0:x=1; 1:x=1;"},
    {"WaitedForIsGone", "x = anon(1);", "P0() { fork(P1); wait(P1); }\nP1() { }\nlocations [1:x;]", "1:x=-SIGSEGV;"},
    {"PinsCount", "x = anon[3](1); d = device;",
     "P0() { r0 = pin(d, x, FOLL_WRITE); r1 = pin(d, x, 0); r2 = unpin(d); r3 = unpin(d); r4 = dma_read(d); }",
     "0:r0=3; 0:r1=-EBUSY; 0:r2=0; 0:r3=-ENXIO; 0:r4=-ENXIO;"},
    {"PinsEndAtAHole", "x = anon[3](1); d = device;",
     "P0() { munmap(x[1]); r0 = pin(d, x, FOLL_WRITE); r1 = dma_read(d[1]); r2 = get(d, x, 0); }",
     "0:r0=1; 0:r1=-ENXIO; 0:r2=-EBUSY;"},
    {"ReadersDoNotWrite", "x = anon(1); d = device;", "P0() { pin(d, x, 0); r0 = dma_write(d, 2); }", "0:r0=-EPERM;"},
    {"DevicesRunAlone", "x = anon(1); d = device;",
     "P0() { pin(d, x, FOLL_WRITE); r0 = READ_ONCE(*x); }\ndevice D0() { dma_write(d, 2); }\nlocations [0:r0;]",
     "0:r0=1; | 0:r0=2;"},
    {"OtherProcesses", "x = anon(1); d = device;",
     "P0() { r0 = ptrace_read(P1:x); fork(P1); r1 = ptrace_read(P1:x); r2 = ptrace_write(P1:x, 4); "
     "r3 = pin(d, P1:x, FOLL_WRITE|FOLL_REMOTE); wait(P1); r4 = ptrace_read(P1:x); r5 = dma_read(d); }\nP1() { }",
     "0:r0=-ESRCH; 0:r1=1; 0:r2=0; 0:r3=1; 0:r4=-ESRCH; 0:r5=4;"},
    {"PageLocks", "x = anon(1); y = anon;",
     "P0() { }\nkernel K0() { r0 = lock_page(P0:x); r1 = unlock_page(P0:x); r2 = unlock_page(P0:x); "
     "r3 = lock_page(P0:y); }",
     "K0:r0=0; K0:r1=0; K0:r2=-EINVAL; K0:r3=-EFAULT;"},
    {"ClearRefs", "x = anon(1); y = anon[2];",
     "P0() { fork(P1); wait(P1); r0 = clear_refs(x); r1 = clear_refs(y); r2 = clear_refs(P1:x); WRITE_ONCE(*x, 2); "
     "r3 = READ_ONCE(*x); }\nP1() { }\nlocations [0:r0; 0:r1; 0:r2; 0:r3; writable(0:x);]",
     "0:r0=0; 0:r1=0; 0:r2=-ESRCH; 0:r3=2; writable(0:x)=1;"},
    {"SnapshotAndRestore", "x = anon(1);",
     "P0() { r0 = restore(S0); snapshot(S0); WRITE_ONCE(*x, 2); r1 = snapshot(S0); r2 = restore(S0); "
     "r3 = READ_ONCE(*x); }\nlocations [0:r0; 0:r1; 0:r2; 0:r3; rss(P0); refcount(0:x);]",
     "0:r0=-EINVAL; 0:r1=-EBUSY; 0:r2=0; 0:r3=1; refcount(0:x)=2; rss(P0)=1;"},
    {"TryShareOfAPinnedPage", "x = anon(1); y = anon; d = device;",
     "P0() { pin(d, x, 0); }\nkernel K0() { r0 = try_share(P0:x); r1 = try_share(P0:y); }\n"
     "locations [K0:r0; K0:r1; excl(0:x);]",
     "K0:r0=-EBUSY; K0:r1=-EFAULT; excl(0:x)=1; | K0:r0=0; K0:r1=-EFAULT; excl(0:x)=1;"},
};

INSTANTIATE_TEST_SUITE_P(Language, Statements, testing::ValuesIn(kCases),
                         [](const auto& tested) { return tested.param.name; });

TEST(Step, ABlockThatMustWaitChangesNothing) {
  const litmus::Program program =
      program_of("COW t\n{ x = anon(1); }\nP0() { fork(P1); wait(P1); }\nP1() { READ_ONCE(*x); }\n");
  const Scene scene(program);
  World world;
  ASSERT_EQ(world.begin(scene, kCowherdRules), "");
  ASSERT_FALSE(step(world, 0).blocked);
  EXPECT_EQ(world.runnable(), bit_of(1));
  EXPECT_EQ(world.unfinished(), bit_of(0) | bit_of(1));
}

TEST(Step, AFailedForkIsJudged) {
  // Without a shortage fork has no reason to fail; under these rules it has one of its own.
  const litmus::Program program =
      program_of("COW t\n{ x = anon(1); d = device; }\nP0() { pin(d, x, FOLL_WRITE); r0 = fork(P1); }\nP1() { }\n");
  const CheckResult result = check(program, under("refuse"));
  EXPECT_EQ(outcomes_text(program, result), "0:r0=-EBUSY;");
  EXPECT_TRUE(result.findings.empty());
}

}  // namespace
}  // namespace cowherd::check
