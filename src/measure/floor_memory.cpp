#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#ifdef __x86_64__
#include <emmintrin.h>
#endif

#include "measure/arrangement.hpp"
#include "measure/engine_memory.hpp"
#include "measure/floor_side.hpp"
#include "measure/host.hpp"
#include "measure/repeat.hpp"
#include "measure/stopwatch.hpp"

namespace cowherd::measure::floor {
namespace {

using Clear = void (*)(std::byte*);
using Copy = void (*)(std::byte*, const std::byte*, std::size_t);

void clear_plain(std::byte* page) { std::memset(page, 0, kPage); }
void copy_plain(std::byte* to, const std::byte* from, std::size_t size) { std::memcpy(to, from, size); }

// Streaming stores go past the caches. Elsewhere the plain functions are the only ones.
#ifdef __x86_64__
void clear_streaming(std::byte* page) {
  auto* at = reinterpret_cast<__m128i*>(page);
  for (std::size_t i = 0; i < kPage / sizeof(__m128i); ++i) _mm_stream_si128(at + i, _mm_setzero_si128());
}
void copy_streaming(std::byte* to, const std::byte* from, std::size_t size) {
  auto* at = reinterpret_cast<__m128i*>(to);
  const auto* source = reinterpret_cast<const __m128i*>(from);
  for (std::size_t i = 0; i < size / sizeof(__m128i); ++i) _mm_stream_si128(at + i, _mm_load_si128(source + i));
}
void clear_string(std::byte* page) {
  std::size_t size = kPage;
  asm volatile("rep stosb" : "+D"(page), "+c"(size) : "a"(0) : "memory");
}
void copy_string(std::byte* to, const std::byte* from, std::size_t size) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}
void drain() { _mm_sfence(); }
constexpr Clear kClears[] = {clear_plain, clear_string, clear_streaming};
constexpr Copy kCopies[] = {copy_plain, copy_string, copy_streaming};
#else
void drain() {}
constexpr Clear kClears[] = {clear_plain};
constexpr Copy kCopies[] = {copy_plain};
#endif

/// ns of the fastest of `works`, between `ready` and a check that it did its work.
template <class Works, class Ready, class Run, class Done>
Figure fastest(const Load& load, const Works& works, Ready&& ready, Run&& run, Done&& done) {
  Figure best = Figure::unavailable("no loop");
  for (const auto& work : works) {
    Figure figure = repeat(load, [&](bool) {
      ready();
      evict_caches();
      const double time = timed_on(load.threads, load.clock, [&](unsigned number) {
        run(work, number);
        drain();
      });
      return done() ? Figure::measured(time) : Figure::wrong("the loop did not do its work");
    });
    if (!figure.ok()) return figure;
    if (!best.ok() || figure.value() < best.value()) best = figure;
  }
  return best;
}

}  // namespace

Figure clear_page(const Load& load) {
  const std::uint64_t pages = load.pages * load.threads;
  const std::span<std::byte> memory = engine_memory(pages * kPage);
  if (memory.empty()) return Figure::unavailable("no memory");
  return fastest(
             load, kClears,
             [&] {
               for (std::uint64_t page = 0; page < pages; ++page) memory[page * kPage] = std::byte{1};
             },
             [&](Clear clear, unsigned number) {
               for (std::uint64_t page = 0; page < load.pages; ++page) {
                 clear(memory.data() + (number * load.pages + page) * kPage);
               }
             },
             [&] {
               for (std::uint64_t page = 0; page < pages; ++page) {
                 if (memory[page * kPage] != std::byte{0}) return false;
               }
               return true;
             })
      .over(static_cast<double>(load.pages));
}

Figure copy_page(const Load& load) {
  const std::uint64_t pages = load.pages * load.threads;
  const std::span<std::byte> memory = engine_memory(2 * pages * kPage);
  if (memory.empty()) return Figure::unavailable("no memory");
  std::byte* const copies = memory.data() + pages * kPage;
  const std::vector<std::uint64_t> order = order_of(load.pages, load.shuffled);
  return fastest(
             load, kCopies,
             [&] {
               for (std::uint64_t page = 0; page < pages; ++page) {
                 memory[page * kPage] = std::byte{stamp(page)};
                 copies[page * kPage] = std::byte{0};
               }
             },
             [&](Copy copy, unsigned number) {
               const std::uint64_t first = number * load.pages;
               for (std::uint64_t page = 0; page < load.pages; ++page) {
                 copy(copies + (first + page) * kPage, memory.data() + (first + order[page]) * kPage, kPage);
               }
             },
             [&] {
               for (std::uint64_t page = 0; page < pages; ++page) {
                 const std::uint64_t first = page / load.pages * load.pages;
                 if (copies[page * kPage] != std::byte{stamp(first + order[page - first])}) return false;
               }
               return true;
             })
      .over(static_cast<double>(load.pages));
}

Figure bulk_copy(const Load& load) {
  const std::uint64_t bytes = load.pages * kPage;
  const std::span<std::byte> memory = engine_memory(2 * bytes);
  if (memory.empty()) return Figure::unavailable("no memory");
  struct Way {
    Copy copy;
    std::uint64_t at_once;
  };
  std::vector<Way> ways = {{copy_plain, 1 << 20}};
  for (const Copy copy : kCopies) ways.push_back({copy, kPage});
  const Figure time = fastest(
      load, ways,
      [&] {
        for (std::uint64_t page = 0; page < load.pages; ++page) {
          memory[page * kPage] = std::byte{stamp(page)};
          memory[bytes + page * kPage] = std::byte{0};
        }
      },
      [&](const Way& way, unsigned) {
        for (std::uint64_t done = 0; done < bytes; done += way.at_once) {
          way.copy(memory.data() + bytes + done, memory.data() + done, std::min(way.at_once, bytes - done));
        }
      },
      [&] {
        for (std::uint64_t page = 0; page < load.pages; ++page) {
          if (memory[bytes + page * kPage] != std::byte{stamp(page)}) return false;
        }
        return true;
      });
  return time.ok() ? Figure::measured(static_cast<double>(bytes) / time.value() * 1e9 / (1 << 30)) : time;
}

}  // namespace cowherd::measure::floor
