#include <gtest/gtest.h>

#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

template <class G>
class ProcessTest : public testing::Test {};
TYPED_TEST_SUITE(ProcessTest, Geometries);

TYPED_TEST(ProcessTest, ANewProcessHasNothing) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  EXPECT_EQ(m.areas(p), "");
  EXPECT_EQ(m.rss(p), 0u);
  EXPECT_FALSE(exited(*m, p));
  EXPECT_EQ(m.get(p, 0), minus(Errno::kSigSegv));
}

TYPED_TEST(ProcessTest, ProcessesThatAreNotRelatedShareNothing) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  const ProcessId q = m.spawn();
  m.map(p, 0, 1);
  m.map(q, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  EXPECT_EQ(m.get(q, 0), 0);
  m.exit(p);
  EXPECT_EQ(m.put(q, 0, 2), Errno{0});
}

TYPED_TEST(ProcessTest, ExecGivesAnEmptyAddressSpaceAndLeavesTheRelativesAlone) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const ProcessId child = m.fork(p);
  ASSERT_TRUE(exec(*m, child).ok());
  EXPECT_EQ(m.areas(child), "");
  EXPECT_EQ(m.rss(child), 0u);
  EXPECT_EQ(m.get(p, 0), 1);
  EXPECT_EQ(m.view(p, 0).mapcount, 1u);
  m.map(child, 0, 1);
  EXPECT_EQ(m.put(child, 0, 2), Errno{0});
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(ProcessTest, AFailedExecChangesNothing) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  for (std::uint32_t nth = 1; nth <= 2; ++nth) {
    m->frames().injector().arm(nth);
    EXPECT_EQ(m.error_of(exec(*m, p)), Errno::kNoMemory);
    EXPECT_EQ(m.get(p, 0), 1);
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(ProcessTest, VforkRunsInTheParentsMemoryAndSuspendsIt) {
  for (const bool by_exec : {true, false}) {
    TestMachine<TypeParam> m;
    const ProcessId p = m.spawn();
    m.map(p, 0, 1);
    const ProcessId child = m.vfork(p);
    EXPECT_TRUE(suspended(*m, p));
    EXPECT_FALSE(suspended(*m, child));
    ASSERT_EQ(m.put(child, 0, 5), Errno{0});
    EXPECT_EQ(m.rss(child), 1u);
    EXPECT_EQ(m.verify(), "") << "an address space with two users counts once";
    if (by_exec) {
      ASSERT_TRUE(exec(*m, child).ok());
      EXPECT_EQ(m.areas(child), "");
    } else {
      m.exit(child);
      EXPECT_TRUE(exited(*m, child));
    }
    EXPECT_FALSE(suspended(*m, p));
    EXPECT_EQ(m.get(p, 0), 5) << "what the child wrote stays";
    EXPECT_EQ(m.verify(), "");
  }
}

TYPED_TEST(ProcessTest, AChildOfAVforkChildIsItsOwn) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const ProcessId borrower = m.vfork(p);
  const ProcessId child = m.fork(borrower);
  ASSERT_EQ(m.put(child, 0, 2), Errno{0});
  m.reap(borrower, child);
  m.exit(borrower);
  EXPECT_EQ(m.get(p, 0), 1);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(ProcessTest, WaitIsForOnesOwnChildrenThatHaveExited) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  const ProcessId other = m.spawn();
  const ProcessId child = m.fork(p);
  EXPECT_EQ(m.error_of(wait(*m, p, child)), Errno::kWouldBlock);
  EXPECT_EQ(m.error_of(wait(*m, other, child)), Errno::kNoChild);
  EXPECT_EQ(m.error_of(wait(*m, child, p)), Errno::kNoChild);
  m.exit(child);
  EXPECT_TRUE(exited(*m, child));
  EXPECT_EQ(m.rss(child), 0u);
  EXPECT_FALSE(m.view(child, 0).entry.present());
  EXPECT_EQ(m.error_of(wait(*m, other, child)), Errno::kNoChild);
  EXPECT_EQ(m.error_of(wait(*m, p, child)), Errno{0});
  EXPECT_EQ(m.error_of(wait(*m, p, child)), Errno::kNoChild) << "once only";
}

TYPED_TEST(ProcessTest, OrphansVanishWithNobodyToWait) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  const ProcessId running = m.fork(p);
  const ProcessId dead = m.fork(p);
  m.exit(dead);
  const auto before = m->frames().template alive<Process>();
  m.exit(p);
  EXPECT_EQ(m->frames().template alive<Process>(), before - 2) << "the parent and the child that had exited";
  EXPECT_EQ(m.verify(), "");
  m.exit(running);
  EXPECT_EQ(m->frames().template alive<Process>(), 0u);
}

TYPED_TEST(ProcessTest, ADisownedChildVanishesAtOnce) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  const ProcessId child = m.fork(p);
  disown(*m, child);
  EXPECT_EQ(m.error_of(wait(*m, p, child)), Errno::kNoChild);
  m.exit(child);
  EXPECT_EQ(m->frames().template alive<Process>(), 1u);
}

TYPED_TEST(ProcessTest, PagesOutliveTheirProcessInAPin) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const PinId pin = m.pin(p, 0, 2, PinFlags::kWrite);
  m.exit(p);
  EXPECT_EQ(m.dma_get(pin), 1);
  EXPECT_EQ(m.dma_put(pin, 2, 1), Errno{0});
  EXPECT_EQ(m.verify(), "");
  const PageCount before = m->frames().free_count();
  m.unpin(pin, true);
  EXPECT_GT(m->frames().free_count().value(), before.value() + 1);
}

TYPED_TEST(ProcessTest, RunningOutOfProcessesIsAResult) {
  TestMachine<TypeParam> m(kCowherdRules, 40);
  std::vector<ProcessId> all;
  while (true) {
    auto made = mm::spawn(*m);
    if (!made) {
      EXPECT_EQ(made.error(), Errno::kNoMemory);
      break;
    }
    all.push_back(*made);
  }
  EXPECT_GT(all.size(), 5u);
  EXPECT_EQ(m.verify(), "");
  m.exit(all.back());
  EXPECT_TRUE(mm::spawn(*m).ok());
}

}  // namespace
}  // namespace cowherd::mm
