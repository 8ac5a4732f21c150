#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "measure/arrangement.hpp"
#include "measure/child.hpp"
#include "measure/host.hpp"
#include "measure/linux_memory.hpp"
#include "measure/linux_side.hpp"
#include "measure/repeat.hpp"
#include "measure/stall.hpp"
#include "measure/stopwatch.hpp"

namespace cowherd::measure::on_linux {
namespace {

enum class Call : std::uint8_t { kFault, kPin };

/// The kernel copies every entry, so that its memory has to be there.
constexpr std::uint64_t kMostForked = (std::uint64_t{256} << 20) / kPage;
/// More than the processor has translations for.
constexpr std::uint64_t kMostLoaded = (std::uint64_t{1} << 30) / kPage;

Figure longest_stall(const Load& load, Call call) {
  return in_child([&]() -> Figure {
    constexpr std::uint64_t kCalls = 65536;
    constexpr unsigned kForks = 2;
    const Mapping mapping(std::min(load.pages, kMostForked));
    const Mapping others(kCalls);
    if (!mapping.ok() || !others.ok()) return Figure::unavailable("no memory");
    mapping.fill(load.shuffled);
    RegisteredBuffers buffers;
    if (call == Call::kPin && !(others.populate_write() && buffers.pin_pages(others, {0}) && buffers.unregister())) {
      return Figure::unavailable(buffers.error());
    }
    pid_t child = -1;
    const Beside beside = {.ready =
                               [&] {
                                 return mapping.populate_write() &&
                                        (call == Call::kPin
                                             ? others.populate_write()
                                             : ::madvise(others.page(0), kCalls * kPage, MADV_DONTNEED) == 0);
                               },
                           .call =
                               [&](std::uint64_t number) {
                                 if (call == Call::kPin)
                                   return buffers.pin_pages(others, {number}) && buffers.unregister();
                                 others.byte(number) = stamp(number);
                                 return true;
                               },
                           .calls = kCalls,
                           .work =
                               [&] {
                                 child = ::fork();
                                 if (child == 0) ::_exit(mapping.stamped() ? 0 : 1);
                                 return child > 0;
                               },
                           .finish =
                               [&] {
                                 int status = 1;
                                 while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
                                 }
                                 return status == 0;
                               }};
    return stall_of(calls_beside(beside, kForks * load.repetitions), 1);
  });
}

}  // namespace

Figure fault_stall_most(const Load& load) { return longest_stall(load, Call::kFault); }
Figure pin_stall_most(const Load& load) { return longest_stall(load, Call::kPin); }

Figure load_hit(const Load& load) {
  return in_child([&]() -> Figure {
    const Mapping mapping(kHitPages);
    if (!mapping.ok()) return Figure::unavailable("no memory");
    const std::vector<std::uint64_t> offsets = scattered_words();
    mapping.fill(false);
    return repeat(load, [&](bool) {
      std::uint64_t sum = 0;
      const double time = timed(load.clock, [&] {
        for (unsigned turn = 0; turn < kHitTurns; ++turn) {
          for (const std::uint64_t offset : offsets) {
            sum += *reinterpret_cast<const volatile std::uint64_t*>(mapping.page(0) + offset);
          }
        }
      });
      if (sum == 0) return Figure::wrong("a load did not find what was there");
      return Figure::measured(time / static_cast<double>(kHitTurns * offsets.size()));
    });
  });
}

Figure load_miss(const Load& load) {
  return in_child([&]() -> Figure {
    const Mapping mapping(std::min(load.pages, kMostLoaded));
    if (!mapping.ok() || !mapping.populate_read()) return Figure::unavailable("no memory");
    const std::vector<std::uint64_t> pages = scattered_pages(mapping.pages());
    return repeat(load, [&](bool) {
      evict_caches();
      std::uint64_t sum = 0;
      const double time = timed(load.clock, [&] {
        for (const std::uint64_t page : pages) sum += mapping.byte(page);
      });
      if (sum != 0) return Figure::wrong("a load did not find what was there");
      return Figure::measured(time / static_cast<double>(pages.size()));
    });
  });
}

}  // namespace cowherd::measure::on_linux
