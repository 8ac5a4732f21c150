#include "live/plan.hpp"

#include <gtest/gtest.h>

#include "litmus/parser.hpp"
#include "live/program_test.hpp"

namespace cowherd::live {
namespace {

Offers everything() {
  Offers offers;
  for (Offer& offer : offers) offer.here = true;
  return offers;
}

Plan plan_of(const std::string& statements, const Offers& offers, const std::string& end = "") {
  const litmus::ParseResult parsed =
      litmus::parse("COW t\n{ x = anon[2](1); d = device; e = device; }\nP0() { fork(P1); " + statements +
                        " }\nP1() { r0 = READ_ONCE(*x); }\n" + end,
                    "t");
  EXPECT_TRUE(parsed.ok()) << parsed.to_text();
  return plan(*parsed.program, offers);
}

TEST(Plan, EachReferenceHasItsWay) {
  const Plan plan = plan_of("pin(d, x, FOLL_WRITE | FOLL_LONGTERM); get(e, x, 0) times 3;", everything());
  EXPECT_EQ(plan.skip, "");
  EXPECT_EQ(plan.devices[0].way, Way::kRing);
  EXPECT_EQ(plan.devices[1].way, Way::kPipe);
  EXPECT_EQ(plan.devices[1].pages, 6u);
  EXPECT_TRUE(plan.notes.empty());
}

TEST(Plan, AShortPinIsATransferUnderWayWhereOneIsEnough) {
  Offers offers = everything();
  offers[static_cast<std::size_t>(Need::kHeldCopy)].here = false;
  const auto way = [&](const char* statements) { return plan_of(statements, offers).devices[0].way; };
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE); dma_write(d, 2); unpin(d);"), Way::kDirectRead);
  EXPECT_EQ(way("pin(d, x[0], 0); r0 = dma_read(d); unpin(d); pin(d, x[1], 0); r1 = dma_read(d);"), Way::kDirectWrite);
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE); r0 = dma_read(d);"), Way::kRing);
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE); dma_write(d, 2); dma_write(d, 3);"), Way::kRing);
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE); dma_write(d, 2); r0 = READ_ONCE(x[0].1);"), Way::kRing);
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE); exec();"), Way::kRing);
  const auto skip = [&](const char* statements) { return plan_of(statements, offers).skip; };
  EXPECT_NE(skip("pin(d, x[0], 0); r0 = dma_read(d); r1 = dma_read(d);").find("moves its data once"),
            std::string::npos);
  EXPECT_EQ(way("pin(d, x, 0); r0 = dma_read(d[1]);"), Way::kDirectWrite);
  EXPECT_EQ(way("pin(d, x, FOLL_WRITE); unpin(d);"), Way::kDirectRead);
  EXPECT_EQ(way("pin(d, x, FOLL_WRITE); dma_write(d[1], 2);"), Way::kRing);
  EXPECT_NE(skip("pin(d, x[0], 0) times 2;").find("holds a page once"), std::string::npos);
  EXPECT_NE(skip("pin(d, x[0], 0); exec();").find("exec() waits"), std::string::npos);
}

TEST(Plan, ACopyUnderWayServesWhereNoDiskDoes) {
  Offers offers = everything();
  const auto way = [&](const char* statements) { return plan_of(statements, offers).devices[0].way; };
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE); dma_write(d, 2);"), Way::kDirectRead);
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE); dma_write(d, 2); exec();"), Way::kCopyIn) << "no exec() waits for it";
  EXPECT_EQ(way("pin(d, x[0], 0); r0 = dma_read(d); exec();"), Way::kCopyOut);
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE | FOLL_FAST); exec();"), Way::kRing) << "it takes no page fast";
  offers[static_cast<std::size_t>(Need::kDirectPins)].here = false;
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE); dma_write(d, 2);"), Way::kCopyIn);
  EXPECT_EQ(way("pin(d, x[0], 0); r0 = dma_read(d);"), Way::kCopyOut);
  EXPECT_EQ(way("get(d, x[0], FOLL_WRITE); dma_write(d, 2);"), Way::kDirectRead);
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE | FOLL_LONGTERM);"), Way::kRing);
}

TEST(Plan, ALongPinForReadingIsTheKernelsOwnTest) {
  Offers offers = everything();
  EXPECT_EQ(plan_of("pin(d, x, FOLL_LONGTERM);", offers).devices[0].way, Way::kGupTest);
  EXPECT_NE(plan_of("pin(d, x, FOLL_LONGTERM) times 2;", offers).skip.find("once"), std::string::npos);
  EXPECT_NE(plan_of("pin(d, x, FOLL_LONGTERM); pin(e, x, FOLL_LONGTERM);", offers).skip.find("one device"),
            std::string::npos);
  offers[static_cast<std::size_t>(Need::kGupTest)].here = false;
  EXPECT_EQ(plan_of("pin(d, x, FOLL_LONGTERM);", offers).devices[0].way, Way::kRdma);
  offers[static_cast<std::size_t>(Need::kRdmaReads)].here = false;
  EXPECT_EQ(plan_of("pin(d, x, FOLL_LONGTERM);", offers).devices[0].way, Way::kCard) << "for writing, and by force";
  offers[static_cast<std::size_t>(Need::kCuda)].here = false;
  EXPECT_NE(plan_of("pin(d, x[0], FOLL_LONGTERM);", offers).skip.find("CONFIG_GUP_TEST"), std::string::npos);
}

TEST(Plan, ATransferDoesNotHoldWhatItHasMoved) {
  const auto way = [](const char* statements) { return plan_of(statements, everything()).devices[0].way; };
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE); dma_write(d, 2); swapout(x[0]);"), Way::kRing);
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE); dma_write(d, 2); madvise(x, MADV_PAGEOUT); unpin(d);"), Way::kRing);
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE); swapout(x[0]); dma_write(d, 2);"), Way::kDirectRead);
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE); dma_write(d, 2); unpin_dirty(d); swapout(x[0]);"), Way::kDirectRead);
  EXPECT_EQ(way("pin(d, x[0], FOLL_WRITE); dma_write(d, 2); r0 = READ_ONCE(x[0]);"), Way::kDirectRead);
}

TEST(Plan, BeforeItPinnedATransferWasAnOrdinaryReference) {
  Offers offers = everything();
  offers[static_cast<std::size_t>(Need::kHeldCopy)].here = false;
  EXPECT_NE(plan_of("get(d, x[0], FOLL_WRITE);", offers).skip.find("O_DIRECT pins since"), std::string::npos);
  offers[static_cast<std::size_t>(Need::kDirectPins)].here = false;
  const Plan plan = plan_of("get(d, x[0], FOLL_WRITE); dma_write(d, 3);", offers);
  EXPECT_EQ(plan.skip, "");
  EXPECT_EQ(plan.devices[0].way, Way::kDirectRead);
  EXPECT_NE(plan_of("pin(d, x[0], 0);", offers).skip.find("since 6.5"), std::string::npos);
  EXPECT_EQ(plan_of("pin(d, x[0], FOLL_WRITE);", offers).devices[0].way, Way::kRing);
}

TEST(Plan, AShortPinIsSaidToBeLong) {
  const Plan plan =
      plan_of("pin(d, x, FOLL_WRITE); dma_write(d, 2); unpin(d); pin(d, x, FOLL_WRITE | FOLL_FAST);", everything());
  EXPECT_EQ(plan.skip, "");
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_NE(plan.notes[0].find("d pins long-term"), std::string::npos);
}

TEST(Plan, WhatNoKernelCanDoIsSkippedWithItsReason) {
  const auto skip = [](const char* statements, const char* end = "") {
    return plan_of(statements, everything(), end).skip;
  };
  EXPECT_NE(skip("lock_page(x[0]); unlock_page(x[0]);").find("page lock"), std::string::npos);
  EXPECT_NE(skip("pin(d, x, FOLL_WRITE | FOLL_FORCE);").find("FOLL_FORCE"), std::string::npos);
  EXPECT_NE(skip("get(d, x, FOLL_WRITE);").find("by get for writing"), std::string::npos);
  EXPECT_NE(skip("WRITE_ONCE(*x, 2) fail_nth 1;").find("allocation"), std::string::npos);
  EXPECT_NE(skip("WRITE_ONCE(*x, 2);", "exists (refcount(0:x[0])=2)").find("not visible from user space"),
            std::string::npos);
  EXPECT_NE(skip("pin(d, x, FOLL_WRITE); unpin(d); get(d, x, 0);").find("two ways"), std::string::npos);
  EXPECT_EQ(skip("WRITE_ONCE(*x, 2);", "exists (1:r0=2)"), "");
}

TEST(Plan, WhatTheKernelDoesOnTheSideIsMadeReady) {
  EXPECT_EQ(plan_of("WRITE_ONCE(*x, 2);", everything()).uses, KernelUses{});
  EXPECT_EQ(plan_of("swapout(x[0]);", everything()).uses, (KernelUses{.swap = true}));
  EXPECT_EQ(plan_of("madvise(x, MADV_PAGEOUT);", everything()).uses, (KernelUses{.swap = true}));
  EXPECT_EQ(plan_of("madvise(x, MADV_COLD);", everything()).uses, KernelUses{});
  // KSM would merge by itself what may be merged.
  EXPECT_EQ(plan_of("madvise(x, MADV_MERGEABLE);", everything()).uses, (KernelUses{.merging = true}));
  Offers offers = everything();
  offers[static_cast<std::size_t>(Need::kSwap)] = {false, "no zram"};
  EXPECT_EQ(plan_of("swapout(x[0]);", offers).skip, "needs swap: no zram (swapout(x[0]))");
}

TEST(Plan, WhatOnlyPinsForLongHoldsNoPageOfADisk) {
  const auto planned = [](const char* flags, PinBy by) {
    const litmus::ParseResult parsed =
        litmus::parse(std::string("COW t\n{ f = file(1); x = f shared; d = device; }\nP0() { pin(d, x, ") + flags +
                          "); r0 = dma_read(d); r1 = dma_read(d); }",
                      "t");
    EXPECT_TRUE(parsed.ok()) << parsed.to_text();
    return plan(*parsed.program, everything(), by);
  };
  EXPECT_NE(planned("FOLL_WRITE", PinBy::kClosest).skip.find("held for long"), std::string::npos);
  EXPECT_NE(planned("FOLL_WRITE", PinBy::kCard).skip.find("for long"), std::string::npos);
  EXPECT_EQ(planned("FOLL_WRITE | FOLL_LONGTERM", PinBy::kClosest).devices[0].way, Way::kRing);
  EXPECT_NE(planned("FOLL_WRITE | FOLL_LONGTERM", PinBy::kCopy).skip.find("no long-term reference"), std::string::npos);
}

TEST(Plan, BeforeLinuxSixTwoARegistrationForReadingIsAForcedPin) {
  const char* const forced = "pin(d, x, FOLL_WRITE | FOLL_LONGTERM | FOLL_FORCE); r0 = dma_read(d);";
  Offers offers = everything();
  EXPECT_NE(plan_of(forced, offers).skip.find("before 6.2"), std::string::npos);
  offers[static_cast<std::size_t>(Need::kRdmaReads)].here = false;
  EXPECT_EQ(plan_of(forced, offers).skip, "");
  EXPECT_EQ(plan_of(forced, offers).devices[0].way, Way::kRdma);
  EXPECT_NE(plan_of("pin(d, x, FOLL_WRITE | FOLL_FORCE); dma_write(d, 2);", offers).skip.find("only read"),
            std::string::npos);
  EXPECT_NE(plan_of("pin(d, x, FOLL_FORCE);", offers).skip, "") << "it is for writing";
  offers[static_cast<std::size_t>(Need::kRdma)].here = false;
  EXPECT_NE(plan_of(forced, offers).skip.find("FOLL_FORCE"), std::string::npos);
}

TEST(Plan, RegistrationsAreForLong) {
  const auto planned = [](const char* statements, const Offers& offers, const char* memory = "x = anon[2](1);") {
    return plan(program(std::string("P0() { ") + statements + " }", (std::string(memory) + " d = device;").c_str()),
                offers, PinBy::kRdma);
  };
  const Plan long_term = planned("pin(d, x, FOLL_WRITE | FOLL_LONGTERM) times 4095; unpin(d);", everything());
  EXPECT_EQ(long_term.skip, "");
  EXPECT_EQ(long_term.devices[0].way, Way::kRdma);
  EXPECT_TRUE(long_term.uses.rdma);
  EXPECT_TRUE(long_term.notes.empty());
  const Plan reading = planned("pin(d, x, FOLL_LONGTERM);", everything());
  EXPECT_EQ(reading.devices[0].way, Way::kRdma);
  EXPECT_NE(planned("pin(d, x, 0);", everything()).skip.find("registered for long"), std::string::npos);
  const Plan writing = planned("pin(d, x, FOLL_WRITE);", everything());
  ASSERT_EQ(writing.notes.size(), 1u);
  EXPECT_NE(writing.notes[0].find("registrations always do"), std::string::npos);
  EXPECT_NE(planned("pin(d, x, FOLL_WRITE) times 4097;", everything()).skip.find("more registrations"),
            std::string::npos);
  EXPECT_NE(planned("pin(d, x, FOLL_WRITE);", everything(), "f = file(1); x = f shared;").skip.find("for long"),
            std::string::npos);
  Offers offers = everything();
  offers[static_cast<std::size_t>(Need::kRdmaReads)] = {false, "Linux 6.1"};
  EXPECT_EQ(planned("pin(d, x, FOLL_LONGTERM);", offers).skip,
            "needs rdma-reads: Linux 6.1 (pin(d, x, FOLL_LONGTERM))");
  EXPECT_EQ(planned("pin(d, x, FOLL_WRITE);", offers).skip, "");
  offers[static_cast<std::size_t>(Need::kRdma)] = {false, "no RDMA"};
  EXPECT_EQ(planned("pin(d, x, FOLL_WRITE);", offers).skip, "needs rdma: no RDMA (pin(d, x, FOLL_WRITE))");
}

TEST(Plan, HugePagesAreBorrowedAndMovedAsAWhole) {
  const auto planned = [](const char* statements, const char* memory = "x = thp(1);") {
    const litmus::ParseResult parsed =
        litmus::parse(std::string("COW t\n{ ") + memory + " d = device; }\nP0() { " + statements + " }", "t");
    EXPECT_TRUE(parsed.ok()) << parsed.to_text();
    return plan(*parsed.program, everything());
  };
  const Plan one = planned("pin(d, x[1], FOLL_WRITE); dma_write(d, 2);");
  EXPECT_EQ(one.uses, (KernelUses{.huge = true}));
  EXPECT_EQ(one.devices[0].way, Way::kDirectRead);
  EXPECT_EQ(one.notes.size(), 1u) << "what a page of the test is";
  EXPECT_EQ(planned("pin(d, x[1..2], FOLL_WRITE); unpin(d);").devices[0].way, Way::kRing)
      << "a transfer is of one part";
  EXPECT_NE(planned("r0 = READ_ONCE(*x);", "x = thp(1); f = memfd;").skip.find("huge pages of files"),
            std::string::npos);
}

TEST(Plan, WhatLiesOnADiskNeedsOne) {
  const auto planned = [](const char* memory, const char* statements, const Offers& offers) {
    const litmus::ParseResult parsed = litmus::parse(
        std::string("COW t\n{ d = device; ") + memory + " x = f shared; }\nP0() { " + statements + " }", "t");
    EXPECT_TRUE(parsed.ok()) << parsed.to_text();
    return plan(*parsed.program, offers);
  };
  Offers offers = everything();
  EXPECT_EQ(planned("f = file(1);", "drop_cache(f);", offers).uses, (KernelUses{.disk = true}));
  EXPECT_EQ(planned("f = memfd(1);", "drop_cache(f);", offers).uses, KernelUses{});
  offers[static_cast<std::size_t>(Need::kCacheFacts)].here = false;
  EXPECT_NE(planned("f = file(1);", "drop_cache(f);", offers).skip.find("needs cache-facts"), std::string::npos);
  EXPECT_EQ(planned("f = memfd(1);", "drop_cache(f);", offers).skip, "");
  // Where the file system could stop the whole machine.
  offers[static_cast<std::size_t>(Need::kDiskPins)].here = false;
  EXPECT_NE(planned("f = file(1);", "pin(d, x, FOLL_WRITE);", offers).skip.find("needs disk-pins"), std::string::npos);
  EXPECT_EQ(planned("f = file(1);", "pin(d, x, 0);", offers).skip, "");
  EXPECT_EQ(planned("f = memfd(1);", "pin(d, x, FOLL_WRITE);", offers).skip, "");
  offers[static_cast<std::size_t>(Need::kDisk)].here = false;
  EXPECT_NE(planned("f = file(1);", "fsync(f);", offers).skip.find("needs disk"), std::string::npos);
  EXPECT_EQ(planned("f = memfd(1);", "fsync(f);", offers).skip, "");
}

TEST(Plan, ASecretOfAChildIsNoSecretOfItsOwn) {
  const auto skip = [](const char* blocks) {
    const litmus::ParseResult parsed =
        litmus::parse(std::string("COW t\n{ s = secret(1); x = anon(1); }\n") + blocks, "t");
    EXPECT_TRUE(parsed.ok()) << parsed.to_text();
    return plan(*parsed.program, everything()).skip;
  };
  EXPECT_EQ(skip("P0() { fork(P1); WRITE_ONCE(*s, 2); }\nP1() { r0 = READ_ONCE(*x); }"), "");
  EXPECT_EQ(skip("P0() { thread(P1); }\nP1() { r0 = READ_ONCE(*s); }"), "");
  EXPECT_NE(skip("P0() { fork(P1); }\nP1() { r0 = READ_ONCE(*s); }").find("shared with children"), std::string::npos);
  EXPECT_NE(skip("P0() { fork(P1); }\nP1() { r0 = READ_ONCE(*x); }\nexists (1:s=1)").find("shared with children"),
            std::string::npos);
}

TEST(Plan, WhatTheMachineLacksIsNamed) {
  Offers offers = everything();
  offers[static_cast<std::size_t>(Need::kIoUring)] = {false, "no io_uring: Operation not permitted"};
  EXPECT_EQ(plan_of("pin(d, x, FOLL_WRITE | FOLL_LONGTERM);", offers).skip,
            "needs io_uring: no io_uring: Operation not permitted (pin(d, x, FOLL_WRITE | FOLL_LONGTERM))");
  offers[static_cast<std::size_t>(Need::kProcMem)] = {false, "EPERM"};
  EXPECT_NE(plan_of("ptrace_write(P1:*x, 1);", offers).skip.find("needs proc-mem"), std::string::npos);
}

TEST(Probe, EveryNeedIsDescribedAndLookedAt) {
  const Offers offers = probe();
  for (std::size_t i = 0; i < kNeeds; ++i) {
    const NeedInfo& info = describe(static_cast<Need>(i));
    EXPECT_FALSE(info.name.empty() || info.use.empty() || info.remedy.empty()) << i;
    EXPECT_FALSE(offers[i].found.empty()) << info.name;
  }
}

TEST(Plan, AHandlerNeedsWhatItsStatementsNeed) {
  const auto skip = [](const char* memory, const char* statements, std::optional<Need> lacking = std::nullopt) {
    Offers offers = everything();
    if (lacking) offers[static_cast<std::size_t>(*lacking)] = {false, "not here"};
    const litmus::ParseResult parsed =
        litmus::parse(std::string("COW t\n{ ") + memory + " d = device; }\nP0() { " + statements + " }", "t");
    EXPECT_TRUE(parsed.ok()) << parsed.to_text();
    return plan(*parsed.program, offers).skip;
  };
  constexpr const char* kAnon = "x = anon; y = anon(1);";
  EXPECT_EQ(skip(kAnon, "uffd_register(x, UFFD_MISSING); r0 = READ_ONCE(*x);"), "");
  EXPECT_TRUE(
      skip(kAnon, "uffd_register(x, UFFD_WP);", Need::kUserfaultWp).starts_with("needs userfault-wp: not here"));
  EXPECT_TRUE(skip(kAnon, "uffd_register(x, UFFD_MISSING | UFFD_EVENT_FORK);", Need::kUserfaultEvents)
                  .starts_with("needs userfault-events"));
  EXPECT_TRUE(skip(kAnon, "uffd_move(x, y);", Need::kUserfaultMove).starts_with("needs userfault-move"));
  EXPECT_TRUE(skip("f = memfd; x = f shared;", "uffd_continue(x);", Need::kUserfaultMinor)
                  .starts_with("needs userfault-minor"));
  EXPECT_EQ(skip(kAnon, "uffd_register(x, UFFD_MISSING); r0 = READ_ONCE(*x);", Need::kUserfaultKernel), "");
  EXPECT_TRUE(skip(kAnon, "uffd_register(x, UFFD_MISSING); mlock(x);", Need::kUserfaultKernel)
                  .starts_with("needs userfault-kernel"));
  EXPECT_TRUE(skip("f = memfd; x = f shared;", "uffd_register(x, UFFD_WP);", Need::kUserfaultWpFile)
                  .starts_with("needs userfault-wp-file"));
  EXPECT_TRUE(skip(kAnon, "uffd_register(x, UFFD_WP | UFFD_WP_UNPOPULATED);", Need::kUserfaultUnpopulated)
                  .starts_with("needs userfault-unpopulated"));
  EXPECT_NE(
      skip("x = thp;", "uffd_register(x, UFFD_MISSING); pin(d, x[0], FOLL_WRITE | FOLL_LONGTERM);").find("128 pages"),
      std::string::npos);
  EXPECT_EQ(skip("f = memfd; x = f private;", "uffd_register(x, UFFD_MISSING); uffd_poison(x);"), "");
}

TEST(Plan, ThePoolIsAsLargeAsTheTestSays) {
  const auto plan_for = [](const std::string& memory, const std::string& statements, const char* end = "") {
    const litmus::ParseResult parsed =
        litmus::parse("COW t\n{ " + memory + " d = device; }\nP0() { " + statements + " }\n" + end, "t");
    EXPECT_TRUE(parsed.ok()) << parsed.to_text();
    return plan(*parsed.program, everything());
  };
  const Plan said = plan_for("hugepages = 3; x = hugetlb;", "WRITE_ONCE(*x, 1);");
  EXPECT_EQ(said.skip, "");
  EXPECT_EQ(said.uses.pool, 3u);
  EXPECT_TRUE(said.uses.exact_pool);
  EXPECT_FALSE(said.uses.huge);
  const Plan enough = plan_for("x = hugetlb[8];", "WRITE_ONCE(*x, 1);");
  // Two, for the process and for the device, and one for the block.
  EXPECT_EQ(enough.uses.pool, 5u);
  EXPECT_FALSE(enough.uses.exact_pool);
  EXPECT_TRUE(plan_for("x = hugetlb;", "WRITE_ONCE(*x, 1);", "exists (pool(free)=1)").uses.exact_pool);
  EXPECT_NE(plan_for("x = hugetlb; y = unmapped[4];", "mremap(x, y, MREMAP_MAYMOVE | MREMAP_FIXED);").skip, "");
  EXPECT_NE(plan_for("x = hugetlb; f = memfd;", "read(f);").skip, "");
}

}  // namespace
}  // namespace cowherd::live
