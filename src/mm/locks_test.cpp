#include "mm/locks.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "mm/page.hpp"
#include "mm/test_machine.hpp"
#include "mm/test_scheduler.hpp"

namespace cowherd::mm {
namespace {

using C = CheckedGeometry;
using P = ProductionGeometry;

template <class G>
class LocksTest : public testing::Test {
 protected:
  void SetUp() override {
    process_ = m_.spawn();
    m_.map(process_, 0, 2);
    ASSERT_EQ(m_.put(process_, 0, 1), Errno{0});
  }
  Mm& mm() { return mm_of(*m_, process_); }
  EntrySlot slot() { return m_->tables(mm()).find(Vpn{0}); }
  bool table_locked() { return m_->descriptor(m_->tables(mm()).table_of(slot())).locked(); }

  TestMachine<G> m_;
  ProcessId process_;
};
TYPED_TEST_SUITE(LocksTest, Geometries);

TYPED_TEST(LocksTest, GuardsHoldForAScopeOrUntilReleased) {
  auto& mm = this->mm();
  {
    const MmapReadGuard<TypeParam> first(*this->m_, mm);
    // Another thread's, for clang's analysis.
    auto& same = this->mm();
    const MmapReadGuard<TypeParam> second(*this->m_, same);
    EXPECT_TRUE(mmap_lock_of(*this->m_, mm).held());
    EXPECT_FALSE(mm.mmap_lock.held_exclusively());
  }
  EXPECT_FALSE(mmap_lock_of(*this->m_, mm).held());
  MmapWriteGuard<TypeParam> guard(*this->m_, mm);
  EXPECT_TRUE(mm.mmap_lock.held_exclusively());
  guard.release();
  EXPECT_FALSE(mmap_lock_of(*this->m_, mm).held());
  guard.release();
  EXPECT_FALSE(mmap_lock_of(*this->m_, mm).held());
}

TYPED_TEST(LocksTest, PageTableGuardCanBeTakenAgain) {
  PageTableGuard<TypeParam> guard(*this->m_, this->mm(), this->slot());
  EXPECT_TRUE(this->table_locked());
  guard.release();
  EXPECT_FALSE(this->table_locked());
  EXPECT_TRUE(guard.lock_again());
  EXPECT_TRUE(this->table_locked());
}

TYPED_TEST(LocksTest, LeakedPageTableLockStopsTheAddressSpace) {
  {
    PageTableGuard<TypeParam> guard(*this->m_, this->mm(), this->slot());
    guard.leak();
  }
  this->m_.expect_broken();
  EXPECT_TRUE(stuck(this->mm()));
  EXPECT_TRUE(this->m_->take_violations().has(Violation::kLockHeld));
  const PageTableGuard<TypeParam> next(*this->m_, this->mm(), this->slot());
  EXPECT_TRUE(next.blocked());
  EXPECT_EQ(this->m_.put(this->process_, 1, 1), Errno::kWouldBlock);
}

TYPED_TEST(LocksTest, PageLockOfAnotherIsNotTaken) {
  const FrameNumber frame = inspect(*this->m_, this->process_, this->m_.at(0)).frame;
  lock_page_of(*this->m_, frame);
  EXPECT_FALSE(try_lock_page_of(*this->m_, frame));
  unlock_page_of(*this->m_, frame);
  ASSERT_TRUE(try_lock_page_of(*this->m_, frame));
  unlock_page_of(*this->m_, frame);
  EXPECT_FALSE(this->m_->descriptor(frame).locked());
}

class CheckedLocksTest : public LocksTest<C> {};

TEST_F(CheckedLocksTest, WithoutASchedulerALockThatIsTakenBlocks) {
  const MmapReadGuard<C> reader(*m_, mm());
  auto& same = mm();
  const MmapWriteGuard<C> writer(*m_, same);
  EXPECT_TRUE(writer.blocked());
  EXPECT_FALSE(reader.blocked());
}

TEST_F(CheckedLocksTest, TheWrongOrderIsReported) {
  {
    const PageTableGuard<C> inner(*m_, mm(), slot());
    EXPECT_TRUE(m_->take_violations().none());
    const MmapReadGuard<C> outer(*m_, mm());
    EXPECT_TRUE(m_->take_violations().has(Violation::kLockOrder));
  }
  EXPECT_FALSE(m_->held_locks().any());
}

TEST_F(CheckedLocksTest, WhoIsAloneTakesAFreeLockWithoutAChoice) {
  OneAgent scheduler;
  m_->set_scheduler(&scheduler);
  mm().sole_agent = scheduler.context.number;
  { const MmapReadGuard<C> guard(*m_, mm()); }
  EXPECT_TRUE(scheduler.points.empty());
  mm().sole_agent = 0;
  { const MmapReadGuard<C> guard(*m_, mm()); }
  EXPECT_EQ(scheduler.points, std::vector{Point::kMmapLock});
  m_->set_scheduler(nullptr);
}

class NativeLocksTest : public LocksTest<P> {};

/// Numbers that only the guards keep from being lost.
TEST_F(NativeLocksTest, GuardsKeepThreadsApart) {
  constexpr unsigned kThreads = 4;
  constexpr unsigned kRounds = 5000;
  unsigned by_mmap_lock = 0;
  unsigned by_table_lock = 0;
  unsigned by_page_lock = 0;
  unsigned by_anon_vma_lock = 0;
  const FrameNumber frame = inspect(*m_, process_, m_.at(0)).frame;
  const Ref<Vma> vma = m_->areas(mm()).at(Vpn{0});
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (unsigned round = 0; round < kRounds; ++round) {
        {
          const MmapWriteGuard<P> guard(*m_, mm());
          ++by_mmap_lock;
        }
        {
          const PageTableGuard<P> guard(*m_, mm(), slot());
          ++by_table_lock;
        }
        {
          const AnonVmaGuard<P> guard(*m_, mm(), vma);
          ++by_anon_vma_lock;
        }
        lock_page_of(*m_, frame);
        ++by_page_lock;
        unlock_page_of(*m_, frame);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(by_mmap_lock, kThreads * kRounds);
  EXPECT_EQ(by_table_lock, kThreads * kRounds);
  EXPECT_EQ(by_page_lock, kThreads * kRounds);
  EXPECT_EQ(by_anon_vma_lock, kThreads * kRounds);
  EXPECT_EQ(m_.verify(), "");
}

}  // namespace
}  // namespace cowherd::mm
