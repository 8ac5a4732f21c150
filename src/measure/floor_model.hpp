#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "measure/arrangement.hpp"
#include "measure/engine_memory.hpp"
#include "measure/figure.hpp"
#include "measure/floor_side.hpp"
#include "measure/host.hpp"
#include "measure/load.hpp"
#include "measure/repeat.hpp"
#include "measure/stopwatch.hpp"

namespace cowherd::measure::floor {

inline constexpr std::uint64_t kPresent = 1;
inline constexpr std::uint64_t kWritable = 2;
inline constexpr unsigned kFrameShift = 12;
inline constexpr std::uint32_t kOnePin = 1u << 20;
inline constexpr std::uint64_t kEntries = 512;

struct Descriptor {
  std::uint32_t counts;
  std::uint32_t flags;
  std::uint64_t owner;
};
static_assert(sizeof(Descriptor) == 16);

inline std::uint32_t add(std::uint32_t& counts, std::uint32_t what) {
  return std::atomic_ref(counts).fetch_add(what, std::memory_order_acq_rel);
}

/// The entries of one address space, those of its child, and the descriptors of the frames that they name: in order, or
/// as frames lie when pages were first touched in a random order.
class Model {
 public:
  Model(std::uint64_t entries, bool shuffled, std::uint64_t data_pages = 0) : count_(entries) {
    const std::size_t table = entries * sizeof(std::uint64_t);
    const std::span<std::byte> memory = engine_memory(2 * table + entries * sizeof(Descriptor) +
                                                      entries * sizeof(std::uint32_t) + (data_pages + 1) * kPage);
    if (memory.empty()) return;
    std::byte* at = memory.data();
    data_ = at;
    at += data_pages * kPage;
    entries_ = reinterpret_cast<std::uint64_t*>(at);
    child_ = reinterpret_cast<std::uint64_t*>(at + table);
    descriptors_ = reinterpret_cast<Descriptor*>(at + 2 * table);
    list_ = reinterpret_cast<std::uint32_t*>(at + 2 * table + entries * sizeof(Descriptor));
    order_ = order_of(entries, shuffled);
  }

  [[nodiscard]] bool ok() const { return entries_ != nullptr; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t* entries() { return entries_; }
  [[nodiscard]] std::uint64_t* child() { return child_; }
  [[nodiscard]] std::uint32_t* list() { return list_; }
  [[nodiscard]] std::byte* data() { return data_; }
  /// Of the frame that an entry names.
  [[nodiscard]] Descriptor& of(std::uint64_t entry) { return descriptors_[entry >> kFrameShift]; }

  /// Every entry present with `bits`, every frame with one reference.
  void ready(std::uint64_t bits) {
    for (std::uint64_t i = 0; i < count_; ++i) {
      // The page touched nth has frame n.
      entries_[order_[i]] = i << kFrameShift | kPresent | bits;
      child_[i] = 0;
      descriptors_[i] = {1, 0, 0};
      list_[i] = 0;
    }
  }
  /// Whether `holds(entry, descriptor)` for all.
  template <class Holds>
  bool all(Holds&& holds) {
    for (std::uint64_t i = 0; i < count_; ++i) {
      if (!holds(entries_[i], of(entries_[i]))) return false;
    }
    return true;
  }

  // What fork does to entries [begin, end): one after the other, with the descriptor that is `ahead` entries away on
  // its way; or a table at a time, first all counts and then all entries. Which is faster depends on the processor.

  template <std::uint64_t ahead>
  void fork_by_entry(std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t i = begin; i < end; ++i) {
      if (i + ahead < count_) __builtin_prefetch(&of(entries_[i + ahead]), 1);
      if (add(of(entries_[i]).counts, 1) < kOnePin) share(i);
    }
  }
  template <std::uint64_t ahead>
  void fork_by_table(std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t table = begin; table < end; table += kEntries) {
      const std::uint64_t last = std::min(table + kEntries, end);
      std::uint32_t seen = 0;
      for (std::uint64_t i = table; i < last; ++i) {
        if (i + ahead < count_) __builtin_prefetch(&of(entries_[i + ahead]), 1);
        seen |= add(of(entries_[i]).counts, 1);
      }
      if (seen >= kOnePin) continue;
      for (std::uint64_t i = table; i < last; ++i) share(i);
    }
  }

  void share(std::uint64_t i) {
    const std::uint64_t read_only = entries_[i] & ~kWritable;
    std::atomic_ref(entries_[i]).store(read_only, std::memory_order_relaxed);
    std::atomic_ref(child_[i]).store(read_only, std::memory_order_relaxed);
  }

 private:
  std::uint64_t count_;
  std::uint64_t* entries_ = nullptr;
  std::uint64_t* child_ = nullptr;
  Descriptor* descriptors_ = nullptr;
  std::uint32_t* list_ = nullptr;
  std::byte* data_ = nullptr;
  std::vector<std::uint64_t> order_;
};

using Loop = std::function<void()>;

/// ns that the fastest of `loops` takes, between `ready` and a check that it did its work: a floor is what the machine
/// can do, not what one way to write it down does.
template <class Ready, class Done>
Figure time_loops(const Load& load, Model& model, Ready&& ready, const std::vector<Loop>& loops, Done&& done) {
  if (!model.ok()) return Figure::unavailable("no memory");
  Figure best = Figure::unavailable("no loop");
  for (const Loop& loop : loops) {
    Figure figure = repeat(load, [&](bool) {
      ready();
      evict_caches();
      const double time = timed(load.clock, loop);
      return done() ? Figure::measured(time) : Figure::wrong("the loop did not do its work");
    });
    if (figure.state() == Figure::State::kWrong) return figure;
    if (!best.ok() || figure.value() < best.value()) best = figure;
  }
  return best;
}

}  // namespace cowherd::measure::floor
