#include <atomic>
#include <cstdint>
#include <cstring>
#include <vector>

#include "measure/floor_model.hpp"
#include "measure/floor_side.hpp"

namespace cowherd::measure::floor {
namespace {

constexpr std::uint64_t kAhead = 16;

/// ns/page of one loop.
template <class Ready, class Done>
Figure time_loop(const Load& load, Model& model, Ready&& ready, const Loop& loop, Done&& done) {
  return time_loops(load, model, ready, {loop}, done).over(static_cast<double>(model.count()));
}

}  // namespace

Figure fork_loop(const Load& load) {
  Model model(load.pages, load.shuffled);
  const std::uint64_t all = model.count();
  return time_loops(
             load, model, [&] { model.ready(kWritable); },
             {[&] { model.fork_by_entry<kAhead>(0, all); }, [&] { model.fork_by_entry<2 * kAhead>(0, all); },
              [&] { model.fork_by_table<kAhead>(0, all); }, [&] { model.fork_by_table<2 * kAhead>(0, all); }},
             [&] {
               return model.all([](std::uint64_t entry, const Descriptor& frame) {
                 return (entry & kWritable) == 0 && frame.counts == 2;
               });
             })
      .over(static_cast<double>(all));
}

Figure fork_loop_with_pins(const Load& load) {
  Model model(load.pages, load.shuffled, 2 * load.pins);
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
          if (i + kAhead < model.count()) __builtin_prefetch(&model.of(model.entries()[i + kAhead]), 1);
          if (add(model.of(model.entries()[i]).counts, 1) < kOnePin) {
            model.share(i);
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
  Model model(load.pages, load.shuffled);
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
  Model model(load.pages, load.shuffled);
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
  Model model(load.pages, load.shuffled);
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
  Model model(load.pages, load.shuffled);
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
  Model model(load.pages, load.shuffled);
  const Figure both = time_loop(
      load, model, [&] { model.ready(kWritable); },
      [&] {
        for (std::uint64_t i = 0; i < model.count(); ++i) model.entries()[i] &= ~kWritable;
        // Both directions are one loop each: the compiler must not make them one.
        std::atomic_signal_fence(std::memory_order_seq_cst);
        for (std::uint64_t i = 0; i < model.count(); ++i) model.entries()[i] |= kWritable;
      },
      [&] { return model.all([](std::uint64_t entry, const Descriptor&) { return (entry & kWritable) != 0; }); });
  return both.over(2);
}

}  // namespace cowherd::measure::floor
