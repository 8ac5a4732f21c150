#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "measure/arrangement.hpp"
#include "measure/child.hpp"
#include "measure/host.hpp"
#include "measure/linux_memory.hpp"
#include "measure/linux_side.hpp"
#include "measure/repeat.hpp"
#include "measure/stopwatch.hpp"

namespace cowherd::measure::on_linux {
namespace {

enum class How : std::uint8_t { kBatch, kTrap };

/// The pages of part `number` are written, by one call or by one store each. False: there is no such call.
bool write_part(const Mapping& mapping, How how, unsigned number, unsigned parts) {
  if (how == How::kBatch) return mapping.populate_write(number, parts);
  const std::uint64_t part = mapping.pages() / parts;
  for (std::uint64_t page = number * part; page < (number + 1) * part; ++page) mapping.byte(page) = stamp(page);
  return true;
}

/// The median of the rounds, ns/page to one thread. `before` readies the mapping, `after` says whether all is well.
Figure time_faults(const Load& load, How how, const Mapping& mapping, const std::function<bool()>& before,
                   const std::function<bool()>& after) {
  return repeat(load,
                [&](bool) -> Figure {
                  if (!before()) return Figure::wrong("the pages could not be readied");
                  evict_caches();
                  bool possible[2] = {true, true};
                  const std::uint64_t faults_before = faults();
                  const double time = timed_on(load.threads, load.clock, [&](unsigned number) {
                    possible[number % 2] = write_part(mapping, how, number, load.threads);
                  });
                  const std::uint64_t taken = faults() - faults_before;
                  if (!possible[0] || !possible[1]) return Figure::unavailable("no MADV_POPULATE_WRITE");
                  if (taken < mapping.pages()) return Figure::wrong("fewer faults than pages");
                  if (!after()) return Figure::wrong("a page does not hold what it should");
                  return Figure::measured(time);
                })
      .over(static_cast<double>(load.pages));
}

Figure zero_fill(const Load& load, How how) {
  return in_child([&]() -> Figure {
    const Mapping mapping(load.pages * load.threads);
    if (!mapping.ok()) return Figure::unavailable("no memory");
    const auto discard = [&] { return ::madvise(mapping.page(0), mapping.pages() * kPage, MADV_DONTNEED) == 0; };
    const auto rest_is_zero = [&] {
      for (std::uint64_t page = 0; page < mapping.pages(); page += kCheckEvery) {
        if (mapping.page(page)[kPage - 1] != 0) return false;
      }
      return true;
    };
    return time_faults(load, how, mapping, discard, rest_is_zero);
  });
}

/// Faults on pages that fork has write-protected; the child lives on if `shared`.
Figure after_fork(const Load& load, How how, bool shared) {
  return in_child([&]() -> Figure {
    const Mapping mapping(load.pages * load.threads);
    if (!mapping.ok()) return Figure::unavailable("no memory");
    mapping.fill(load.shuffled);
    pid_t child = -1;
    int go[2];
    const auto fork_child = [&] {
      if (::pipe(go) != 0) return false;
      child = ::fork();
      if (child == 0) {
        ::close(go[1]);
        char nothing;
        while (shared && ::read(go[0], &nothing, 1) > 0) {
        }
        ::_exit(mapping.stamped() ? 0 : 1);
      }
      ::close(go[0]);
      if (!shared) {
        int status = 1;
        ::waitpid(child, &status, 0);
        ::close(go[1]);
        return status == 0;
      }
      return child > 0;
    };
    const auto end_child = [&] {
      if (!shared) return mapping.stamped();
      // What the parent writes from now on the child must not see: it looks once the pipe is closed.
      for (std::uint64_t page = 0; page < mapping.pages(); page += kCheckEvery) mapping.byte(page) = 0;
      ::close(go[1]);
      int status = 1;
      ::waitpid(child, &status, 0);
      for (std::uint64_t page = 0; page < mapping.pages(); page += kCheckEvery) mapping.byte(page) = stamp(page);
      return status == 0;
    };
    return time_faults(load, how, mapping, fork_child, end_child);
  });
}

}  // namespace

Figure zero_fill_batch(const Load& load) { return zero_fill(load, How::kBatch); }
Figure zero_fill_trap(const Load& load) { return zero_fill(load, How::kTrap); }
Figure cow_copy_batch(const Load& load) { return after_fork(load, How::kBatch, true); }
Figure cow_copy_trap(const Load& load) { return after_fork(load, How::kTrap, true); }
Figure reuse_batch(const Load& load) { return after_fork(load, How::kBatch, false); }
Figure reuse_trap(const Load& load) { return after_fork(load, How::kTrap, false); }

}  // namespace cowherd::measure::on_linux
