#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>
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

/// Of a difference between two times.
constexpr const char* kLost = "lost in the noise of this machine";

/// Whether the child ended well.
bool reap(pid_t child) {
  int status = 1;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0;
}

/// Processor time of the children that were waited for.
double children_ns() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto ns = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_usec) * 1e3;
  };
  return ns(usage.ru_utime) + ns(usage.ru_stime);
}

/// A filled mapping and what is pinned of it.
class Scene {
 public:
  explicit Scene(const Load& load) : mapping_(load.pages, load.huge) {
    if (!mapping_.ok()) {
      failure_ = Figure::unavailable("no memory");
      return;
    }
    const std::uint64_t before = faults();
    mapping_.fill(load.shuffled);
    if (load.huge && faults() - before > load.pages / 16) {
      failure_ = Figure::unavailable("this kernel gives no huge pages");
      return;
    }
    if (!mapping_.populate_write()) {
      failure_ = Figure::unavailable("no MADV_POPULATE_WRITE");
      return;
    }
    if (load.pins == 0) return;
    if (load.pins < load.pages) pinned_ = scattered(load.pins, load.pages);
    const bool done = load.pins < load.pages ? buffers_.pin_pages(mapping_, pinned_) : buffers_.pin_all(mapping_);
    if (!done) failure_ = Figure::unavailable(buffers_.error());
  }

  [[nodiscard]] const std::optional<Figure>& failure() const { return failure_; }
  [[nodiscard]] const Mapping& mapping() const { return mapping_; }

  /// Whether a write to a pinned page still needs no fault, as it must after a fork that copied it.
  [[nodiscard]] bool pins_kept() const {
    const std::uint64_t before = faults();
    for (const std::uint64_t page : pinned_) mapping_.byte(page) = stamp(page);
    return faults() == before;
  }

 private:
  Mapping mapping_;
  RegisteredBuffers buffers_;
  std::vector<std::uint64_t> pinned_;
  std::optional<Figure> failure_;
};

/// ns until fork() returns in the parent, from cold caches. The child exits with whether `found()`.
template <class Found>
Figure time_fork(const Load& load, Found&& found) {
  evict_caches();
  pid_t child = -1;
  const double time = timed(load.clock, [&] { child = ::fork(); });
  if (child == 0) ::_exit(found() ? 0 : 1);
  if (child < 0) return Figure::unavailable("fork refused");
  return reap(child) ? Figure::measured(time) : Figure::wrong("the child did not find its memory");
}

/// A child that waits to be killed.
pid_t fork_waiting() {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  return child;
}

bool end_waiting(pid_t child) {
  return child > 0 && ::kill(child, SIGKILL) == 0 && ::waitpid(child, nullptr, 0) == child;
}

Figure time_forks(const Load& load) {
  const Scene scene(load);
  if (scene.failure()) return *scene.failure();
  return repeat(load, [&](bool) -> Figure {
    if (!scene.mapping().populate_write()) return Figure::wrong("pages were not made writable again");
    Figure figure = time_fork(load, [&] { return scene.mapping().stamped(); });
    return !figure.ok() || scene.pins_kept() ? figure : Figure::wrong("a pinned page was write-protected");
  });
}

}  // namespace

Figure fork_latency(const Load& load) {
  return in_child([&] { return time_forks(load); }).over(static_cast<double>(load.pages));
}

Figure fork_whole(const Load& load) {
  return in_child([&] { return time_forks(load); }).over(1e3);
}

Figure fork_per_pin(const Load& load) {
  Load without = load;
  without.pins = 0;
  Figure base = in_child([&] { return time_forks(without); });
  if (!base.ok()) return base;
  Figure with = in_child([&] { return time_forks(load); });
  if (!with.ok()) return with;
  if (with.value() <= base.value()) return Figure::unavailable(kLost);
  return Figure::measured((with.value() - base.value()) / static_cast<double>(load.pins) / 1e3);
}

Figure fork_per_run(const Load& load) {
  return in_child([&] { return time_forks(load); }).over(static_cast<double>(load.pages) / kRunPages);
}

Figure fork_per_piece_pin(const Load& load) {
  const auto measure = [&](std::uint64_t pins) {
    Load some = load;
    some.pins = pins;
    return in_child([&, some] {
      return repeat(some, [&](bool) -> Figure {
        const Scene scene(some);
        if (scene.failure()) return *scene.failure();
        Figure figure = time_fork(some, [&] { return scene.mapping().stamped(); });
        return !figure.ok() || scene.pins_kept() ? figure : Figure::wrong("a pinned page was write-protected");
      });
    });
  };
  Figure base = measure(0);
  if (!base.ok()) return base;
  Figure with = measure(load.pins);
  if (!with.ok()) return with;
  if (with.value() <= base.value()) return Figure::unavailable(kLost);
  return Figure::measured((with.value() - base.value()) / static_cast<double>(load.pins) / 1e3);
}

Figure fork_per_vma(const Load& load) {
  const auto measure = [&](bool apart) {
    return in_child([&, apart]() -> Figure {
      const Mapping mapping(load.pages * 2);
      if (!mapping.ok()) return Figure::unavailable("no memory");
      // Every other page is touched; where they are to be VMAs of their own, the others are made something else.
      for (std::uint64_t i = 0; i < load.pages; ++i) mapping.byte(2 * i) = stamp(i);
      for (std::uint64_t i = 0; apart && i < load.pages; ++i) {
        if (::mprotect(mapping.page(2 * i + 1), kPage, PROT_NONE) != 0) return Figure::unavailable("too many VMAs");
      }
      return repeat(load, [&](bool) {
        for (std::uint64_t i = 0; i < load.pages; ++i) mapping.byte(2 * i) = stamp(i);
        return time_fork(load, [&] { return mapping.byte(2 * (load.pages - 1)) == stamp(load.pages - 1); });
      });
    });
  };
  Figure one = measure(false);
  if (!one.ok()) return one;
  Figure many = measure(true);
  if (!many.ok()) return many;
  if (many.value() <= one.value()) return Figure::unavailable(kLost);
  // A touched page and the hole after it are two VMAs.
  return Figure::measured((many.value() - one.value()) / static_cast<double>(2 * load.pages));
}

Figure fork_cycles(const Load& load) {
  const Figure cycle = in_child([&]() -> Figure {
    const Scene scene(load);
    if (scene.failure()) return *scene.failure();
    constexpr unsigned kDirtied = 8;
    const std::uint64_t apart = load.pages / 2;
    return repeat(load, [&](bool) -> Figure {
      const std::uint64_t before = faults();
      const double of_children = children_ns();
      bool fine = true;
      double time = timed(load.clock, [&] {
        const pid_t child = fork_waiting();
        for (unsigned i = 0; i < kDirtied; ++i) {
          const std::uint64_t page = (i % 2) * apart + i;
          scene.mapping().byte(page) = stamp(page);
        }
        fine = end_waiting(child);
      });
      if (load.clock == Clock::kProcessor) time += children_ns() - of_children;
      if (!fine) return Figure::wrong("the child could not be ended");
      if (faults() - before < kDirtied) return Figure::wrong("the writes after fork caused no faults");
      return Figure::measured(time);
    });
  });
  return cycle.ok() ? Figure::measured(1e9 / cycle.value()) : cycle;
}

}  // namespace cowherd::measure::on_linux
