#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "mm/test_machine.hpp"
#include "mm/test_must.hpp"
#include "mm/test_scheduler.hpp"

// What fixed scenarios cost, in accesses and not in time: the same on every machine and in every build. A change here
// is no error by itself, but it has to be meant: the numbers are what somebody may rely on to be no worse.

namespace cowherd::mm {
namespace {

constexpr PinFlags kFastDma = kDma | PinFlags::kFast;

constexpr std::array kEventNames = {std::pair{EventKind::kZeroPageMapped, "zero-page"},
                                    std::pair{EventKind::kZeroFilled, "zero-filled"},
                                    std::pair{EventKind::kReused, "reused"},
                                    std::pair{EventKind::kCopiedOnWrite, "copied"},
                                    std::pair{EventKind::kForkShared, "fork-shared"},
                                    std::pair{EventKind::kForkCopied, "fork-copied"},
                                    std::pair{EventKind::kTableShared, "tables-shared"},
                                    std::pair{EventKind::kTableCopied, "tables-copied"},
                                    std::pair{EventKind::kPinned, "pinned"},
                                    std::pair{EventKind::kUnpinned, "unpinned"},
                                    std::pair{EventKind::kUnmapped, "unmapped"},
                                    std::pair{EventKind::kFrameFreed, "freed"}};

void add(std::string& text, std::string_view name, long count) {
  if (count == 0) return;
  text += (text.empty() ? "" : " ") + std::string(name) + "=" + std::to_string(count);
}

/// A parent with `pages` written pages from page 0 on, of which the costs are asked.
template <class G>
class Costs {
 public:
  explicit Costs(std::uint64_t pages) : machine_(kCowherdRules, 200 + 2 * pages), pages_(pages) {
    parent_ = machine_.spawn();
    machine_.map(parent_, 0, pages_);
  }

  TestMachine<G>& machine() { return machine_; }
  [[nodiscard]] ProcessId parent() const { return parent_; }

  void write_all(ProcessId process) {
    for (std::uint64_t page = 0; page < pages_; ++page) ASSERT_EQ(machine_.put(process, page, 1), Errno{0});
  }
  void read_all(ProcessId process) {
    for (std::uint64_t page = 0; page < pages_; ++page) ASSERT_EQ(machine_.get(process, page), 1);
  }

  /// Events by kind, and how many frames more are in use: pages, tables and slabs.
  std::string events_of(const std::function<void()>& work) {
    machine_.events.clear();
    const auto before = static_cast<long>(machine_->frames().free_count().value());
    work();
    std::string text;
    for (const auto& [kind, name] : kEventNames) add(text, name, machine_.events.of(kind));
    add(text, "frames", before - static_cast<long>(machine_->frames().free_count().value()));
    return text;
  }

  /// The accesses to what others may see too, by the points of base/schedule.hpp.
  std::string accesses_of(const std::function<void()>& work) {
    OneAgent agent;
    machine_->set_scheduler(&agent);
    work();
    machine_->set_scheduler(nullptr);
    EXPECT_EQ(agent.refused, 0u);
    std::array<long, kPoints.size()> counts{};
    for (const Point point : agent.points) ++counts[static_cast<std::size_t>(point)];
    std::string text;
    for (std::size_t i = 0; i < kPoints.size(); ++i) add(text, kPoints[i].name, counts[i]);
    return text;
  }

 private:
  TestMachine<G> machine_;
  std::uint64_t pages_;
  ProcessId parent_;
};

using P = ProductionGeometry;
using C = CheckedGeometry;

// Two lowest tables of 512 entries.
constexpr std::uint64_t kNativePages = 1024;
// Four lowest tables of four.
constexpr std::uint64_t kCostPages = 16;

TEST(Cost, FramesAndCopiesOfTheNativeMachine) {
  Costs<P> costs(kNativePages);
  TestMachine<P>& machine = costs.machine();
  const ProcessId parent = costs.parent();
  EXPECT_EQ(costs.events_of([&] { costs.write_all(parent); }), "zero-filled=1024 frames=1030");
  ProcessId child{};
  EXPECT_EQ(costs.events_of([&] { child = machine.fork(parent); }), "fork-shared=1024 frames=5");
  EXPECT_EQ(costs.events_of([&] { costs.read_all(child); }), "");
  EXPECT_EQ(costs.events_of([&] { costs.write_all(parent); }), "copied=1024 frames=1024");
  EXPECT_EQ(costs.events_of([&] { costs.write_all(child); }), "reused=1024");
  EXPECT_EQ(costs.events_of([&] { machine.reap(parent, child); }), "unmapped=1024 freed=1024 frames=-1029");

  PinId pin{};
  EXPECT_EQ(costs.events_of([&] { pin = machine.pin(parent, 7, 3, kFastDma); }), "pinned=3 frames=1");
  EXPECT_EQ(costs.events_of([&] { child = machine.fork(parent); }), "fork-shared=1021 fork-copied=3 frames=8");
  EXPECT_EQ(costs.events_of([&] { machine.reap(parent, child); }), "unmapped=1024 freed=3 frames=-8");
  EXPECT_EQ(costs.events_of([&] { costs.write_all(parent); }), "reused=1021");
  EXPECT_EQ(costs.events_of([&] { machine.unpin(pin); }), "unpinned=3 frames=-1");
  EXPECT_EQ(costs.events_of([&] { machine.unmap(parent, 0, kNativePages); }), "unmapped=1024 freed=1024 frames=-1031");
}

TEST(Cost, AccessesOfFaults) {
  Costs<C> costs(kCostPages);
  const ProcessId parent = costs.parent();
  EXPECT_EQ(costs.accesses_of([&] { costs.write_all(parent); }),
            "access=32 mmap-lock=16 page-table-lock=21 read-entry=16 set-entry=21")
      << "zero fill";
  EXPECT_EQ(costs.accesses_of([&] { costs.write_all(parent); }), "access=16") << "nothing to do";
  const ProcessId child = costs.machine().fork(parent);
  EXPECT_EQ(costs.accesses_of([&] { costs.write_all(parent); }),
            "access=32 mmap-lock=16 page-table-lock=32 read-entry=16 clear-entry=16 set-entry=16 flush=16 "
            "read-counts=16 take-reference=16 drop-reference=16 copy-page=16")
      << "copy";
  EXPECT_EQ(costs.accesses_of([&] { costs.write_all(child); }),
            "access=32 mmap-lock=16 try-page-lock=16 page-table-lock=16 read-entry=16 set-entry=16 read-counts=32 "
            "exclusive=16")
      << "re-use";
}

TEST(Cost, AccessesOfFork) {
  Costs<C> costs(kCostPages);
  TestMachine<C>& machine = costs.machine();
  const ProcessId parent = costs.parent();
  costs.write_all(parent);
  ProcessId first{};
  ProcessId second{};
  EXPECT_EQ(costs.accesses_of([&] { first = machine.fork(parent); }),
            "mmap-lock=1 anon-vma-lock=1 page-table-lock=4 protect-entry=16 flush=1 read-counts=16 take-reference=16 "
            "exclusive=16 sequence=2")
      << "all writable";
  EXPECT_EQ(costs.accesses_of([&] { second = machine.fork(parent); }),
            "mmap-lock=1 anon-vma-lock=1 page-table-lock=4 read-counts=16 take-reference=16 sequence=2")
      << "all write-protected before";
  EXPECT_EQ(costs.accesses_of([&] { machine.exit(second); }),
            "mmap-lock=1 anon-vma-lock=1 clear-entry=1 flush=1 free-table=1 drop-reference=21 processes=1")
      << "the child's exit";
  machine.exit(first);
  const PinId pin = machine.pin(parent, 5, 2, kDma);
  costs.write_all(parent);
  EXPECT_EQ(costs.accesses_of([&] { first = machine.fork(parent); }),
            "mmap-lock=1 anon-vma-lock=1 page-table-lock=6 protect-entry=14 flush=1 read-counts=18 take-reference=14 "
            "exclusive=14 sequence=2 copy-page=2")
      << "two pinned";
  machine.unpin(pin);
}

struct Shared {
  ForkMode mode;
  /// Of a fork of memory that nobody has touched since it was written; of the first write below a shared table; of the
  /// drop of a child that has touched nothing; of a fork with one page pinned.
  std::string fork;
  std::string first_write;
  std::string drop;
  std::string with_pin;
};

TEST(Cost, FramesAndTablesOfForksThatShareThem) {
  for (const Shared& expected :
       {Shared{ForkMode::kSharedLeaves, "tables-shared=2 frames=3", "copied=1 tables-copied=1 frames=2", "frames=-3",
               "fork-shared=511 fork-copied=1 tables-shared=1 frames=5"},
        Shared{ForkMode::kSharedSubtrees, "tables-shared=1 frames=1", "copied=1 tables-copied=3 frames=4", "frames=-1",
               "fork-shared=511 fork-copied=1 tables-shared=1 frames=5"}}) {
    SCOPED_TRACE(static_cast<int>(expected.mode));
    Costs<P> costs(kNativePages);
    TestMachine<P>& machine = costs.machine();
    const ProcessId parent = costs.parent();
    costs.write_all(parent);
    ProcessId child{};
    EXPECT_EQ(costs.events_of([&] { child = machine.fork(parent, expected.mode); }), expected.fork);
    EXPECT_EQ(costs.events_of([&] { machine.reap(parent, child); }), expected.drop);
    child = machine.fork(parent, expected.mode);
    EXPECT_EQ(costs.events_of([&] { (void)machine.put(parent, 0, 1); }), expected.first_write);
    machine.reap(parent, child);
    const PinId pin = machine.pin(parent, 7, 1, kDma);
    EXPECT_EQ(costs.events_of([&] { child = machine.fork(parent, expected.mode); }), expected.with_pin);
    machine.reap(parent, child);
    machine.unpin(pin);
  }
}

TEST(Cost, AccessesOfForksThatShareTables) {
  for (const Shared& expected :
       {Shared{ForkMode::kSharedLeaves,
               "mmap-lock=1 anon-vma-lock=1 protect-entry=4 flush=1 read-counts=5 take-reference=4 sequence=2",
               "access=3 mmap-lock=3 page-table-lock=3 read-entry=2 clear-entry=1 set-entry=2 flush=1 free-table=1 "
               "read-counts=2 take-reference=5 drop-reference=2 exclusive=4 copy-page=1",
               "mmap-lock=1 anon-vma-lock=1 clear-entry=1 flush=1 free-table=1 drop-reference=5 processes=1",
               "mmap-lock=1 anon-vma-lock=1 page-table-lock=2 protect-entry=4 flush=1 read-counts=10 take-reference=6 "
               "exclusive=3 sequence=2 copy-page=1"},
        Shared{ForkMode::kSharedSubtrees,
               "mmap-lock=1 anon-vma-lock=1 protect-entry=1 flush=1 read-counts=1 take-reference=1 sequence=2",
               "access=3 mmap-lock=3 page-table-lock=4 read-entry=2 clear-entry=1 set-entry=3 flush=1 free-table=2 "
               "read-counts=3 take-reference=9 drop-reference=3 exclusive=4 copy-page=1",
               "mmap-lock=1 anon-vma-lock=1 clear-entry=1 flush=1 free-table=1 drop-reference=1 processes=1",
               "mmap-lock=1 anon-vma-lock=1 page-table-lock=2 protect-entry=4 flush=1 read-counts=10 take-reference=6 "
               "exclusive=3 sequence=2 copy-page=1"}}) {
    SCOPED_TRACE(static_cast<int>(expected.mode));
    Costs<C> costs(kCostPages);
    TestMachine<C>& machine = costs.machine();
    const ProcessId parent = costs.parent();
    costs.write_all(parent);
    ProcessId child{};
    EXPECT_EQ(costs.accesses_of([&] { child = machine.fork(parent, expected.mode); }), expected.fork);
    EXPECT_EQ(costs.accesses_of([&] { machine.exit(child); }), expected.drop);
    child = machine.fork(parent, expected.mode);
    EXPECT_EQ(costs.accesses_of([&] { (void)machine.put(parent, 0, 1); }), expected.first_write);
    machine.exit(child);
    const PinId pin = machine.pin(parent, 5, 1, kDma);
    EXPECT_EQ(costs.accesses_of([&] { child = machine.fork(parent, expected.mode); }), expected.with_pin);
    machine.exit(child);
    machine.unpin(pin);
  }
}

TEST(Cost, AccessesOfPins) {
  Costs<C> costs(kCostPages);
  TestMachine<C>& machine = costs.machine();
  const ProcessId parent = costs.parent();
  costs.write_all(parent);
  PinId pin{};
  EXPECT_EQ(costs.accesses_of([&] { pin = machine.pin(parent, 0, kCostPages, kFastDma); }),
            "read-entry=16 read-table=6 take-reference=16 recheck-entry=16 recheck-table=16 has-pinned=1 sequence=2")
      << "without locks";
  EXPECT_EQ(costs.accesses_of([&] { machine.unpin(pin, true); }), "drop-reference=16");
  EXPECT_EQ(costs.accesses_of([&] { pin = machine.pin(parent, 0, kCostPages, kDma); }),
            "mmap-lock=1 page-table-lock=16 take-reference=16")
      << "with locks";
  EXPECT_EQ(costs.accesses_of([&] { machine.unpin(pin, true); }), "drop-reference=16");
}

TEST(Cost, AccessesOfMappings) {
  Costs<C> costs(kCostPages);
  TestMachine<C>& machine = costs.machine();
  const ProcessId parent = costs.parent();
  costs.write_all(parent);
  EXPECT_EQ(costs.accesses_of([&] { (void)machine.protect(parent, 0, kCostPages, Protection::kRead); }),
            "mmap-lock=1 page-table-lock=4 set-entry=16 flush=1");
  EXPECT_EQ(costs.accesses_of([&] { (void)machine.protect(parent, 0, kCostPages, Protection::kReadWrite); }),
            "mmap-lock=1 page-table-lock=4 set-entry=16");
  EXPECT_EQ(costs.accesses_of([&] { (void)machine.advise(parent, 0, kCostPages / 2, Advice::kDontNeed); }),
            "mmap-lock=1 page-table-lock=2 clear-entry=8 flush=2 drop-reference=8");
  EXPECT_EQ(costs.accesses_of([&] { machine.unmap(parent, 0, kCostPages); }),
            "mmap-lock=1 anon-vma-lock=1 clear-entry=1 flush=1 free-table=1 drop-reference=13");
}

}  // namespace
}  // namespace cowherd::mm
