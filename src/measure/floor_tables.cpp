#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "measure/arrangement.hpp"
#include "measure/floor_model.hpp"
#include "measure/floor_side.hpp"

namespace cowherd::measure::floor {
namespace {

/// Entries that a fork or a drop has to visit: those that name what is shared.
std::uint64_t shared_tables(const Load& load) {
  const std::uint64_t below = load.mode == ForkMode::kSharedSubtrees ? kEntries * kEntries : kEntries;
  return std::max<std::uint64_t>(load.pages / below, 1);
}

}  // namespace

Figure fork_of_tables(const Load& load) {
  Model model(shared_tables(load), false);
  const std::uint64_t all = model.count();
  return time_loops(
             load, model, [&] { model.ready(kWritable); },
             {[&] { model.fork_by_entry<16>(0, all); }, [&] { model.fork_by_table<16>(0, all); }},
             [&] {
               return model.all([](std::uint64_t entry, const Descriptor& table) {
                 return (entry & kWritable) == 0 && table.counts == 2;
               });
             })
      .over(1e3);
}

Figure drop_of_tables(const Load& load) {
  Model model(shared_tables(load), false);
  std::uint64_t last = 0;
  return time_loops(
             load, model,
             [&] {
               model.ready(0);
               for (std::uint64_t i = 0; i < model.count(); ++i) model.of(model.entries()[i]).counts = 2;
               last = 0;
             },
             {[&] {
               for (std::uint64_t i = 0; i < model.count(); ++i) {
                 if (i + 16 < model.count()) __builtin_prefetch(&model.of(model.entries()[i + 16]), 1);
                 if (add(model.of(model.entries()[i]).counts, ~std::uint32_t{0}) == 1) ++last;
               }
             }},
             [&] {
               return last == 0 && model.all([](std::uint64_t, const Descriptor& table) { return table.counts == 1; });
             })
      .over(1e3);
}

Figure table_and_page(const Load& load) {
  // Tables that are alone in memory are those below which something is pinned.
  const std::uint64_t entries = load.tables_alone ? load.pins * kEntries : load.pages;
  const std::uint64_t tables = entries / kEntries;
  const std::uint64_t wanted = load.pins == 0 ? tables : std::min(load.pins, tables);
  if (wanted == 0) return Figure::unavailable("less than one table");
  const std::vector<std::uint64_t> chosen = scattered(wanted, tables);
  Model model(entries, load.shuffled, 2 * wanted);
  const auto copies = [&] {
    for (std::uint64_t i = 0; i < wanted; ++i) {
      std::memcpy(model.data() + (wanted + i) * kPage, model.data() + i * kPage, kPage);
    }
  };
  return time_loops(
             load, model,
             [&] {
               model.ready(kWritable);
               for (std::uint64_t i = 0; i < 2 * wanted; ++i) model.data()[i * kPage] = std::byte{i < wanted};
             },
             {[&] {
                for (const std::uint64_t table : chosen) {
                  model.fork_by_entry<16>(table * kEntries, (table + 1) * kEntries);
                }
                copies();
              },
              [&] {
                for (const std::uint64_t table : chosen) {
                  model.fork_by_table<16>(table * kEntries, (table + 1) * kEntries);
                }
                copies();
              }},
             [&] {
               return std::ranges::all_of(chosen, [&](std::uint64_t table) {
                 return model.of(model.entries()[table * kEntries]).counts == 2 &&
                        model.data()[(2 * wanted - 1) * kPage] == std::byte{1};
               });
             })
      .over(static_cast<double>(wanted) * 1e3);
}

Figure remembered_translation(const Load& load) {
  struct Translation {
    std::uint64_t tag;
    std::uint64_t addend;
  };
  static std::array<Translation, 256> table;
  alignas(kPage) static std::array<std::byte, kHitPages * kPage> pages;
  const std::vector<std::uint64_t> offsets = scattered_words();
  for (std::uint64_t page = 0; page < kHitPages; ++page) {
    table[page] = {page * kPage, reinterpret_cast<std::uintptr_t>(pages.data())};
  }
  return repeat(load, [&](bool) {
    std::uint64_t found = 0;
    std::uint64_t sum = 0;
    const double time = timed(load.clock, [&] {
      for (unsigned turn = 0; turn < kHitTurns; ++turn) {
        for (const std::uint64_t offset : offsets) {
          const Translation& known = table[offset / kPage % table.size()];
          if (known.tag != offset / kPage * kPage) continue;
          ++found;
          sum += *reinterpret_cast<const volatile std::uint64_t*>(offset + known.addend);
        }
      }
    });
    const std::uint64_t all = kHitTurns * offsets.size();
    if (found != all || sum != 0) return Figure::wrong("the loop did not do its work");
    return Figure::measured(time / static_cast<double>(all));
  });
}

Figure walk(const Load& load) {
  // Four levels, the lowest tables in a row and so each higher one's.
  const std::uint64_t levels[] = {load.pages, load.pages / kEntries + 1, load.pages / kEntries / kEntries + 1, 1};
  std::uint64_t entries = 0;
  for (const std::uint64_t level : levels) entries += (level + kEntries - 1) / kEntries * kEntries;
  const std::span<std::byte> memory = engine_memory(entries * sizeof(std::uint64_t));
  if (memory.empty()) return Figure::unavailable("no memory");
  auto* const all = reinterpret_cast<std::uint64_t*>(memory.data());
  std::uint64_t first[4] = {0};
  for (unsigned level = 1; level < 4; ++level) {
    first[level] = first[level - 1] + (levels[level - 1] + kEntries - 1) / kEntries * kEntries;
  }
  // An entry holds the index of the table below it, and at the lowest level of nothing.
  for (unsigned level = 0; level < 4; ++level) {
    for (std::uint64_t i = 0; i < levels[level]; ++i) {
      const std::uint64_t below = level == 0 ? 0 : first[level - 1] + i * kEntries;
      all[first[level] + i] = below << kFrameShift | kPresent;
    }
  }
  const std::vector<std::uint64_t> pages = scattered_pages(load.pages);
  return repeat(load, [&](bool) {
    evict_caches();
    std::uint64_t present = 0;
    const double time = timed(load.clock, [&] {
      for (const std::uint64_t page : pages) {
        std::uint64_t table = first[3];
        std::uint64_t entry = 0;
        for (unsigned level = 4; level-- > 0; table = entry >> kFrameShift) {
          entry = std::atomic_ref(all[table + (page >> 9 * level) % kEntries]).load(std::memory_order_acquire);
          if ((entry & kPresent) == 0) break;
        }
        present += entry & kPresent;
      }
    });
    if (present != pages.size()) return Figure::wrong("the loop did not do its work");
    return Figure::measured(time / static_cast<double>(pages.size()));
  });
}

Figure two_loads(const Load& load) {
  static std::uint32_t sequence = 0;
  return repeat(load, [&](bool) {
    constexpr std::uint64_t kTimes = 1 << 20;
    std::uint64_t same = 0;
    const double time = timed(load.clock, [&] {
      for (std::uint64_t i = 0; i < kTimes; ++i) {
        const std::atomic_ref word(sequence);
        const std::uint32_t before = word.load(std::memory_order_acquire);
        if (before % 2 != 0) continue;
        same += word.load(std::memory_order_acquire) == before ? 1 : 0;
      }
    });
    if (same != kTimes) return Figure::wrong("the loop did not do its work");
    return Figure::measured(time / static_cast<double>(kTimes));
  });
}

}  // namespace cowherd::measure::floor
