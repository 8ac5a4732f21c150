#include <cstdint>
#include <vector>

#include "measure/arrangement.hpp"
#include "measure/engine_bed.hpp"
#include "measure/engine_side.hpp"
#include "measure/host.hpp"
#include "measure/spread.hpp"
#include "measure/stopwatch.hpp"
#include "mm/system.hpp"

namespace cowherd::measure::engine {

Figure unmap(const Load& load) {
  Bed bed(load, 0);
  std::vector<double> times;
  for (unsigned round = 0; round <= load.repetitions; ++round) {
    if (bed.failure()) return *bed.failure();
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
    if (round != 0) times.push_back(time);
  }
  if (!bed.ends_well()) return Figure::wrong("the machine did not end as it began");
  return Figure::measured(spread_of(times).median / static_cast<double>(load.pages));
}

Figure protect(const Load& load) {
  Bed bed(load, 0);
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  std::vector<double> times;
  for (unsigned round = 0; round <= load.repetitions; ++round) {
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
    if (!bed.store_all()) return Figure::wrong("a page could not be written");
    if (round != 0) times.push_back(time / 2);
  }
  if (!bed.stamped(bed.space()) || !bed.ends_well()) return Figure::wrong("the machine did not end as it began");
  return Figure::measured(spread_of(times).median / static_cast<double>(load.pages));
}

Figure split_and_merge(const Load& load) {
  Bed bed(load, 0);
  bed.map();
  bed.fill();
  if (bed.failure()) return *bed.failure();
  constexpr std::uint64_t kTimes = 512;
  const std::vector<std::uint64_t> pages = scattered(kTimes, load.pages - 2);
  std::vector<double> times;
  for (unsigned round = 0; round <= load.repetitions; ++round) {
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
    if (round != 0) times.push_back(time);
  }
  if (!bed.ends_well()) return Figure::wrong("the machine did not end as it began");
  return Figure::measured(spread_of(times).median / static_cast<double>(kTimes));
}

Figure metadata_per_frame(const Load& /*load*/) {
  constexpr std::uint64_t kFrames = std::uint64_t{1} << 20;
  const std::size_t bytes = mm::System<ProductionGeometry>::footprint(PageCount{kFrames});
  return Figure::measured(static_cast<double>(bytes - kFrames * kPageBytes) / static_cast<double>(kFrames));
}

}  // namespace cowherd::measure::engine
