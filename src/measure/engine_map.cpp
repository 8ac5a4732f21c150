#include <cstdint>
#include <vector>

#include "measure/arrangement.hpp"
#include "measure/engine_bed.hpp"
#include "measure/engine_side.hpp"
#include "measure/host.hpp"
#include "measure/stopwatch.hpp"
#include "mm/system.hpp"

namespace cowherd::measure::engine {

Figure unmap(const Load& load) {
  Bed bed(load);
  return bed
      .measure([&](bool) -> Figure {
        const std::uint64_t free = bed.free_frames();
        bed.map();
        bed.fill();
        if (bed.failure()) return *bed.failure();
        evict_caches();
        std::vector<char> fine(load.threads, 0);
        const double time = timed_on(load.threads, load.clock, [&](unsigned number) {
          fine[number] = bed.space().unmap(bed.at(0, number), bed.length()).ok();
        });
        std::byte byte{};
        for (unsigned number = 0; number < load.threads; ++number) {
          if (fine[number] == 0 || bed.space().read(bed.at(load.pages / 2, number), {&byte, 1}).ok()) {
            return Figure::wrong("a page is still mapped");
          }
        }
        if (bed.free_frames() != free) return Figure::wrong("not every frame came back");
        return Figure::measured(time);
      })
      .over(static_cast<double>(load.pages));
}

Figure protect(const Load& load) {
  Bed bed(load);
  bed.map();
  bed.fill();
  return bed
      .measure([&](bool) -> Figure {
        double time = 0;
        for (const Protection protection : {Protection::kRead, Protection::kReadWrite}) {
          evict_caches();
          bool fine = false;
          time += timed(load.clock, [&] { fine = bed.space().protect(bed.at(0), bed.length(), protection).ok(); });
          for (std::uint64_t page = 0; fine && page < load.pages; page += kCheckEvery) {
            const std::byte value{stamp(page)};
            fine = bed.space().write(bed.at(page), {&value, 1}).ok() == has(protection, Protection::kWrite);
          }
          if (!fine) return Figure::wrong("a page has the wrong protection");
        }
        // What is readied for the next round is not timed.
        const bool kept = bed.stamped(bed.space());
        if (!bed.store_all() || !kept) return Figure::wrong("a page could not be written");
        return Figure::measured(time / 2);
      })
      .over(static_cast<double>(load.pages));
}

Figure split_and_merge(const Load& load) {
  Bed bed(load);
  bed.map();
  bed.fill();
  constexpr std::uint64_t kTimes = 512;
  const std::vector<std::uint64_t> pages = scattered(kTimes, load.pages - 2);
  return bed
      .measure([&](bool) -> Figure {
        bool fine = true;
        const double time = timed(load.clock, [&] {
          for (const std::uint64_t page : pages) {
            const Vaddr address = bed.at(page + 1);
            fine = fine && bed.space().protect(address, ByteCount{kPageBytes}, Protection::kRead).ok();
            fine = fine && bed.space().protect(address, ByteCount{kPageBytes}, Protection::kReadWrite).ok();
          }
        });
        if (!fine) return Figure::wrong("protect failed");
        if (!bed.store_all()) return Figure::wrong("a page has the wrong protection");
        return Figure::measured(time);
      })
      .over(static_cast<double>(kTimes));
}

namespace {

/// Bytes to a frame for what is there whether it is in use or not.
double fixed_metadata() {
  constexpr std::uint64_t kFrames = std::uint64_t{1} << 20;
  const std::size_t bytes = mm::System<ProductionGeometry>::footprint(PageCount{kFrames});
  return static_cast<double>(bytes - kFrames * kPageBytes) / static_cast<double>(kFrames);
}

}  // namespace

Figure metadata_per_frame(const Load& /*load*/) { return Figure::measured(fixed_metadata()); }

Figure metadata_per_page(const Load& load) {
  Bed bed(load);
  if (bed.failure()) return *bed.failure();
  const std::uint64_t free = bed.free_frames();
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  const std::uint64_t taken = free - bed.free_frames();
  const double bytes = static_cast<double>((taken - load.pages) * kPageBytes) / static_cast<double>(load.pages);
  return bed.end(Figure::measured(fixed_metadata() + bytes));
}

}  // namespace cowherd::measure::engine
