#include "mm/files.hpp"

#include <gtest/gtest.h>

#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"

namespace cowherd::mm {
namespace {

/// A machine with a disk, and short words for files. Values are the first byte of a page.
template <class G>
class FileMachine : public TestMachine<G> {
 public:
  explicit FileMachine(const Rules& rules = kCowherdRules) : TestMachine<G>(rules, 240, 16) {}
  ~FileMachine() {
    for (const FileId file : open_) close_file(**this, file);
  }

  FileId file(FileKind kind, std::uint64_t pages) {
    auto made = create_file(**this, kind, PageCount{pages});
    EXPECT_TRUE(made.ok());
    if (!made) std::abort();
    open_.push_back(*made);
    return *made;
  }
  void close(FileId file) {
    std::erase(open_, file);
    close_file(**this, file);
  }
  void map_file(ProcessId process, std::uint64_t page, std::uint64_t pages, FileId file, MapFlags flags,
                std::uint64_t first = 0, Protection protection = Protection::kReadWrite) {
    ASSERT_EQ(this->error_of(mmap(**this, process, this->at(page), this->bytes(pages), protection,
                                  MapFlags::kFixed | flags, Backing{file, PageCount{first}})),
              Errno{0});
  }
  void map_shared(ProcessId process, std::uint64_t page, std::uint64_t pages) {
    this->map(process, page, pages, Protection::kReadWrite, MapFlags::kFixed | MapFlags::kShared);
  }
  int read_at(FileId file, std::uint64_t page) {
    std::byte value{0xEE};
    const Access access = read_file<G>(**this, file, this->bytes(page), {&value, 1});
    if (access.error != Errno{0}) return -static_cast<int>(access.error);
    return access.done == ByteCount{1} ? static_cast<int>(value) : -1;
  }
  Errno write_at(FileId file, std::uint64_t page, int value) {
    const auto byte = static_cast<std::byte>(value);
    return write_file<G>(**this, file, this->bytes(page), {&byte, 1}).error;
  }
  int on_disk(FileId file, std::uint64_t page) {
    std::byte value{};
    read_disk<G>(**this, file, this->bytes(page), {&value, 1});
    return static_cast<int>(value);
  }
  Errno cut(FileId file, std::uint64_t pages) { return this->error_of(truncate(**this, file, PageCount{pages})); }
  Errno write_back(FileId file) { return this->error_of(writeback(**this, file)); }

 private:
  std::vector<FileId> open_;
};

template <class G>
class FilesTest : public testing::Test {};
TYPED_TEST_SUITE(FilesTest, Geometries);

TYPED_TEST(FilesTest, SharedMemoryIsTheSamePageInParentAndChild) {
  FileMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map_shared(p, 0, 2);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  const ProcessId c = m.fork(p);
  ASSERT_EQ(m.put(c, 0, 2), Errno{0});
  ASSERT_EQ(m.put(c, 1, 3), Errno{0});
  EXPECT_EQ(m.get(p, 0), 2);
  EXPECT_EQ(m.get(p, 1), 3);
  EXPECT_EQ(m.view(p, 0).frame, m.view(c, 0).frame);
  EXPECT_EQ(m.view(p, 0).references, 3u) << "two mappings and the cache";
  EXPECT_EQ(m.view(p, 0).mapcount, 2u);
  EXPECT_EQ(m.rss(p), 2u);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FilesTest, APrivateMappingReadsTheCacheAndCopiesBeforeItWrites) {
  FileMachine<TypeParam> m;
  const FileId f = m.file(FileKind::kMemory, 2);
  ASSERT_EQ(m.write_at(f, 0, 1), Errno{0});
  const ProcessId p = m.spawn();
  m.map_file(p, 0, 2, f, MapFlags::kNone);
  EXPECT_EQ(m.get(p, 0), 1);
  const PageView shared = m.view(p, 0);
  EXPECT_FALSE(shared.entry.writable());
  EXPECT_EQ(shared.references, 2u);
  EXPECT_EQ(m.view(p, 1).entry, Entry{});
  ASSERT_EQ(m.put(p, 0, 2), Errno{0});
  ASSERT_EQ(m.put(p, 1, 3), Errno{0}) << "a first touch that writes";
  EXPECT_TRUE(m.view(p, 0).exclusive && m.view(p, 1).exclusive);
  EXPECT_EQ(m.read_at(f, 0), 1);
  EXPECT_EQ(m.read_at(f, 1), 0);
  EXPECT_EQ(m->descriptor(shared.frame).mapcount(), 0u);
  ASSERT_EQ(m.advise(p, 0, 2, Advice::kDontNeed), Errno{0});
  EXPECT_EQ(m.get(p, 0), 1);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FilesTest, EveryWayIntoAFileLeadsToOnePage) {
  FileMachine<TypeParam> m;
  const FileId f = m.file(FileKind::kMemory, 1);
  const ProcessId p = m.spawn();
  const ProcessId q = m.spawn();
  m.map_file(p, 3, 1, f, MapFlags::kShared);
  m.map_file(q, 0, 1, f, MapFlags::kShared);
  ASSERT_EQ(m.put(p, 3, 1), Errno{0});
  EXPECT_EQ(m.get(q, 0), 1);
  ASSERT_EQ(m.write_at(f, 0, 2), Errno{0});
  EXPECT_EQ(m.get(p, 3), 2);
  ASSERT_EQ(m.put(q, 0, 3), Errno{0});
  EXPECT_EQ(m.read_at(f, 0), 3);
}

TYPED_TEST(FilesTest, AFileLivesAsLongAsAnybodyHasIt) {
  FileMachine<TypeParam> m;
  const FileId f = m.file(FileKind::kMemory, 1);
  const ProcessId p = m.spawn();
  m.map_file(p, 0, 1, f, MapFlags::kShared);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  m.close(f);
  EXPECT_EQ(m.get(p, 0), 1);
  EXPECT_EQ(m.verify(), "");
  m.unmap(p, 0, 1);
  EXPECT_EQ(m->frames().template alive<File>(), 0u);
}

TYPED_TEST(FilesTest, BehindTheEndThereIsNothing) {
  FileMachine<TypeParam> m;
  const FileId f = m.file(FileKind::kMemory, 1);
  const ProcessId p = m.spawn();
  m.map_file(p, 0, 2, f, MapFlags::kShared);
  EXPECT_EQ(m.get(p, 1), minus(Errno::kSigBus));
  EXPECT_EQ(m.put(p, 1, 1), Errno::kSigBus);
  EXPECT_EQ(m.try_pin(p, 1, 1, PinFlags::kNone), Errno::kFault);
  EXPECT_EQ(m.advise(p, 0, 2, Advice::kPopulateRead), Errno::kFault);
  EXPECT_EQ(m.read_at(f, 1), -1);
  ASSERT_EQ(m.write_at(f, 1, 2), Errno{0}) << "makes it longer";
  EXPECT_EQ(m.get(p, 1), 2);
  EXPECT_EQ(file_size(*m, f), PageCount{2});
}

TYPED_TEST(FilesTest, TruncateTakesThePagesFromEverybody) {
  FileMachine<TypeParam> m;
  const FileId f = m.file(FileKind::kDisk, 3);
  const ProcessId p = m.spawn();
  m.map_file(p, 0, 3, f, MapFlags::kShared);
  m.map_file(p, 4, 3, f, MapFlags::kNone);
  for (std::uint64_t page = 0; page < 3; ++page) {
    ASSERT_EQ(m.put(p, page, 1), Errno{0});
    ASSERT_EQ(m.put(p, 4 + page, 2), Errno{0});
  }
  const ProcessId c = m.fork(p);
  ASSERT_EQ(m.get(c, 2), 1);
  ASSERT_EQ(m.cut(f, 1), Errno{0});
  for (const ProcessId who : {p, c}) {
    EXPECT_EQ(m.get(who, 0), 1);
    EXPECT_EQ(m.get(who, 4), 2);
    for (const std::uint64_t page : std::initializer_list<std::uint64_t>{1, 2, 5, 6})
      EXPECT_EQ(m.get(who, page), minus(Errno::kSigBus)) << page;
  }
  ASSERT_EQ(m.cut(f, 3), Errno{0});
  EXPECT_EQ(m.get(p, 2), 0);
  EXPECT_EQ(m.get(p, 6), 0) << "the private copy is gone too";
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FilesTest, AHoleLeavesPrivateCopies) {
  FileMachine<TypeParam> m;
  const FileId f = m.file(FileKind::kDisk, 1);
  const ProcessId p = m.spawn();
  m.map_file(p, 0, 1, f, MapFlags::kShared);
  m.map_file(p, 4, 1, f, MapFlags::kNone);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  ASSERT_EQ(m.put(p, 4, 2), Errno{0});
  ASSERT_TRUE(punch(*m, f, PageCount{0}, PageCount{1}).ok());
  EXPECT_EQ(m.get(p, 0), 0);
  EXPECT_EQ(m.get(p, 4), 2);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FilesTest, RemovingMakesAHoleThroughASharedMapping) {
  FileMachine<TypeParam> m;
  const FileId f = m.file(FileKind::kMemory, 3);
  const ProcessId p = m.spawn();
  m.map_file(p, 0, 3, f, MapFlags::kShared);
  m.map_file(p, 4, 1, f, MapFlags::kNone);
  m.map(p, 6, 1);
  for (std::uint64_t page = 0; page < 3; ++page) ASSERT_EQ(m.put(p, page, 5), Errno{0});
  ASSERT_EQ(m.put(p, 4, 2), Errno{0});
  EXPECT_EQ(m.advise(p, 6, 1, Advice::kRemove), Errno::kInvalid);
  EXPECT_EQ(m.advise(p, 4, 1, Advice::kRemove), Errno::kAccess);
  EXPECT_EQ(m.advise(p, 1, 4, Advice::kRemove), Errno::kAccess);
  EXPECT_EQ(m.get(p, 0), 5);
  EXPECT_EQ(m.get(p, 1), 0);
  EXPECT_EQ(m.get(p, 2), 0);
  EXPECT_EQ(m.get(p, 4), 2);
  ASSERT_EQ(m.advise(p, 0, 1, Advice::kLock), Errno{0});
  EXPECT_EQ(m.advise(p, 0, 1, Advice::kRemove), Errno::kInvalid);
  ASSERT_EQ(m.advise(p, 0, 1, Advice::kUnlock), Errno{0});
  m.unmap(p, 4, 1);
  EXPECT_EQ(m.advise(p, 0, 4, Advice::kRemove), Errno::kNoMemory);
  EXPECT_EQ(m.get(p, 0), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FilesTest, APinKeepsAPageThatIsCutOff) {
  FileMachine<TypeParam> m;
  const FileId f = m.file(FileKind::kMemory, 1);
  const ProcessId p = m.spawn();
  m.map_file(p, 0, 1, f, MapFlags::kShared);
  const PinId pin = m.pin(p, 0, 1, PinFlags::kWrite);
  ASSERT_EQ(m.cut(f, 0), Errno{0});
  ASSERT_EQ(m.cut(f, 1), Errno{0});
  ASSERT_EQ(m.dma_put(pin, 7), Errno{0});
  EXPECT_EQ(m.get(p, 0), 0);
  EXPECT_EQ(m.dma_get(pin), 7);
  EXPECT_EQ(m.verify(), "");
  m.unpin(pin, true);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FilesTest, ADisksFileHearsOfEveryFirstWrite) {
  FileMachine<TypeParam> m;
  const FileId f = m.file(FileKind::kDisk, 1);
  const ProcessId p = m.spawn();
  m.map_file(p, 0, 1, f, MapFlags::kShared);
  EXPECT_EQ(m.get(p, 0), 0);
  EXPECT_FALSE(m.view(p, 0).entry.writable()) << "the read fault maps it read-only";
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  EXPECT_TRUE(m.view(p, 0).entry.writable() && m.view(p, 0).dirty);
  EXPECT_EQ(m.on_disk(f, 0), 0);
  const ProcessId c = m.fork(p);
  ASSERT_EQ(m.put(c, 0, 2), Errno{0});
  ASSERT_EQ(m.write_back(f), Errno{0});
  EXPECT_EQ(m.on_disk(f, 0), 2);
  for (const ProcessId who : {p, c}) EXPECT_FALSE(m.view(who, 0).entry.writable() || m.view(who, 0).entry.dirty());
  EXPECT_FALSE(m.view(p, 0).dirty);
  ASSERT_EQ(m.put(c, 0, 3), Errno{0});
  EXPECT_TRUE(m.view(c, 0).dirty);
  ASSERT_EQ(m.write_back(f), Errno{0});
  EXPECT_EQ(m.on_disk(f, 0), 3);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FilesTest, WhatIsCleanAndIdleComesBackFromTheDisk) {
  FileMachine<TypeParam> m;
  const FileId f = m.file(FileKind::kDisk, 2);
  ASSERT_EQ(m.write_at(f, 0, 1), Errno{0});
  ASSERT_EQ(m.write_at(f, 1, 2), Errno{0});
  ASSERT_EQ(m.write_back(f), Errno{0});
  ASSERT_EQ(m.write_at(f, 1, 3), Errno{0});
  ASSERT_TRUE(drop_cache(*m, f).ok());
  EXPECT_EQ(find_cached(m->frames(), m->at(file_ref<TypeParam>(f)), 0), Frames<TypeParam>::kZeroPage);
  EXPECT_NE(find_cached(m->frames(), m->at(file_ref<TypeParam>(f)), 1), Frames<TypeParam>::kZeroPage) << "dirty";
  EXPECT_EQ(m.read_at(f, 0), 1);
  EXPECT_EQ(m.read_at(f, 1), 3);
}

TYPED_TEST(FilesTest, WritebackOfAPinnedPage) {
  struct Case {
    const char* row;
    const char* lost;
  };
  for (const Case& c : {Case{"cowherd", ""}, Case{"R14", "dirty-lost"}, Case{"R10", "dirty-lost"},
                        Case{"R9", "dirty-lost dirty-unprepared"}}) {
    SCOPED_TRACE(c.row);
    FileMachine<TypeParam> m(find_rules(c.row)->rules);
    const FileId f = m.file(FileKind::kDisk, 1);
    const ProcessId p = m.spawn();
    m.map_file(p, 0, 1, f, MapFlags::kShared);
    const PinId pin = m.pin(p, 0, 1, PinFlags::kWrite);
    ASSERT_EQ(m.write_back(f), Errno{0});
    ASSERT_EQ(m.dma_put(pin, 5), Errno{0});
    m.unpin(pin, true);
    ASSERT_EQ(m.write_back(f), Errno{0});
    EXPECT_EQ(m.on_disk(f, 0), *c.lost == '\0' ? 5 : 0);
    EXPECT_EQ(m.verify(), c.lost);
    // Said again, it is written.
    ASSERT_EQ(m.put(p, 0, 6), Errno{0});
    ASSERT_EQ(m.write_back(f), Errno{0});
    EXPECT_EQ(m.on_disk(f, 0), 6);
  }
}

TYPED_TEST(FilesTest, LongTermPinsOfADisksFileAreRefusedWhereTheRulesSaySo) {
  FileMachine<TypeParam> m(find_rules("R14")->rules);
  const FileId disk = m.file(FileKind::kDisk, 1);
  const FileId memory = m.file(FileKind::kMemory, 1);
  const ProcessId p = m.spawn();
  m.map_file(p, 0, 1, disk, MapFlags::kShared);
  m.map_file(p, 2, 1, memory, MapFlags::kShared);
  m.map_file(p, 4, 1, disk, MapFlags::kNone);
  const PinFlags long_write = PinFlags::kWrite | PinFlags::kLongTerm;
  for (const PinFlags fast : {PinFlags::kNone, PinFlags::kFast}) {
    ASSERT_EQ(m.put(p, 0, 1), Errno{0});
    EXPECT_EQ(m.try_pin(p, 0, 1, long_write | fast), Errno::kFault);
    EXPECT_EQ(m.try_pin(p, 0, 1, PinFlags::kWrite | fast), Errno{0});
    EXPECT_EQ(m.try_pin(p, 2, 1, long_write | fast), Errno{0});
    EXPECT_EQ(m.try_pin(p, 4, 1, long_write | fast), Errno{0}) << "a private copy is no file's";
  }
}

TYPED_TEST(FilesTest, MappingsSplitAndMergeWithTheirFiles) {
  FileMachine<TypeParam> m;
  const FileId f = m.file(FileKind::kMemory, 4);
  const ProcessId p = m.spawn();
  m.map_file(p, 0, 4, f, MapFlags::kShared);
  for (std::uint64_t page = 0; page < 4; ++page) {
    ASSERT_EQ(m.put(p, page, 1 + static_cast<int>(page)), Errno{0});
  }
  ASSERT_EQ(m.protect(p, 1, 1, Protection::kRead), Errno{0});
  EXPECT_EQ(m.areas(p), "0-1rw 1-2r 2-4rw");
  EXPECT_EQ(m.verify(), "");
  ASSERT_EQ(m.protect(p, 1, 1, Protection::kReadWrite), Errno{0});
  EXPECT_EQ(m.areas(p), "0-4rw");
  EXPECT_EQ(m.verify(), "");
  m.unmap(p, 1, 1);
  m.map_file(p, 1, 1, f, MapFlags::kShared, 3);
  EXPECT_EQ(m.areas(p), "0-1rw 1-2rw 2-4rw") << "another page of the file than the one between";
  EXPECT_EQ(m.get(p, 1), 4);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FilesTest, ForcedWritesNeverReachAFile) {
  FileMachine<TypeParam> m;
  const FileId f = m.file(FileKind::kMemory, 1);
  const ProcessId p = m.spawn();
  m.map_file(p, 0, 1, f, MapFlags::kNone, 0, Protection::kRead);
  m.map_file(p, 2, 1, f, MapFlags::kShared, 0, Protection::kRead);
  ASSERT_EQ(m.poke(p, 0, 7), Errno{0});
  EXPECT_EQ(m.get(p, 0), 7);
  EXPECT_EQ(m.poke(p, 2, 8), Errno::kFault);
  EXPECT_EQ(m.read_at(f, 0), 0);
  EXPECT_EQ(m.verify(), "");
}

TYPED_TEST(FilesTest, EveryAllocationFailsOnceAndNothingIsLost) {
  for (std::uint32_t nth = 1; nth < 40; ++nth) {
    FileMachine<TypeParam> m;
    const FileId f = m.file(FileKind::kDisk, 2);
    const ProcessId p = m.spawn();
    m->frames().injector().arm(nth);
    const bool mapped = mmap(*m, p, m.at(0), m.bytes(2), Protection::kReadWrite, MapFlags::kFixed | MapFlags::kShared,
                             Backing{f, PageCount{0}})
                            .ok();
    const bool anonymous =
        mmap(*m, p, m.at(4), m.bytes(2), Protection::kReadWrite, MapFlags::kFixed | MapFlags::kShared).ok();
    if (mapped) (void)m.put(p, 0, 1);
    if (anonymous) (void)m.put(p, 5, 1);
    (void)m.write_at(f, 1, 2);
    (void)m.protect(p, 0, 1, Protection::kRead);
    (void)m.try_fork(p);
    (void)m.cut(f, 1);
    m->frames().injector().arm(0);
    EXPECT_EQ(m.verify(), "") << nth;
  }
}

TYPED_TEST(FilesTest, SnapshotsShareWhatIsShared) {
  FileMachine<TypeParam> m;
  const ProcessId p = m.spawn();
  m.map_shared(p, 0, 1);
  m.map(p, 2, 1);
  ASSERT_EQ(m.put(p, 0, 1), Errno{0});
  ASSERT_EQ(m.put(p, 2, 1), Errno{0});
  const ProcessId snapshot = m.fork(p);
  ASSERT_EQ(m.put(p, 0, 2), Errno{0});
  ASSERT_EQ(m.put(p, 2, 2), Errno{0});
  ASSERT_TRUE(restore(*m, p, snapshot).ok());
  EXPECT_EQ(m.get(p, 0), 2);
  EXPECT_EQ(m.get(p, 2), 1);
  EXPECT_EQ(m.verify(), "");
}

}  // namespace
}  // namespace cowherd::mm
