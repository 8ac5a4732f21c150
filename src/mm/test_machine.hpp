#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mm/operations.hpp"
#include "mm/system.hpp"
#include "mm/test_fork_mode.hpp"

namespace cowherd::mm {

using Geometries = testing::Types<ProductionGeometry, CheckedGeometry>;

inline std::string names_of(Violations violations) {
  std::string text;
  for (std::size_t i = 0; i < kViolations.size(); ++i) {
    if (violations.has(static_cast<Violation>(i))) {
      text += (text.empty() ? "" : " ") + std::string(kViolations[i].name);
    }
  }
  return text;
}

/// Aligned memory for one machine.
class Memory {
 public:
  explicit Memory(std::size_t bytes)
      : bytes_(bytes), memory_(static_cast<std::byte*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096))) {
    std::memset(memory_.get(), 0xEE, bytes);
  }
  Memory(const Memory& other) : Memory(other.bytes_) { std::memcpy(get(), other.get(), bytes_); }
  Memory& operator=(const Memory&) = delete;

  [[nodiscard]] std::byte* get() const { return memory_.get(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }  // NOLINT(cppcoreguidelines-no-malloc)
  };
  std::size_t bytes_;
  std::unique_ptr<std::byte, Free> memory_;
};

/// Counts events by kind.
class EventCounter : public EventSink {
 public:
  void on_event(const Event& event) override {
    ++count[static_cast<std::size_t>(event.kind)];
    last = event;
  }
  [[nodiscard]] int of(EventKind kind) const { return count[static_cast<std::size_t>(kind)]; }
  void clear() { *this = {}; }

  int count[64] = {};
  Event last{};
};

/// A machine, and short words for what tests do with it. Places are page numbers, values are the first byte of a page.
///
/// At the end of a sound test all processes exit and all pins go; then every frame must be free again.
template <class G>
class TestMachine {
 public:
  static constexpr std::size_t kPageBytes = Geometry<G>::kPageBytes;

  explicit TestMachine(const Rules& rules = kCowherdRules, std::size_t frames = 200, std::size_t swap = 0,
                       bool huge = false, std::uint32_t pool = 0, std::size_t movable = 0)
      : TestMachine(rules, MachineSize{.frames = PageCount{frames},
                                       .swap = PageCount{swap},
                                       .huge = huge,
                                       .pool = pool,
                                       .movable = PageCount{movable}}) {}
  TestMachine(const Rules& rules, const MachineSize& size)
      : memory_(System<G>::footprint(size)), system_(format(rules, size)) {
    system_.set_event_sink(&events);
    all_free_ = system_.frames().free_count();
  }
  TestMachine(const TestMachine&) = delete;
  TestMachine& operator=(const TestMachine&) = delete;
  ~TestMachine() {
    if (!broken_) {
      finish();
    }
  }

  System<G>& operator*() { return system_; }
  System<G>* operator->() { return &system_; }
  [[nodiscard]] const Memory& memory() const { return memory_; }

  static Vaddr at(std::uint64_t page) { return Geometry<G>::address_of(Vpn{page}); }
  static ByteCount bytes(std::uint64_t pages) { return ByteCount{pages * kPageBytes}; }

  /// So many frames will not be free at the end.
  void expect_kept(PageCount frames) { all_free_ = all_free_ - frames; }

  ProcessId spawn() { return keep(mm::spawn(system_)); }
  ProcessId fork(ProcessId parent) { return fork(parent, fork_mode_of_tests()); }
  ProcessId fork(ProcessId parent, ForkMode mode) { return keep(mm::fork(system_, parent, mode)); }
  ProcessId vfork(ProcessId parent) { return keep(mm::vfork(system_, parent)); }
  Errno try_fork(ProcessId parent) {
    auto child = mm::fork(system_, parent, fork_mode_of_tests());
    if (child) {
      processes_.insert(child->value());
    }
    return child ? Errno{0} : child.error();
  }
  void exit(ProcessId process) {
    ASSERT_TRUE(mm::exit(system_, process).ok());
    processes_.erase(process.value());
  }
  /// Exits, and is waited for.
  void reap(ProcessId parent, ProcessId child) {
    exit(child);
    ASSERT_TRUE(mm::wait(system_, parent, child).ok());
  }

  void map(ProcessId process, std::uint64_t page, std::uint64_t pages, Protection protection = Protection::kReadWrite,
           MapFlags flags = MapFlags::kFixed) {
    ASSERT_EQ(error_of(mm::mmap(system_, process, at(page), bytes(pages), protection, flags)), Errno{0});
  }
  void unmap(ProcessId process, std::uint64_t page, std::uint64_t pages) {
    ASSERT_EQ(error_of(mm::munmap(system_, process, at(page), bytes(pages))), Errno{0});
  }
  Errno protect(ProcessId process, std::uint64_t page, std::uint64_t pages, Protection protection) {
    return error_of(mm::mprotect(system_, process, at(page), bytes(pages), protection));
  }
  Errno advise(ProcessId process, std::uint64_t page, std::uint64_t pages, Advice advice) {
    return error_of(mm::madvise(system_, process, at(page), bytes(pages), advice));
  }

  /// The byte, or minus the error.
  int get(ProcessId process, std::uint64_t page) {
    std::byte value{};
    return outcome(mm::read(system_, process, at(page), {&value, 1}), value);
  }
  Errno put(ProcessId process, std::uint64_t page, int value) {
    const auto byte = static_cast<std::byte>(value);
    return mm::write(system_, process, at(page), {&byte, 1}).error;
  }
  int peek(ProcessId process, std::uint64_t page) {
    std::byte value{};
    return outcome(mm::ptrace_read(system_, process, at(page), {&value, 1}), value);
  }
  Errno poke(ProcessId process, std::uint64_t page, int value) {
    const auto byte = static_cast<std::byte>(value);
    return mm::ptrace_write(system_, process, at(page), {&byte, 1}).error;
  }

  PinId pin(ProcessId process, std::uint64_t page, std::uint64_t pages, PinFlags flags, std::uint32_t times = 1) {
    auto pinned = mm::pin(system_, process, at(page), PageCount{pages}, flags, times);
    EXPECT_TRUE(pinned.ok()) << (pinned.ok() ? "" : name_of(pinned.error()));
    if (!pinned) {
      std::abort();
    }
    EXPECT_EQ(pinned->pages, PageCount{pages});
    pins_.insert(pinned->id.value());
    return pinned->id;
  }
  Errno try_pin(ProcessId process, std::uint64_t page, std::uint64_t pages, PinFlags flags, std::uint32_t times = 1) {
    auto pinned = mm::pin(system_, process, at(page), PageCount{pages}, flags, times);
    if (pinned) {
      pins_.insert(pinned->id.value());
    }
    return pinned ? Errno{0} : pinned.error();
  }
  void unpin(PinId pin, bool dirty = false) {
    pins_.erase(pin.value());
    mm::unpin(system_, pin, dirty);
  }
  int dma_get(PinId pin, std::uint64_t page = 0) {
    std::byte value{};
    return outcome(mm::dma_read(system_, pin, bytes(page), {&value, 1}), value);
  }
  Errno dma_put(PinId pin, int value, std::uint64_t page = 0) {
    const auto byte = static_cast<std::byte>(value);
    return mm::dma_write(system_, pin, bytes(page), {&byte, 1}).error;
  }

  Errno swap_out(ProcessId process, std::uint64_t page) { return error_of(mm::swap_out(system_, process, at(page))); }
  Errno swap_in(ProcessId process, std::uint64_t page) { return error_of(mm::swap_in(system_, process, at(page))); }
  std::uint64_t swapped(ProcessId process) { return mm::swapped(system_, process).value(); }

  PageView view(ProcessId process, std::uint64_t page) { return mm::inspect(system_, process, at(page)); }
  std::uint64_t rss(ProcessId process) { return mm::rss(system_, process).value(); }
  /// The VMAs of a process as "0-4rw 6-7r": pages, protection, and what madvise added.
  std::string areas(ProcessId process) {
    std::string text;
    Mm& mm = system_.at(system_.at(Ref<Process>{process.value()}).mm);
    VmaTree tree = system_.areas(mm);
    for (Ref<Vma> ref = tree.first(); ref; ref = tree.next(ref)) {
      const Vma& vma = system_.at(ref);
      text += (text.empty() ? "" : " ") + std::to_string(vma.pages.begin.value()) + "-" +
              std::to_string(vma.pages.end.value());
      text += has(vma.flags.protection, Protection::kRead) ? "r" : "";
      text += has(vma.flags.protection, Protection::kWrite) ? "w" : "";
      text += vma.flags.dont_fork ? "d" : "";
      text += vma.flags.wipe_on_fork ? "z" : "";
    }
    return text;
  }

  /// What verify() finds, by name: empty if all is well.
  std::string verify() { return names_of(mm::verify(system_)); }

  /// This test breaks the machine on purpose: there is no tidy end.
  void expect_broken() { broken_ = true; }

  /// Everybody goes; nothing may be left.
  void finish() {
    EXPECT_EQ(verify(), "");
    system_.frames().injector().arm(0);
    for (const std::uint32_t pin : pins_) {
      mm::unpin(system_, PinId{pin}, false);
    }
    pins_.clear();
    while (system_.processes()) {
      // Newest first: children go before their parents wait for nobody.
      const ProcessId process{system_.processes().unit};
      if (exited(system_, process)) {
        const Ref<Process> parent = system_.at(system_.processes()).parent;
        ASSERT_TRUE(parent);
        ASSERT_TRUE(mm::wait(system_, ProcessId{parent.unit}, process).ok());
      } else {
        ASSERT_TRUE(mm::exit(system_, process).ok());
      }
    }
    EXPECT_EQ(verify(), "");
    EXPECT_EQ(system_.frames().free_count() + (system_.zero_pages() - PageCount{1}), all_free_) << "frames were lost";
    if (system_.has_swap()) {
      EXPECT_EQ(system_.swap().free_count(), system_.swap().block_count()) << "slots were lost";
    }
    broken_ = true;
  }

  template <class T>
  static Errno error_of(const Result<T>& result) {
    return result ? Errno{0} : result.error();
  }

  EventCounter events;

 private:
  System<G> format(const Rules& rules, const MachineSize& size) {
    System<G>::format(memory_.get(), size, rules);
    return System<G>(memory_.get());
  }
  ProcessId keep(Result<ProcessId> made) {
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : name_of(made.error()));
    if (!made) {
      std::abort();
    }
    processes_.insert(made->value());
    return *made;
  }
  static int outcome(Access access, const std::byte& value) {
    return access.error == Errno{0} ? static_cast<int>(value) : -static_cast<int>(access.error);
  }

  Memory memory_;
  System<G> system_;
  PageCount all_free_{};
  bool broken_ = false;
  std::set<std::uint32_t> processes_;
  std::set<std::uint32_t> pins_;
};

inline int minus(Errno error) { return -static_cast<int>(error); }

}  // namespace cowherd::mm
