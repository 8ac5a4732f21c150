#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "measure/arrangement.hpp"
#include "measure/engine_memory.hpp"
#include "measure/floor_side.hpp"
#include "measure/host.hpp"
#include "measure/spread.hpp"
#include "measure/stopwatch.hpp"

namespace cowherd::measure::floor {
namespace {

using Clear = void (*)(std::byte*);
using Copy = void (*)(std::byte*, const std::byte*);

void clear_plain(std::byte* page) { std::memset(page, 0, kPage); }
void copy_plain(std::byte* to, const std::byte* from) { std::memcpy(to, from, kPage); }

// Streaming stores go past the caches. Without them the plain functions are the only ones.
#ifdef __SSE2__
void clear_streaming(std::byte* page) {
  auto* at = reinterpret_cast<__m128i*>(page);
  for (std::size_t i = 0; i < kPage / sizeof(__m128i); ++i) _mm_stream_si128(at + i, _mm_setzero_si128());
}
void copy_streaming(std::byte* to, const std::byte* from) {
  auto* at = reinterpret_cast<__m128i*>(to);
  const auto* source = reinterpret_cast<const __m128i*>(from);
  for (std::size_t i = 0; i < kPage / sizeof(__m128i); ++i) _mm_stream_si128(at + i, _mm_load_si128(source + i));
}
void drain() { _mm_sfence(); }
constexpr Clear kClears[] = {clear_plain, clear_streaming};
constexpr Copy kCopies[] = {copy_plain, copy_streaming};
#else
void drain() {}
constexpr Clear kClears[] = {clear_plain};
constexpr Copy kCopies[] = {copy_plain};
#endif

/// The median over the repetitions, ns; negative where the check fails.
template <class Ready, class Work, class Done>
double median_time(const Load& load, Ready&& ready, Work&& work, Done&& done) {
  std::vector<double> times;
  for (unsigned round = 0; round <= load.repetitions; ++round) {
    ready();
    evict_caches();
    const double time = timed_on(load.threads, load.clock, [&](unsigned number) {
      work(number);
      drain();
    });
    if (!done()) return -1;
    if (round != 0) times.push_back(time);
  }
  return spread_of(times).median;
}

Figure best_of(const std::vector<double>& times, double divisor) {
  if (std::ranges::any_of(times, [](double time) { return time < 0; })) {
    return Figure::wrong("the loop did not do its work");
  }
  return Figure::measured(*std::ranges::min_element(times) / divisor);
}

}  // namespace

Figure clear_page(const Load& load) {
  const std::uint64_t pages = load.pages * load.threads;
  const std::span<std::byte> memory = engine_memory(pages * kPage);
  if (memory.empty()) return Figure::unavailable("no memory");
  std::vector<double> times;
  for (const Clear clear : kClears) {
    times.push_back(median_time(
        load,
        [&] {
          for (std::uint64_t page = 0; page < pages; ++page) memory[page * kPage] = std::byte{1};
        },
        [&](unsigned number) {
          for (std::uint64_t page = 0; page < load.pages; ++page) {
            clear(memory.data() + (number * load.pages + page) * kPage);
          }
        },
        [&] {
          for (std::uint64_t page = 0; page < pages; ++page) {
            if (memory[page * kPage] != std::byte{0}) return false;
          }
          return true;
        }));
  }
  return best_of(times, static_cast<double>(load.pages));
}

Figure copy_page(const Load& load) {
  const std::uint64_t pages = load.pages * load.threads;
  const std::span<std::byte> memory = engine_memory(2 * pages * kPage);
  if (memory.empty()) return Figure::unavailable("no memory");
  std::byte* const copies = memory.data() + pages * kPage;
  const std::vector<std::uint64_t> order = order_of(load.pages, load.shuffled);
  std::vector<double> times;
  for (const Copy copy : kCopies) {
    times.push_back(median_time(
        load,
        [&] {
          for (std::uint64_t page = 0; page < pages; ++page) {
            memory[page * kPage] = std::byte{stamp(page)};
            copies[page * kPage] = std::byte{0};
          }
        },
        [&](unsigned number) {
          const std::uint64_t first = number * load.pages;
          for (std::uint64_t page = 0; page < load.pages; ++page) {
            copy(copies + (first + page) * kPage, memory.data() + (first + order[page]) * kPage);
          }
        },
        [&] {
          for (std::uint64_t page = 0; page < pages; ++page) {
            const std::uint64_t first = page / load.pages * load.pages;
            if (copies[page * kPage] != std::byte{stamp(first + order[page - first])}) return false;
          }
          return true;
        }));
  }
  return best_of(times, static_cast<double>(load.pages));
}

Figure bulk_copy(const Load& load) {
  constexpr std::uint64_t kCall = 1 << 20;
  const std::uint64_t bytes = load.pages * kPage;
  const std::span<std::byte> memory = engine_memory(2 * bytes);
  if (memory.empty()) return Figure::unavailable("no memory");
  const double time = median_time(
      load,
      [&] {
        for (std::uint64_t page = 0; page < load.pages; ++page) {
          memory[page * kPage] = std::byte{stamp(page)};
          memory[bytes + page * kPage] = std::byte{0};
        }
      },
      [&](unsigned) {
        for (std::uint64_t done = 0; done < bytes; done += kCall) {
          std::memcpy(memory.data() + bytes + done, memory.data() + done, std::min(kCall, bytes - done));
        }
      },
      [&] {
        for (std::uint64_t page = 0; page < load.pages; ++page) {
          if (memory[bytes + page * kPage] != std::byte{stamp(page)}) return false;
        }
        return true;
      });
  if (time < 0) return Figure::wrong("the loop did not do its work");
  return Figure::measured(static_cast<double>(bytes) / time * 1e9 / (1 << 30));
}

}  // namespace cowherd::measure::floor
