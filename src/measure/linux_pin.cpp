#include <algorithm>
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
    return repeat(load,
                  [&](bool) -> Figure {
                    evict_caches();
                    bool pinned = false;
                    const double pin = timed(load.clock, [&] {
                      pinned = load.shuffled ? buffers.pin_pages(mapping, pages) : buffers.pin_all(mapping);
                    });
                    if (!pinned) return Figure::unavailable(buffers.error());
                    evict_caches();
                    bool unpinned = false;
                    const double unpin = timed(load.clock, [&] { unpinned = buffers.unregister(); });
                    if (!unpinned) return Figure::wrong("the buffers could not be given back");
                    if (!mapping.stamped()) return Figure::wrong("a page does not hold what it should");
                    return Figure::measured(Times{pin, unpin}.*wanted);
                  })
        .over(count);
  });
}

}  // namespace

Figure pin(const Load& load) { return time_pins(load, &Times::pin); }
Figure unpin(const Load& load) { return time_pins(load, &Times::unpin); }

}  // namespace cowherd::measure::on_linux
