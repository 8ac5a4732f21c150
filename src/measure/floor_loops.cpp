#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "measure/arrangement.hpp"
#include "measure/engine_memory.hpp"
#include "measure/floor_side.hpp"
#include "measure/host.hpp"
#include "measure/spread.hpp"
#include "measure/stopwatch.hpp"

namespace cowherd::measure::floor {
namespace {

constexpr std::uint64_t kPresent = 1;
constexpr std::uint64_t kWritable = 2;
constexpr unsigned kFrameShift = 12;
constexpr std::uint32_t kOnePin = 1u << 20;
constexpr std::uint64_t kAhead = 16;

struct Descriptor {
  std::uint32_t counts;
  std::uint32_t flags;
  std::uint64_t owner;
};
static_assert(sizeof(Descriptor) == 16);

/// The entries of one address space, those of its child, and the descriptors of the frames that they name.
class Model {
 public:
  explicit Model(const Load& load, std::uint64_t data_pages = 0) : count_(load.pages) {
    const std::size_t table = load.pages * sizeof(std::uint64_t);
    const std::span<std::byte> memory = engine_memory(2 * table + load.pages * sizeof(Descriptor) +
                                                      load.pages * sizeof(std::uint32_t) + (data_pages + 1) * kPage);
    if (memory.empty()) return;
    std::byte* at = memory.data();
    data_ = at;
    at += data_pages * kPage;
    entries_ = reinterpret_cast<std::uint64_t*>(at);
    child_ = reinterpret_cast<std::uint64_t*>(at + table);
    descriptors_ = reinterpret_cast<Descriptor*>(at + 2 * table);
    list_ = reinterpret_cast<std::uint32_t*>(at + 2 * table + load.pages * sizeof(Descriptor));
    order_ = order_of(load.pages, load.shuffled);
  }

  [[nodiscard]] bool ok() const { return entries_ != nullptr; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t* entries() { return entries_; }
  [[nodiscard]] std::uint64_t* child() { return child_; }
  [[nodiscard]] std::uint32_t* list() { return list_; }
  [[nodiscard]] std::byte* data() { return data_; }
  /// Of the frame that an entry names.
  [[nodiscard]] Descriptor& of(std::uint64_t entry) { return descriptors_[entry >> kFrameShift]; }
  void prefetch(std::uint64_t index) {
    if (index + kAhead < count_) __builtin_prefetch(&of(entries_[index + kAhead]), 1);
  }

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

 private:
  std::uint64_t count_;
  std::uint64_t* entries_ = nullptr;
  std::uint64_t* child_ = nullptr;
  Descriptor* descriptors_ = nullptr;
  std::uint32_t* list_ = nullptr;
  std::byte* data_ = nullptr;
  std::vector<std::uint64_t> order_;
};

/// ns/page of `loop`, between `ready` and a check that it did its work.
template <class Ready, class Loop, class Done>
Figure time_loop(const Load& load, Model& model, Ready&& ready, Loop&& loop, Done&& done) {
  if (!model.ok()) return Figure::unavailable("no memory");
  std::vector<double> times;
  for (unsigned round = 0; round <= load.repetitions; ++round) {
    ready();
    evict_caches();
    const double time = timed(load.clock, loop);
    if (!done()) return Figure::wrong("the loop did not do its work");
    if (round != 0) times.push_back(time);
  }
  return Figure::measured(spread_of(times).median / static_cast<double>(model.count()));
}

std::uint32_t add(std::uint32_t& counts, std::uint32_t what) {
  return std::atomic_ref(counts).fetch_add(what, std::memory_order_acq_rel);
}

void share(Model& model, std::uint64_t i) {
  const std::uint64_t read_only = model.entries()[i] & ~kWritable;
  std::atomic_ref(model.entries()[i]).store(read_only, std::memory_order_relaxed);
  std::atomic_ref(model.child()[i]).store(read_only, std::memory_order_relaxed);
}

}  // namespace

Figure fork_loop(const Load& load) {
  Model model(load);
  return time_loop(
      load, model, [&] { model.ready(kWritable); },
      [&] {
        for (std::uint64_t i = 0; i < model.count(); ++i) {
          model.prefetch(i);
          if (add(model.of(model.entries()[i]).counts, 1) < kOnePin) share(model, i);
        }
      },
      [&] {
        return model.all(
            [](std::uint64_t entry, const Descriptor& frame) { return (entry & kWritable) == 0 && frame.counts == 2; });
      });
}

Figure fork_loop_with_pins(const Load& load) {
  Model model(load, 2 * load.pins);
  const std::vector<std::uint64_t> pinned = scattered(load.pins, load.pages);
  std::uint64_t copied = 0;
  return time_loop(
      load, model,
      [&] {
        model.ready(kWritable);
        for (const std::uint64_t page : pinned) model.of(model.entries()[page]).counts += kOnePin;
        for (std::uint64_t i = 0; i < 2 * load.pins; ++i) model.data()[i * kPage] = std::byte{1};
        copied = 0;
      },
      [&] {
        for (std::uint64_t i = 0; i < model.count(); ++i) {
          model.prefetch(i);
          if (add(model.of(model.entries()[i]).counts, 1) < kOnePin) {
            share(model, i);
            continue;
          }
          add(model.of(model.entries()[i]).counts, ~std::uint32_t{0});
          std::memcpy(model.data() + (load.pins + copied) * kPage, model.data() + copied * kPage, kPage);
          ++copied;
        }
      },
      [&] { return copied == load.pins; });
}

Figure reuse_loop(const Load& load) {
  Model model(load);
  return time_loop(
      load, model, [&] { model.ready(0); },
      [&] {
        for (std::uint64_t i = 0; i < model.count(); ++i) {
          std::uint64_t entry = model.entries()[i];
          if (std::atomic_ref(model.of(entry).counts).load(std::memory_order_acquire) != 1) continue;
          (void)std::atomic_ref(model.entries()[i]).compare_exchange_strong(entry, entry | kWritable);
        }
      },
      [&] { return model.all([](std::uint64_t entry, const Descriptor&) { return (entry & kWritable) != 0; }); });
}

Figure pin_loop(const Load& load) {
  Model model(load);
  std::uint64_t changed = 0;
  return time_loop(
      load, model, [&] { model.ready(kWritable); },
      [&] {
        for (std::uint64_t i = 0; i < model.count(); ++i) {
          const std::uint64_t entry = std::atomic_ref(model.entries()[i]).load(std::memory_order_acquire);
          add(model.of(entry).counts, kOnePin + 1);
          model.list()[i] = static_cast<std::uint32_t>(entry >> kFrameShift);
          if (std::atomic_ref(model.entries()[i]).load(std::memory_order_acquire) != entry) ++changed;
        }
      },
      [&] {
        return changed == 0 &&
               model.all([](std::uint64_t, const Descriptor& frame) { return frame.counts == kOnePin + 2; });
      });
}

Figure unpin_loop(const Load& load) {
  Model model(load);
  return time_loop(
      load, model,
      [&] {
        model.ready(kWritable);
        for (std::uint64_t i = 0; i < model.count(); ++i) {
          model.of(model.entries()[i]).counts = kOnePin + 2;
          model.list()[i] = static_cast<std::uint32_t>(model.entries()[i] >> kFrameShift);
        }
      },
      [&] {
        for (std::uint64_t i = 0; i < model.count(); ++i) {
          add(model.of(std::uint64_t{model.list()[i]} << kFrameShift).counts, ~(kOnePin + 1) + 1);
        }
      },
      [&] { return model.all([](std::uint64_t, const Descriptor& frame) { return frame.counts == 1; }); });
}

Figure unmap_loop(const Load& load) {
  Model model(load);
  std::uint64_t freed = 0;
  return time_loop(
      load, model,
      [&] {
        model.ready(kWritable);
        freed = 0;
      },
      [&] {
        for (std::uint64_t i = 0; i < model.count(); ++i) {
          const std::uint64_t entry = std::atomic_ref(model.entries()[i]).exchange(0, std::memory_order_acq_rel);
          if (add(model.of(entry).counts, ~std::uint32_t{0}) == 1) {
            model.list()[freed++] = static_cast<std::uint32_t>(entry >> kFrameShift);
          }
        }
      },
      [&] { return freed == model.count(); });
}

Figure protect_loop(const Load& load) {
  Model model(load);
  Figure both = time_loop(
      load, model, [&] { model.ready(kWritable); },
      [&] {
        for (std::uint64_t i = 0; i < model.count(); ++i) model.entries()[i] &= ~kWritable;
        // Both directions are one loop each: the compiler must not make them one.
        std::atomic_signal_fence(std::memory_order_seq_cst);
        for (std::uint64_t i = 0; i < model.count(); ++i) model.entries()[i] |= kWritable;
      },
      [&] { return model.all([](std::uint64_t entry, const Descriptor&) { return (entry & kWritable) != 0; }); });
  return both.ok() ? Figure::measured(both.value() / 2) : both;
}

}  // namespace cowherd::measure::floor
