#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "measure/engine_bed.hpp"
#include "measure/engine_side.hpp"
#include "measure/host.hpp"
#include "measure/stopwatch.hpp"

namespace cowherd::measure::engine {
namespace {

enum class How : std::uint8_t { kBatch, kStore };

/// How the number of free frames has to change: by so many to a page.
struct Expected {
  std::uint64_t least;
  /// Tables come on top where the mapping is fresh.
  bool exactly;
};

/// ns/page to one thread. `before` readies the pages, `after` looks at them and cleans up.
Figure time_faults(Bed& bed, const Load& load, How how, Expected expected, const std::function<bool()>& before,
                   const std::function<bool()>& after) {
  return bed
      .measure([&](bool) -> Figure {
        if (!before()) return Figure::wrong("the pages could not be readied");
        const std::uint64_t free = bed.free_frames();
        evict_caches();
        std::vector<char> fine(load.threads, 0);
        const double time = timed_on(load.threads, load.clock, [&](unsigned number) {
          fine[number] = how == How::kBatch ? bed.populate_all(number) : bed.store_all(number);
        });
        for (const char one : fine) {
          if (one == 0) return Figure::wrong("a fault failed");
        }
        const std::uint64_t taken = free - bed.free_frames();
        const std::uint64_t wanted = expected.least * load.pages * load.threads;
        if (taken < wanted || (expected.exactly && taken != wanted)) {
          return Figure::wrong("the faults did not take as many frames as they should");
        }
        if (!after()) return Figure::wrong("a page does not hold what it should");
        return Figure::measured(time);
      })
      .over(static_cast<double>(load.pages));
}

Figure zero_fill(const Load& load, How how) {
  Bed bed(load);
  const auto before = [&] {
    bed.map();
    return !bed.failure();
  };
  const auto after = [&] {
    // The rest of a page is zero, and so is its first byte if nobody stored there.
    std::uint64_t word = 0;
    const auto bytes = std::as_writable_bytes(std::span(&word, 1));
    const ByteCount inside{kPageBytes - sizeof word};
    const bool zero = bed.space().read(bed.at(load.pages - 1) + inside, bytes).ok() && word == 0;
    const bool right = how == How::kBatch || bed.stamped(bed.space());
    bed.unmap();
    return zero && right && !bed.failure();
  };
  return time_faults(bed, load, how, {.least = 1, .exactly = false}, before, after);
}

/// Faults on pages that fork has write-protected; the child lives on if `shared`.
Figure after_fork(const Load& load, How how, bool shared) {
  Bed bed(load, shared ? load.pages * load.threads : 0);
  bed.map();
  bed.fill();
  std::optional<AddressSpace> child;
  bool first = true;
  const auto before = [&] {
    // Copies were made in the order of the addresses: frames out of order have to be made so again.
    if (load.shuffled && shared && !first) {
      bed.unmap();
      bed.map();
      bed.fill();
    }
    first = false;
    auto made = bed.space().fork(load.mode);
    if (!made) return false;
    child.emplace(*std::move(made));
    if (!shared) child.reset();
    return true;
  };
  const auto after = [&] {
    const bool right = bed.stamped(bed.space()) && (!shared || (bed.stamped(*child) && bed.parted_from(*child)));
    child.reset();
    return right;
  };
  return time_faults(bed, load, how, {.least = shared ? 1u : 0u, .exactly = load.mode == ForkMode::kClassic}, before,
                     after);
}

}  // namespace

Figure zero_fill_store(const Load& load) { return zero_fill(load, How::kStore); }
Figure zero_fill_batch(const Load& load) { return zero_fill(load, How::kBatch); }
Figure cow_copy_store(const Load& load) { return after_fork(load, How::kStore, true); }
Figure cow_copy_batch(const Load& load) { return after_fork(load, How::kBatch, true); }
Figure reuse_store(const Load& load) { return after_fork(load, How::kStore, false); }
Figure reuse_batch(const Load& load) { return after_fork(load, How::kBatch, false); }

}  // namespace cowherd::measure::engine
