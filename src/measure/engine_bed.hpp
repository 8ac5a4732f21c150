#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cowherd/cowherd.hpp"
#include "measure/figure.hpp"
#include "measure/host.hpp"
#include "measure/load.hpp"
#include "measure/repeat.hpp"
#include "measure/stopwatch.hpp"

namespace cowherd::measure::engine {

/// A machine in engine_memory() with one address space, in which each thread has a mapping of its own.
///
/// What cannot go wrong but for lack of memory ends up in failure(); all calls but it do nothing afterwards.
class Bed {
 public:
  /// `copies`: room for so many pages besides those mapped. `buffer`: bytes beside the machine, see buffer().
  explicit Bed(const Load& load, std::uint64_t copies = 0, std::uint64_t buffer = 0,
               const Rules& rules = kCowherdRules);

  [[nodiscard]] const std::optional<Figure>& failure() const { return failure_; }
  [[nodiscard]] AddressSpace& space() { return *space_; }
  [[nodiscard]] const Machine& machine() const { return *machine_; }
  [[nodiscard]] std::span<std::byte> buffer() const { return buffer_; }

  /// Of the `page`th page of the mapping of thread `number`.
  [[nodiscard]] Vaddr at(std::uint64_t page, unsigned number = 0) const;
  [[nodiscard]] ByteCount length() const { return ByteCount{load_.pages * kPageBytes}; }

  /// Maps, for every thread, and first touches, as the load says.
  void map();
  void fill();
  void unmap();
  /// One store to each page of a thread's that has been written before, in order. False: one of them failed.
  bool store_all(unsigned number = 0);
  /// The same by advice: no access is translated.
  bool populate_all(unsigned number = 0);
  /// Pins what the load says. Where it is tables alone, all pages below the same lowest table are written before.
  void pin();

  /// Whether every kCheckEvery-th page of `space` holds its stamp.
  bool stamped(AddressSpace& space);
  /// Whether a write here stays here: `child` keeps what it had.
  bool parted_from(AddressSpace& child);
  /// Whether device and owner see each other's bytes in every pinned page, and `child` does not see them.
  bool pins_kept(AddressSpace& child);

  [[nodiscard]] std::uint64_t free_frames() const { return machine_->memory_use().free.value(); }

  /// What repeat() gives, if the machine is sound after it and every frame free again once everything is unmapped and
  /// let go of. The last call.
  template <class Once>
  Figure measure(Once&& once) {
    return failure_ ? *failure_ : end(repeat(load_, once));
  }
  /// ns/page to one thread of what each does on pages of its own that are mapped and filled here; `work(number)` says
  /// whether it went well.
  template <class Work>
  Figure measure_each(Work&& work) {
    map();
    fill();
    return measure([&](bool) -> Figure {
             evict_caches();
             std::vector<char> fine(load_.threads, 0);
             const double time =
                 timed_on(load_.threads, load_.clock, [&](unsigned number) { fine[number] = work(number); });
             const bool all = std::ranges::find(fine, 0) == fine.end();
             return all ? Figure::measured(time) : Figure::wrong("an operation failed");
           })
        .over(static_cast<double>(load_.pages));
  }
  /// As measure(), of a figure that is there.
  Figure end(Figure figure);

 private:
  /// What the first byte of a page holds after fill() and pin().
  [[nodiscard]] std::uint8_t held(std::uint64_t page) const;
  void write_tables();
  bool put(AddressSpace& space, Vaddr address, std::uint8_t value);
  std::optional<std::uint8_t> get(AddressSpace& space, Vaddr address);
  void fail(Errno error);

  Load load_;
  std::uint64_t apart_;
  std::optional<Machine> machine_;
  std::optional<AddressSpace> space_;
  std::uint64_t free_at_first_ = 0;
  std::span<std::byte> buffer_;
  std::vector<std::uint64_t> pinned_;
  /// Of tables alone: lowest tables, by number, whose pages have been written.
  std::vector<std::uint64_t> written_tables_;
  std::vector<Pin> pins_;
  std::optional<Figure> failure_;
};

inline constexpr PinFlags kForDevice = PinFlags::kWrite | PinFlags::kLongTerm;

}  // namespace cowherd::measure::engine
