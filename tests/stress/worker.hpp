#pragma once

#include <cstdint>
#include <vector>

#include "stress/house.hpp"
#include "stress/record.hpp"

namespace cowherd::stress {

/// One thread of the host: does random things to the address spaces of a House at full speed, and writes down what it
/// did. Which things is a matter of the seed; in which order they meet those of others is chance.
class Worker {
 public:
  Worker(House& house, unsigned number);

  /// Precondition: no other call is running; others' workers may.
  void run_round();
  /// Gives back all pins and ends all address spaces that this worker has forked.
  void finish();

  [[nodiscard]] const Log& log() const { return log_; }
  void clear_log() { log_.clear(); }
  /// Between rounds.
  void tell_pins();

 private:
  struct Held {
    std::uint32_t number;
    mm::PinId id;
    Life life;
    unsigned slot;
    std::uint8_t first;
    std::uint8_t count;
    PinFlags flags;
  };
  struct Pages {
    std::uint8_t first;
    std::uint8_t count;
  };

  std::uint32_t choose(std::uint32_t below);
  std::uint64_t fresh_value() { return (std::uint64_t{number_} + 1) << 40 | ++values_; }
  std::uint8_t any_page();
  Pages any_pages(std::uint8_t from);
  /// As any_pages(), for what is about mappings: of hugetlb pages only whole ones.
  Pages any_mapped(std::uint8_t from);
  [[nodiscard]] Vaddr begin_of(Pages pages) const { return house_.begin_of(pages.first, pages.count); }
  [[nodiscard]] ByteCount length_of(Pages pages) const { return house_.length_of(pages.first, pages.count); }

  /// Runs `operation(record)` between two ticks and keeps the record. Returns it, until the next one.
  template <class Operation>
  Record& timed(Action action, Life life, Operation&& operation);

  void step();
  void access(bool write);
  void access_word(const House::Visit& visit, std::uint8_t page, std::uint8_t word, bool write);
  void transfer(const Held& held, std::uint8_t page, std::uint8_t word, bool write);
  void ptrace(bool write);
  void vfork_access();
  void take_pin();
  void drop_pin();
  void use_device();
  void change_mapping();
  void protect();
  void discard();
  void populate();
  void kernel_work();
  void change_huge(const House::Visit& visit, std::uint8_t page);
  void fork_or_exit();
  void exec();
  void exit_slot(unsigned slot);
  [[nodiscard]] unsigned any_slot() { return choose(house_.slots()); }

  House& house_;
  mm::System<P>& system_;
  unsigned number_;
  std::uint64_t random_;
  std::uint64_t values_ = 0;
  Log log_;
  std::vector<Held> pins_;
};

}  // namespace cowherd::stress
