#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"
#include "mm/test_must.hpp"

namespace cowherd::mm {
namespace {

constexpr std::uint64_t kSpacePages = 12;

template <class G>
class RestoreTest : public testing::Test {
 protected:
  using M = TestMachine<G>;

  static Errno restore(M& m, ProcessId process, ProcessId from) { return M::error_of(mm::restore(*m, process, from)); }
  /// What a debugger reads, page by page.
  static std::vector<int> bytes(M& m, ProcessId process) {
    std::vector<int> values;
    for (std::uint64_t page = 0; page < kSpacePages; ++page) values.push_back(m.peek(process, page));
    return values;
  }
};
TYPED_TEST_SUITE(RestoreTest, Geometries);

TYPED_TEST(RestoreTest, BringsBackBytesMappingsAndProtections) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  m.map(p, 6, 2, Protection::kRead);
  for (std::uint64_t page = 0; page < 3; ++page) ASSERT_EQ(m.put(p, page, static_cast<int>(page) + 1), Errno{0});
  const ProcessId snapshot = m.fork(p);
  const std::string areas = m.areas(p);
  const std::uint64_t resident = m.rss(p);
  for (int run = 0; run < 3; ++run) {
    SCOPED_TRACE(run);
    ASSERT_EQ(m.put(p, 0, 50 + run), Errno{0});
    ASSERT_EQ(m.put(p, 3, 60), Errno{0});
    m.unmap(p, 1, 2);
    m.map(p, 9, 2);
    ASSERT_EQ(m.put(p, 9, 70), Errno{0});
    ASSERT_EQ(m.protect(p, 6, 2, Protection::kReadWrite), Errno{0});
    ASSERT_EQ(m.put(p, 6, 80), Errno{0});
    ASSERT_EQ(this->restore(m, p, snapshot), Errno{0});
    EXPECT_EQ(m.verify(), "");
    EXPECT_EQ(m.areas(p), areas);
    EXPECT_EQ(m.rss(p), resident);
    for (std::uint64_t page = 0; page < 3; ++page) EXPECT_EQ(m.get(p, page), static_cast<int>(page) + 1);
    EXPECT_EQ(m.get(p, 3), 0);
    EXPECT_EQ(m.get(p, 6), 0);
    EXPECT_EQ(m.put(p, 6, 1), Errno::kSigSegv);
    EXPECT_EQ(m.get(p, 9), minus(Errno::kSigSegv));
  }
  EXPECT_EQ(m.get(snapshot, 0), 1) << "the snapshot stays what it was";
}

TYPED_TEST(RestoreTest, WorksIntoAnotherProcessAndAfterTheFirstIsGone) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 5), Errno{0});
  const ProcessId snapshot = m.fork(p);
  disown(*m, snapshot);
  m.exit(p);
  const ProcessId other = m.spawn();
  m.map(other, 4, 1);
  ASSERT_EQ(m.put(other, 4, 6), Errno{0});
  ASSERT_EQ(this->restore(m, other, snapshot), Errno{0});
  EXPECT_EQ(m.get(other, 0), 5);
  EXPECT_EQ(m.get(other, 4), minus(Errno::kSigSegv));
  ASSERT_EQ(m.put(other, 0, 7), Errno{0});
  EXPECT_EQ(m.get(snapshot, 0), 5);
}

TYPED_TEST(RestoreTest, PinsKeepTheirPages) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 4);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  ASSERT_EQ(m.put(p, 1, 2), Errno{0});
  const PinId before = m.pin(p, 0, 1, kDma);
  const ProcessId snapshot = m.fork(p);
  const PinId after = m.pin(p, 1, 1, kDma);
  ASSERT_EQ(m.dma_put(before, 11), Errno{0});
  ASSERT_EQ(m.dma_put(after, 12), Errno{0});
  EXPECT_EQ(m.get(p, 0), 11) << "the pin stays with its owner";
  EXPECT_EQ(m.get(p, 1), 12);
  EXPECT_EQ(m.get(snapshot, 0), 1) << "and the snapshot does not see its device";

  ASSERT_EQ(this->restore(m, p, snapshot), Errno{0});
  EXPECT_EQ(m.get(p, 0), 1);
  EXPECT_EQ(m.get(p, 1), 2);
  EXPECT_EQ(m.dma_get(before), 11) << "pages of the devices' own now";
  EXPECT_EQ(m.dma_get(after), 12);
  ASSERT_EQ(m.put(p, 0, 21), Errno{0});
  ASSERT_EQ(m.dma_put(after, 22), Errno{0});
  EXPECT_EQ(m.dma_get(before), 11);
  EXPECT_EQ(m.get(p, 1), 2);
  EXPECT_EQ(m.verify(), "");

  const PinId anew = m.pin(p, 0, 1, kDma);
  ASSERT_EQ(m.dma_put(anew, 31), Errno{0});
  EXPECT_EQ(m.get(p, 0), 31);
  EXPECT_EQ(m.get(snapshot, 0), 1);
}

TYPED_TEST(RestoreTest, LeavesOutWhatForkDoes) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 3);
  for (std::uint64_t page = 0; page < 3; ++page) ASSERT_EQ(m.put(p, page, 1), Errno{0});
  ASSERT_EQ(m.advise(p, 1, 1, Advice::kDontFork), Errno{0});
  ASSERT_EQ(m.advise(p, 2, 1, Advice::kWipeOnFork), Errno{0});
  const ProcessId snapshot = m.fork(p);
  ASSERT_EQ(this->restore(m, p, snapshot), Errno{0});
  EXPECT_EQ(m.get(p, 0), 1);
  EXPECT_EQ(m.get(p, 1), minus(Errno::kSigSegv));
  EXPECT_EQ(m.get(p, 2), 0);
}

/// Every allocation fails once: nothing has changed then, and tried again it does what it would have done.
TYPED_TEST(RestoreTest, IsAllOrNothing) {
  unsigned failures = 0;
  for (std::uint32_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    TestMachine<TypeParam> m;
    const ProcessId p = m.spawn();
    m.map(p, 0, 3);
    m.map(p, 4, 2, Protection::kRead);
    m.map(p, 8, 2);
    for (const std::uint64_t page : {0u, 1u, 8u}) ASSERT_EQ(m.put(p, page, static_cast<int>(page) + 1), Errno{0});
    const PinId pin = m.pin(p, 0, 1, kDma);
    const ProcessId snapshot = m.fork(p);
    const std::vector<int> wanted = this->bytes(m, p);
    ASSERT_EQ(m.put(p, 0, 90), Errno{0});
    ASSERT_EQ(m.put(p, 9, 91), Errno{0});
    m.unmap(p, 4, 1);
    const std::vector<int> now = this->bytes(m, p);
    const std::string areas = m.areas(p);
    const auto free = m->frames().free_count();
    m->frames().injector().arm(nth);
    const Errno error = this->restore(m, p, snapshot);
    m->frames().injector().arm(0);
    if (error == Errno{0}) {
      EXPECT_EQ(this->bytes(m, p), wanted);
      break;
    }
    ++failures;
    EXPECT_EQ(error, Errno::kNoMemory);
    EXPECT_EQ(this->bytes(m, p), now);
    EXPECT_EQ(m.areas(p), areas);
    EXPECT_EQ(m->frames().free_count(), free);
    EXPECT_EQ(m.dma_get(pin), 90);
    ASSERT_EQ(m.put(p, 0, 92), Errno{0});
    EXPECT_EQ(m.dma_get(pin), 92) << "the pin is still coherent";
    EXPECT_EQ(m.verify(), "");
    ASSERT_EQ(this->restore(m, p, snapshot), Errno{0});
    EXPECT_EQ(this->bytes(m, p), wanted);
    EXPECT_EQ(m.verify(), "");
  }
  EXPECT_GE(failures, 8u) << "a root, an mm, a process, and tables, VMAs and anon_vmas of the fork";
}

TYPED_TEST(RestoreTest, IsSoundUnderEveryRuleSet) {
  for (const RuleRow& row : all_rows()) {
    if (row.rules.copy_accounting == CopyAccounting::kSourcePage) continue;
    SCOPED_TRACE(row.id);
    TestMachine<TypeParam> m(row.rules);
    const ProcessId p = m.spawn();
    m.map(p, 0, 4);
    for (std::uint64_t page = 0; page < 3; ++page) ASSERT_EQ(m.put(p, page, 1), Errno{0});
    const ProcessId snapshot = m.fork(p);
    for (int run = 0; run < 3; ++run) {
      ASSERT_EQ(m.put(p, 0, 7), Errno{0});
      const ProcessId child = m.fork(p);
      ASSERT_EQ(this->restore(m, p, snapshot), Errno{0});
      EXPECT_EQ(m.get(p, 0), 1);
      ASSERT_EQ(m.put(p, 1, 8), Errno{0});
      EXPECT_EQ(m.get(child, 0), 7);
      EXPECT_EQ(m.get(child, 1), run == 0 ? 1 : 8);
      EXPECT_EQ(m.get(snapshot, 1), 1);
      EXPECT_EQ(m.verify(), "");
      m.reap(p, child);
    }
  }
}

}  // namespace
}  // namespace cowherd::mm
