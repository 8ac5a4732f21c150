#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "back/anon_rmap.hpp"
#include "cow/rule_rows.hpp"
#include "mm/test_machine.hpp"
#include "mm/test_must.hpp"

// Every allocation of every operation fails once. What can be observed afterwards is what could be observed before, and
// tried again the operation does what it would have done.

namespace cowherd::mm {
namespace {

constexpr std::uint64_t kCastPages = 16;

/// Who is there: a parent, its child, and what the parent has pinned.
struct Cast {
  ProcessId parent, child;
  PinId written, read, got;
};

template <class G>
class FailureTest : public testing::Test {
 protected:
  using Sys = System<G>;
  static constexpr std::size_t kFrames = 160;

  static Vaddr at(std::uint64_t page) { return TestMachine<G>::at(page); }
  static ByteCount bytes(std::uint64_t pages) { return TestMachine<G>::bytes(pages); }

  /// Pages of the parent: 0 own, 1 shared, 2 the zero page, 3 untouched, 4 to 6 pinned in three ways, 8 read-only and
  /// shared, 10 and 11 apart from the rest.
  static Cast set_up(TestMachine<G>& m) {
    Cast cast{};
    cast.parent = m.spawn();
    m.map(cast.parent, 0, 8);
    m.map(cast.parent, 8, 1);
    m.map(cast.parent, 10, 2);
    for (const std::uint64_t page : {1u, 4u, 5u, 6u, 8u, 10u}) {
      EXPECT_EQ(m.put(cast.parent, page, static_cast<int>(page) + 1), Errno{0});
    }
    EXPECT_EQ(m.protect(cast.parent, 8, 1, Protection::kRead), Errno{0});
    EXPECT_EQ(m.get(cast.parent, 2), 0);
    cast.child = m.fork(cast.parent);
    EXPECT_EQ(m.put(cast.parent, 0, 9), Errno{0});
    cast.written = m.pin(cast.parent, 4, 1, kDma);
    cast.read = m.pin(cast.parent, 5, 1, PinFlags::kLongTerm);
    cast.got = m.pin(cast.parent, 6, 1, PinFlags::kWrite | PinFlags::kGet);
    return cast;
  }

  /// What processes and devices see, looked up in a copy so that looking changes nothing.
  static std::string observe(const Memory& memory, const Cast& cast) {
    const Memory copy = memory;
    Sys system(copy.get());
    std::string text;
    for (const ProcessId process : {cast.parent, cast.child}) {
      for (std::uint64_t page = 0; page < kCastPages; ++page) {
        std::byte value{};
        const Access access = ptrace_read(system, process, at(page), {&value, 1});
        text += access.error == Errno{0} ? std::to_string(static_cast<int>(value)) : std::string(name_of(access.error));
        text += ' ';
      }
      text += "| ";
    }
    for (const PinId pin : {cast.written, cast.read, cast.got}) {
      std::byte value{};
      EXPECT_EQ(dma_read(system, pin, ByteCount{0}, {&value, 1}).error, Errno{0});
      text += std::to_string(static_cast<int>(value)) + " ";
    }
    return text;
  }

  /// The books: what the machine has and where. `kept`: an anon_vma that a fault made may stay.
  static std::string books(Sys& system, const Cast& cast, bool kept) {
    auto& frames = system.frames();
    std::string text = "processes " + std::to_string(frames.template alive<Process>()) + " mms " +
                       std::to_string(frames.template alive<Mm>()) + " vmas " +
                       std::to_string(frames.template alive<Vma>()) + " pins " +
                       std::to_string(frames.template alive<PinRecord<G>>());
    if (!kept) {
      text += " anon_vmas " + std::to_string(frames.template alive<AnonVma>()) + "/" +
              std::to_string(frames.template alive<AnonVmaChain>());
      // A table that was made its owner's own before something failed may stay so.
      if (std::getenv("COWHERD_FORK_MODE") == nullptr) text += " free " + std::to_string(frames.free_count().value());
    }
    for (const ProcessId process : {cast.parent, cast.child}) {
      text += " rss " + std::to_string(rss(system, process).value());
    }
    return text;
  }

  /// Which of the pins still see what their owner writes, tried out in a copy.
  static std::string coherence(const Rules& rules, const Memory& memory, const Cast& cast) {
    const Memory copy = memory;
    Sys system(copy.get());
    std::string text;
    for (const auto& [pin, page] : {std::pair{cast.written, 4u}, std::pair{cast.read, 5u}, std::pair{cast.got, 6u}}) {
      const Errno stored = store(system, cast.parent, page);
      // Under some rules the writer waits for the reader.
      EXPECT_TRUE(stored == Errno{0} || stored == Errno::kWouldBlock);
      std::byte value{};
      EXPECT_EQ(dma_read(system, pin, ByteCount{0}, {&value, 1}).error, Errno{0});
      // Where a plain reference decides against reuse and does not count as a pin, any fork parts it, failed or not.
      const bool lost = page == 6 && rules.pin_count == PinCount::kPin && rules.reuse != Reuse::kMapcount;
      text += lost ? "?" : stored == Errno::kWouldBlock ? "w" : value == std::byte{99} ? "y" : "n";
    }
    return text;
  }

  enum class After : std::uint8_t {
    kAsBefore,
    /// An anon_vma made on the way may stay.
    kAnonVmaStays,
    /// What came before the failure has been done, as on Linux.
    kPart,
  };
  struct Operation {
    const char* name;
    After after;
    std::function<Errno(Sys&, const Cast&)> run;
    /// What it gives for want of memory.
    Errno failure = Errno::kNoMemory;
  };

  template <class T>
  static Errno error_of(const Result<T>& result) {
    return result ? Errno{0} : result.error();
  }
  static Errno store(Sys& system, ProcessId process, std::uint64_t page) {
    const std::byte value{99};
    return write(system, process, at(page), {&value, 1}).error;
  }

  static std::vector<Operation> operations() {
    using S = Sys&;
    using C = const Cast&;
    constexpr auto kBus = Errno::kSigBus;
    constexpr auto kRw = Protection::kReadWrite;
    constexpr auto kMove = RemapFlags::kMayMove | RemapFlags::kFixed;
    return {
        {"spawn", After::kAsBefore, [](S s, C) { return error_of(spawn(s)); }},
        {"fork", After::kAsBefore, [](S s, C c) { return error_of(fork(s, c.parent)); }},
        {"fork of the child", After::kAsBefore, [](S s, C c) { return error_of(fork(s, c.child)); }},
        {"vfork", After::kAsBefore, [](S s, C c) { return error_of(vfork(s, c.parent)); }},
        {"exec", After::kAsBefore, [](S s, C c) { return error_of(exec(s, c.child)); }},
        {"mmap", After::kAsBefore,
         [](S s, C c) { return error_of(mmap(s, c.parent, at(13), bytes(2), kRw, MapFlags::kFixed)); }},
        {"mmap inside", After::kAsBefore,
         [](S s, C c) { return error_of(mmap(s, c.parent, at(3), bytes(2), kRw, MapFlags::kFixed)); }},
        {"mmap across", After::kAsBefore,
         [](S s, C c) { return error_of(mmap(s, c.parent, at(7), bytes(4), kRw, MapFlags::kFixed)); }},
        {"mmap and populate", After::kPart,
         [](S s, C c) {
           return error_of(mmap(s, c.parent, at(12), bytes(4), kRw, MapFlags::kFixed | MapFlags::kPopulate));
         }},
        {"munmap inside", After::kAsBefore, [](S s, C c) { return error_of(munmap(s, c.parent, at(1), bytes(2))); }},
        {"munmap across", After::kAsBefore, [](S s, C c) { return error_of(munmap(s, c.parent, at(7), bytes(4))); }},
        {"mprotect inside", After::kAsBefore,
         [](S s, C c) { return error_of(mprotect(s, c.parent, at(4), bytes(2), Protection::kRead)); }},
        {"mprotect two VMAs", After::kAsBefore,
         [](S s, C c) { return error_of(mprotect(s, c.parent, at(7), bytes(2), Protection::kNone)); }},
        {"madvise inside", After::kAsBefore,
         [](S s, C c) { return error_of(madvise(s, c.parent, at(4), bytes(2), Advice::kDontFork)); }},
        {"populate for writing", After::kPart,
         [](S s, C c) { return error_of(madvise(s, c.parent, at(0), bytes(8), Advice::kPopulateWrite)); }},
        {"populate for reading", After::kPart,
         [](S s, C c) { return error_of(madvise(s, c.parent, at(10), bytes(2), Advice::kPopulateRead)); }},
        {"mremap of all", After::kAsBefore,
         [](S s, C c) { return error_of(mremap(s, c.parent, at(10), bytes(2), bytes(2), kMove, at(13))); }},
        {"mremap of a part", After::kAsBefore,
         [](S s, C c) { return error_of(mremap(s, c.parent, at(1), bytes(2), bytes(2), kMove, at(12))); }},
        {"mremap over another", After::kAsBefore,
         [](S s, C c) { return error_of(mremap(s, c.parent, at(3), bytes(3), bytes(3), kMove, at(9))); }},
        {"mremap over the pinned", After::kAsBefore,
         [](S s, C c) { return error_of(mremap(s, c.parent, at(10), bytes(1), bytes(3), kMove, at(4))); }},
        {"mremap that leaves", After::kAsBefore,
         [](S s, C c) {
           return error_of(mremap(s, c.parent, at(4), bytes(3), bytes(3), kMove | RemapFlags::kDontUnmap, at(13)));
         }},
        {"mremap of two VMAs", After::kAsBefore,
         [](S s, C c) { return error_of(mremap(s, c.parent, at(6), bytes(3), bytes(3), kMove, at(12))); }},
        {"mremap that shrinks", After::kAsBefore,
         [](S s, C c) { return error_of(mremap(s, c.parent, at(0), bytes(6), bytes(2), RemapFlags::kNone)); }},
        {"mremap by the child", After::kAsBefore,
         [](S s, C c) { return error_of(mremap(s, c.child, at(0), bytes(8), bytes(8), kMove, at(20))); }},
        {"write where nothing was", After::kAsBefore, [](S s, C c) { return store(s, c.parent, 3); }, kBus},
        {"write to the zero page", After::kAsBefore, [](S s, C c) { return store(s, c.parent, 2); }, kBus},
        {"write to a shared page", After::kAsBefore, [](S s, C c) { return store(s, c.parent, 1); }, kBus},
        {"write by the child", After::kAnonVmaStays, [](S s, C c) { return store(s, c.child, 11); }, kBus},
        {"debugger's write", After::kAsBefore,
         [](S s, C c) {
           const std::byte value{99};
           return ptrace_write(s, c.parent, at(8), {&value, 1}).error;
         }},
        {"pin of a shared page", After::kAsBefore,
         [](S s, C c) { return error_of(pin(s, c.parent, at(1), PageCount{1}, kDma)); }},
        {"pin of the zero page", After::kAsBefore,
         [](S s, C c) { return error_of(pin(s, c.parent, at(2), PageCount{1}, PinFlags::kLongTerm)); }},
        {"pin of all pages", After::kPart,
         [](S s, C c) { return error_of(pin(s, c.parent, at(0), PageCount{8}, kDma)); }},
        {"migrate an own page", After::kAsBefore, [](S s, C c) { return error_of(migrate(s, c.parent, at(0))); }},
        {"migrate a shared page", After::kAsBefore, [](S s, C c) { return error_of(migrate(s, c.child, at(1))); }},
        {"poison of a shared page", After::kAsBefore, [](S s, C c) { return error_of(poison(s, c.child, at(1))); }},
        {"poison of a pinned page", After::kAsBefore, [](S s, C c) { return error_of(poison(s, c.parent, at(4))); }},
        {"migrate a pinned page", After::kAsBefore, [](S s, C c) { return error_of(migrate(s, c.parent, at(4))); }},
        {"pin by the child", After::kAnonVmaStays,
         [](S s, C c) { return error_of(pin(s, c.child, at(11), PageCount{1}, kDma)); }},
    };
  }

  static void check(const Rules& rules, const Operation& operation);
};
TYPED_TEST_SUITE(FailureTest, Geometries);

template <class G>
void FailureTest<G>::check(const Rules& rules, const Operation& operation) {
  SCOPED_TRACE(operation.name);
  TestMachine<G> m(rules, kFrames);
  const Cast cast = set_up(m);
  const Memory start = m.memory();
  const std::string seen = observe(start, cast);
  const bool kept = operation.after == After::kAnonVmaStays;
  const std::string held = books(*m, cast, kept);
  const std::string coherent = coherence(rules, start, cast);

  const Memory never = start;
  Sys never_failed(never.get());
  const Errno outcome = operation.run(never_failed, cast);
  const std::string result = observe(never, cast);

  std::uint32_t nth = 1;
  for (; nth < 100; ++nth) {
    SCOPED_TRACE(testing::Message() << "allocation " << nth);
    const Memory memory = start;
    Sys system(memory.get());
    system.frames().injector().arm(nth);
    const Errno error = operation.run(system, cast);
    const bool fired = system.frames().injector().fired();
    system.frames().injector().arm(0);
    ASSERT_EQ(names_of(verify(system)), "");
    if (!fired) {
      ASSERT_EQ(error, outcome);
      ASSERT_EQ(observe(memory, cast), result);
      break;
    }
    EXPECT_TRUE(system.frames().shortage());
    if (operation.after != After::kPart) {
      ASSERT_EQ(error, operation.failure);
      ASSERT_EQ(observe(memory, cast), seen);
      ASSERT_EQ(books(system, cast, kept), held);
    }
    if (operation.after != After::kPart) {
      ASSERT_EQ(coherence(rules, memory, cast), coherent) << "what is pinned is still the owner's, whatever failed";
    }
    ASSERT_EQ(operation.run(system, cast), outcome) << "tried again";
    ASSERT_EQ(observe(memory, cast), result);
    ASSERT_EQ(names_of(verify(system)), "");
  }
  EXPECT_LT(nth, 100u);
}

TYPED_TEST(FailureTest, UnderOurRules) {
  for (const auto& operation : this->operations()) this->check(kCowherdRules, operation);
}

TYPED_TEST(FailureTest, UnderOtherRules) {
  for (const char* row : {"R1", "R4", "R6", "R7", "R16", "X3", "X6", "X9", "entry", "page", "haiku"}) {
    SCOPED_TRACE(row);
    for (const auto& operation : this->operations()) this->check(find_rules(row)->rules, operation);
  }
}

TYPED_TEST(FailureTest, AFailedForkReallyWasHalfWay) {
  // Else the tests above prove nothing: some failures come after pages have been shared and copied.
  TestMachine<TypeParam> m(kCowherdRules, this->kFrames);
  const Cast cast = this->set_up(m);
  int shared = 0;
  int copied = 0;
  for (std::uint32_t nth = 1;; ++nth) {
    m.events.clear();
    m->frames().injector().arm(nth);
    const Errno error = m.try_fork(cast.parent);
    m->frames().injector().arm(0);
    if (error == Errno{0}) break;
    shared = std::max(shared, m.events.of(EventKind::kForkShared));
    copied = std::max(copied, m.events.of(EventKind::kForkCopied));
  }
  EXPECT_GE(shared, 2);
  EXPECT_GE(copied, 3);
}

}  // namespace
}  // namespace cowherd::mm
