#include <algorithm>
#include <vector>

#include "measure/arrangement.hpp"
#include "measure/child.hpp"
#include "measure/host.hpp"
#include "measure/linux_memory.hpp"
#include "measure/linux_side.hpp"
#include "measure/spread.hpp"
#include "measure/stopwatch.hpp"

namespace cowherd::measure::on_linux {
namespace {

struct Times {
  double pin;
  double unpin;
};

/// ns/page of both directions; `wanted` picks one.
Figure time_pins(const Load& load, double Times::*wanted) {
  return in_child([&]() -> Figure {
    const Mapping mapping(load.pages);
    if (!mapping.ok()) return Figure::unavailable("no memory");
    mapping.fill(load.shuffled);
    RegisteredBuffers buffers;
    const std::uint64_t alone = std::min(load.pages / 2, kMaxBuffers / 2);
    const std::vector<std::uint64_t> pages =
        load.shuffled ? scattered(alone, load.pages) : std::vector<std::uint64_t>();
    const double count = static_cast<double>(load.shuffled ? alone : load.pages);
    std::vector<double> times;
    for (unsigned round = 0; round <= load.repetitions; ++round) {
      evict_caches();
      bool pinned = false;
      const double pin = timed(
          load.clock, [&] { pinned = load.shuffled ? buffers.pin_pages(mapping, pages) : buffers.pin_all(mapping); });
      if (!pinned) return Figure::unavailable(buffers.error());
      evict_caches();
      bool unpinned = false;
      const double unpin = timed(load.clock, [&] { unpinned = buffers.unregister(); });
      if (!unpinned) return Figure::wrong("the buffers could not be given back");
      if (!mapping.stamped()) return Figure::wrong("a page does not hold what it should");
      if (round != 0) times.push_back(Times{pin, unpin}.*wanted / count);
    }
    return Figure::measured(spread_of(times).median);
  });
}

}  // namespace

Figure pin(const Load& load) { return time_pins(load, &Times::pin); }
Figure unpin(const Load& load) { return time_pins(load, &Times::unpin); }

}  // namespace cowherd::measure::on_linux
