#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

constexpr UffdFlags kMarks = UffdFlags::kWriteProtect;

/// Markers: write protection by userfaultfd where no page is.
template <class G>
class MarkerTest : public ::testing::Test {
 protected:
  using M = TestMachine<G>;

  static Errno do_register(M& m, ProcessId p, std::uint64_t first, std::uint64_t pages, UffdFlags modes) {
    return M::error_of(uffd_register(*m, p, m.at(first), m.bytes(pages), modes));
  }
  static Errno protect(M& m, ProcessId p, std::uint64_t first, std::uint64_t pages, bool on) {
    return M::error_of(uffd_write_protect(*m, p, m.at(first), m.bytes(pages), on));
  }
  static FileId map_file(M& m, ProcessId p, std::uint64_t pages, MapFlags flags) {
    const auto file = create_file(*m, FileKind::kMemory, PageCount{pages});
    EXPECT_TRUE(file.ok());
    const auto mapped =
        mmap(*m, p, m.at(0), m.bytes(pages), Protection::kReadWrite, MapFlags::kFixed | flags, Backing{*file, {}});
    EXPECT_TRUE(mapped.ok());
    return *file;
  }
  static bool marked(M& m, ProcessId p, std::uint64_t page) { return m.view(p, page).entry.uffd_wp(); }
};
TYPED_TEST_SUITE(MarkerTest, Geometries);

TYPED_TEST(MarkerTest, StandsWhereNothingOfAFileIsMapped) {
  for (const MapFlags flags : {MapFlags::kShared, MapFlags::kNone}) {
    TestMachine<TypeParam> m;
    const ProcessId p = m.spawn();
    const FileId file = this->map_file(m, p, 3, flags);
    ASSERT_EQ(this->do_register(m, p, 0, 3, kMarks), Errno{0});
    ASSERT_EQ(m.put(p, 1, 4), Errno{0});
    ASSERT_EQ(this->protect(m, p, 0, 3, true), Errno{0});
    EXPECT_TRUE(m.view(p, 0).entry.is_marker());
    EXPECT_EQ(m.verify(), "");
    EXPECT_EQ(m.get(p, 0), 0);
    EXPECT_TRUE(this->marked(m, p, 0));
    EXPECT_EQ(m.put(p, 0, 5), Errno::kWouldBlock);
    // What is given up leaves one.
    EXPECT_EQ(m.advise(p, 0, 3, Advice::kDontNeed), Errno{0});
    for (const std::uint64_t page : {0u, 1u, 2u}) EXPECT_TRUE(m.view(p, page).entry.is_marker());
    EXPECT_EQ(m.rss(p), 0u);
    EXPECT_EQ(m.verify(), "");
    ASSERT_TRUE(truncate(*m, file, PageCount{1}).ok());
    EXPECT_TRUE(m.view(p, 2).entry.is_marker());
    EXPECT_EQ(this->protect(m, p, 0, 1, false), Errno{0});
    EXPECT_TRUE(m.view(p, 0).entry.none());
    EXPECT_EQ(m.put(p, 0, 5), Errno{0});
    EXPECT_TRUE(uffd_unregister(*m, p, m.at(0), m.bytes(3)).ok());
    EXPECT_TRUE(m.view(p, 2).entry.none());
    EXPECT_EQ(m.verify(), "");
    close_file(*m, file);
  }
}

TYPED_TEST(MarkerTest, GoesToAChildThatStaysRegistered) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  const FileId file = this->map_file(m, p, 3, MapFlags::kShared);
  ASSERT_EQ(this->do_register(m, p, 0, 2, kMarks | UffdFlags::kEventFork), Errno{0});
  ASSERT_EQ(this->do_register(m, p, 2, 1, kMarks), Errno{0});
  ASSERT_EQ(m.put(p, 1, 4), Errno{0});
  ASSERT_EQ(this->protect(m, p, 0, 3, true), Errno{0});
  const ProcessId child = m.fork(p);
  EXPECT_TRUE(this->marked(m, child, 0));
  EXPECT_TRUE(this->marked(m, child, 1));
  EXPECT_FALSE(this->marked(m, child, 2));
  EXPECT_EQ(m.get(child, 1), 4);
  EXPECT_EQ(m.put(child, 1, 5), Errno::kWouldBlock);
  EXPECT_EQ(m.put(child, 2, 5), Errno{0});
  EXPECT_EQ(m.verify(), "");
  close_file(*m, file);
}

TYPED_TEST(MarkerTest, StandsWhereNoPageIsIfTheHandlerHasAskedForThat) {
  TestMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map(p, 0, 6);
  ASSERT_EQ(this->do_register(m, p, 0, 1, kMarks), Errno{0});
  ASSERT_EQ(this->do_register(m, p, 1, 3, kMarks | UffdFlags::kWpUnpopulated), Errno{0});
  ASSERT_EQ(this->protect(m, p, 0, 4, true), Errno{0});
  EXPECT_TRUE(m.view(p, 0).entry.none());
  EXPECT_TRUE(m.view(p, 1).entry.is_marker());
  EXPECT_EQ(TestMachine<TypeParam>::error_of(uffd_zeropage(*m, p, m.at(1))), Errno::kExist);
  EXPECT_EQ(m.put(p, 1, 4), Errno::kWouldBlock);
  EXPECT_TRUE(this->marked(m, p, 1));
  EXPECT_EQ(m.advise(p, 1, 1, Advice::kDontNeed), Errno{0});
  EXPECT_EQ(m.put(p, 1, 4), Errno{0});
  // Nobody decides where it goes.
  ASSERT_TRUE(mremap(*m, p, m.at(2), m.bytes(1), m.bytes(1), RemapFlags::kMayMove | RemapFlags::kFixed, m.at(5)).ok());
  EXPECT_TRUE(m.view(p, 5).entry.none());
  EXPECT_EQ(m.put(p, 3, 4), Errno::kWouldBlock);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(MarkerTest, IsNoneUnderRulesThatKnowNone) {
  TestMachine<TypeParam> m(find_rules("linux-5.18")->rules);
  const ProcessId p = m.spawn();
  m.map(p, 8, 1);
  const FileId file = this->map_file(m, p, 2, MapFlags::kShared);
  EXPECT_EQ(this->do_register(m, p, 0, 2, kMarks), Errno::kInvalid);
  EXPECT_EQ(this->do_register(m, p, 8, 1, kMarks | UffdFlags::kWpUnpopulated), Errno::kInvalid);
  close_file(*m, file);
}

}  // namespace
}  // namespace cowherd::mm
