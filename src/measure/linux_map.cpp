#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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

/// Whether the kernel lets a system call write to the page: no signal where it does not.
bool writable(std::uint8_t* page) {
  const int zero = ::open("/dev/zero", O_RDONLY);
  const ssize_t got = ::read(zero, page + kPage - 1, 1);
  ::close(zero);
  return got == 1;
}

}  // namespace

Figure unmap(const Load& load) {
  return in_child([&]() -> Figure {
    return repeat(load,
                  [&](bool) -> Figure {
                    Mapping mapping(load.pages * load.threads);
                    if (!mapping.ok()) return Figure::unavailable("no memory");
                    mapping.fill(load.shuffled);
                    evict_caches();
                    const double time = timed_on(load.threads, load.clock, [&](unsigned number) {
                      ::munmap(mapping.page(number * load.pages), load.pages * kPage);
                    });
                    unsigned char present = 0;
                    for (std::uint64_t page = 0; page < mapping.pages(); page += kCheckEvery) {
                      if (::mincore(mapping.page(page), kPage, &present) == 0 || errno != ENOMEM) {
                        return Figure::wrong("a page is still mapped");
                      }
                    }
                    mapping.forget();
                    return Figure::measured(time);
                  })
        .over(static_cast<double>(load.pages));
  });
}

Figure protect(const Load& load) {
  return in_child([&]() -> Figure {
    const Mapping mapping(load.pages);
    if (!mapping.ok()) return Figure::unavailable("no memory");
    mapping.fill(load.shuffled);
    return repeat(load,
                  [&](bool) -> Figure {
                    double time = 0;
                    for (const int protection : {PROT_READ, PROT_READ | PROT_WRITE}) {
                      evict_caches();
                      time += timed(load.clock, [&] { ::mprotect(mapping.page(0), load.pages * kPage, protection); });
                      for (std::uint64_t page = 0; page < load.pages; page += kCheckEvery) {
                        if (writable(mapping.page(page)) != (protection != PROT_READ)) {
                          return Figure::wrong("a page has the wrong protection");
                        }
                      }
                    }
                    if (!mapping.stamped()) return Figure::wrong("a page does not hold what it should");
                    return Figure::measured(time / 2);
                  })
        .over(static_cast<double>(load.pages));
  });
}

Figure split_and_merge(const Load& load) {
  return in_child([&]() -> Figure {
    const Mapping mapping(load.pages);
    if (!mapping.ok()) return Figure::unavailable("no memory");
    mapping.fill(load.shuffled);
    constexpr std::uint64_t kTimes = 512;
    const std::vector<std::uint64_t> pages = scattered(kTimes, load.pages - 2);
    return repeat(load,
                  [&](bool) -> Figure {
                    bool fine = true;
                    const double time = timed(load.clock, [&] {
                      for (const std::uint64_t page : pages) {
                        fine = fine && ::mprotect(mapping.page(page + 1), kPage, PROT_READ) == 0;
                        fine = fine && ::mprotect(mapping.page(page + 1), kPage, PROT_READ | PROT_WRITE) == 0;
                      }
                    });
                    if (!fine) return Figure::wrong("mprotect failed");
                    if (!writable(mapping.page(pages.front() + 1)))
                      return Figure::wrong("a page has the wrong protection");
                    return Figure::measured(time);
                  })
        .over(static_cast<double>(kTimes));
  });
}

Figure bulk_read(const Load& load) {
  return in_child([&]() -> Figure {
    const Mapping from(load.pages);
    const Mapping to(load.pages);
    if (!from.ok() || !to.ok()) return Figure::unavailable("no memory");
    from.fill(load.shuffled);
    to.fill(false);
    const Figure all = repeat(load, [&](bool) -> Figure {
      for (std::uint64_t page = 0; page < load.pages; ++page) to.byte(page) = 0;
      evict_caches();
      std::uint64_t moved = 0;
      const double time = timed(load.clock, [&] {
        // One call takes up to 2 GiB; the pages of a call are pinned in batches inside.
        constexpr std::uint64_t kPagesToACall = 4096;
        while (moved < load.pages * kPage) {
          const std::uint64_t rest = std::min(kPagesToACall * kPage, load.pages * kPage - moved);
          iovec local{to.page(0) + moved, rest};
          iovec remote{from.page(0) + moved, rest};
          const ssize_t got = ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0);
          if (got <= 0) break;
          moved += static_cast<std::uint64_t>(got);
        }
      });
      if (moved != load.pages * kPage) return Figure::unavailable("process_vm_readv is refused");
      if (!to.stamped()) return Figure::wrong("a page was not read");
      return Figure::measured(time);
    });
    return all.ok() ? Figure::measured(static_cast<double>(load.pages * kPage) / all.value() * 1e9 / (1 << 30)) : all;
  });
}

}  // namespace cowherd::measure::on_linux
