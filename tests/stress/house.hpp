#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cowherd/rules.hpp"
#include "mm/operations.hpp"
#include "stress/oracle.hpp"
#include "stress/record.hpp"

namespace cowherd::stress {

using P = ProductionGeometry;

/// What the memory that the threads play with is made of.
enum class Pages : std::uint8_t {
  kSmall,
  /// Huge pages where there are any (MADV_HUGEPAGE), which come apart and are put together again.
  kHuge,
  /// Large folios that small entries map, of up to 16 pages (MADV_HUGEPAGE).
  kFolio,
  /// hugetlb pages.
  kHugetlb,
};

/// Sizes of a run.
struct Plan {
  std::uint64_t seed = 1;
  unsigned threads = 4;
  /// Operations of each thread between two looks at everything.
  unsigned operations = 2000;
  std::size_t frames = 600;
  /// Pages of swap; with any, reclaim takes pages all the time.
  std::size_t swap = 0;
  Pages pages = Pages::kSmall;
  Rules rules = kCowherdRules;
};

/// The machine under stress, and which address spaces there are now. Threads meet nowhere but in the machine and in the
/// few words here, of which each is written by one of them.
class House {
 public:
  /// Address spaces that never exit, shared by all threads; and those that each thread forks and ends.
  static constexpr unsigned kRoots = 1;
  static constexpr unsigned kForkedByThread = 1;

  explicit House(const Plan& plan);

  [[nodiscard]] const Plan& plan() const { return plan_; }
  mm::System<P>& system() { return system_; }

  /// Relaxed: the clock must not order what the threads do for the race detector. Each reading is one locked access,
  /// which the calls around it cannot pass.
  Tick tick() { return clock_.fetch_add(1, std::memory_order_relaxed) + 1; }
  /// Maps watched pages `first` to `first + count`, and all that is around them in their huge pages where the whole
  /// part of it that is watched is meant.
  Errno map(ProcessId process, std::uint8_t first, std::uint8_t count);
  /// The memory that an operation on these watched pages is about.
  [[nodiscard]] Vaddr begin_of(std::uint8_t first, std::uint8_t count) const;
  [[nodiscard]] ByteCount length_of(std::uint8_t first, std::uint8_t count) const;

  std::uint32_t next_pin() { return pin_numbers_.fetch_add(1, std::memory_order_relaxed) + 1; }
  Life next_life() { return lives_.fetch_add(1, std::memory_order_relaxed) + 1; }

  [[nodiscard]] unsigned slots() const { return kRoots + plan_.threads * kForkedByThread; }
  /// The slots that only `thread` fills and empties.
  [[nodiscard]] unsigned own_slot(unsigned thread, unsigned number) const {
    return kRoots + thread * kForkedByThread + number;
  }

  /// Who uses an address space: one of its threads, or somebody who reaches into it from outside and may do so while it
  /// execs.
  enum class User : std::uint8_t { kThread, kStranger };

  /// Keeps an address space from ending, for one operation. Null life: there is none in the slot, or it is closing.
  class Visit {
   public:
    Visit(House& house, unsigned thread, unsigned slot, User user);
    ~Visit();
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

    [[nodiscard]] Life life() const { return life_; }
    [[nodiscard]] ProcessId process() const { return process_; }

   private:
    std::atomic<std::uint32_t>& where_;
    Life life_ = 0;
    ProcessId process_{};
  };

  /// The process of a fork enters a slot that is empty. Precondition: the calling thread's own slot.
  void open(unsigned slot, Life life, ProcessId process);
  [[nodiscard]] bool is_open(unsigned slot) const;
  /// Empties the slot and waits until all visitors have left. Precondition: as open().
  ProcessId close(unsigned slot);
  /// Keeps the space's own threads out, not strangers. Zero: somebody else does, or there is none.
  Life close_to_threads(unsigned slot);
  void open_to_threads(unsigned slot);
  [[nodiscard]] ProcessId process_in(unsigned slot) const;

  /// What is there now, and nothing in flight.
  [[nodiscard]] Facts facts();
  /// The pins that are held, for facts(); called by their holders between rounds.
  void note_pin(std::uint32_t number, mm::PinId id) { pins_[number] = id; }
  void forget_pins() { pins_.clear(); }

 private:
  static constexpr std::uint32_t kStranger = 1u << 31;
  static constexpr std::uint32_t kExecs = 1u << 31;

  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }  // NOLINT(cppcoreguidelines-no-malloc)
  };
  /// On cache lines of their own.
  struct alignas(64) Slot {
    /// The life in it, 0 if there is none; and kExecs.
    std::atomic<std::uint32_t> life{0};
    std::atomic<std::uint32_t> process{0};
  };
  struct alignas(64) Whereabouts {
    /// Slot plus one, and kStranger; 0: nowhere.
    std::atomic<std::uint32_t> slot{0};
  };

  /// What is mapped, or in swap; null: nothing. Precondition: no operation is in flight.
  [[nodiscard]] const std::byte* bytes_behind(const mm::PageView& view);
  void wait_for_visitors(unsigned slot, bool strangers_too);
  [[nodiscard]] std::optional<ProcessId> process_of(Life life) const;

  Plan plan_;
  std::size_t bytes_;
  std::unique_ptr<std::byte, Free> memory_;
  mm::System<P> system_;
  alignas(64) std::atomic<Tick> clock_{0};
  std::atomic<std::uint32_t> pin_numbers_{0};
  std::atomic<Life> lives_{0};
  std::vector<Slot> spaces_;
  std::vector<Whereabouts> threads_;
  std::map<std::uint32_t, mm::PinId> pins_;
};

/// Where a watched word of a page lies.
inline Vaddr address_of(std::uint8_t page, std::uint8_t word) {
  const std::uint64_t base = (kFirstPage + page) * Geometry<P>::kPageBytes;
  return Vaddr{base + word * (Geometry<P>::kPageBytes - sizeof(std::uint64_t)) / (kWords - 1)};
}

}  // namespace cowherd::stress
