#include "races/self_test.hpp"

#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "check/races.hpp"
#include "check/scene.hpp"
#include "mm/list.hpp"
#include "mm/locks.hpp"
#include "mm/operations.hpp"
#include "races/races_report.hpp"
#include "races/runtime.hpp"

namespace cowherd::races {

namespace {

using check::G;
using Agent = std::function<void(mm::System<G>&)>;

/// Runs the agents one after the other, with nothing between them. How many races that shows.
std::size_t races_between(const char* name, const std::vector<Agent>& agents) {
  constexpr PageCount kFrames{64};
  const std::size_t bytes = mm::System<G>::footprint(kFrames);
  const std::unique_ptr<std::byte[]> room(new (std::align_val_t{64}) std::byte[bytes]);
  mm::System<G>::format(room.get(), kFrames, Rules{});
  mm::System<G> system(room.get());
  check::RaceDetector detector;
  detector.begin({room.get(), bytes}, agents.size());
  watch_with(&detector);
  for (std::size_t agent = 0; agent < agents.size(); ++agent) {
    detector.runs(agent, 0);
    agents[agent](system);
    (void)detector.stops();
  }
  watch_with(nullptr);
  std::printf("%s: %zu races\n", name, detector.races().size());
  for (const check::Race& race : detector.races()) {
    std::printf("  %s\n  %s\n", place_in_source(race.first.site).c_str(), place_in_source(race.second.site).c_str());
  }
  return detector.races().size();
}

void add_process(mm::System<G>& system, bool locked) {
  const auto made = system.frames().make<mm::Process>();
  if (!made) return;
  if (locked) {
    const mm::ListGuard<G> guard(system);
    mm::insert(system, system.processes(), *made);
  } else {
    mm::insert(system, system.processes(), *made);
  }
}

}  // namespace

bool self_test() {
  const auto with_lock = [](mm::System<G>& system) { add_process(system, true); };
  const auto without = [](mm::System<G>& system) { add_process(system, false); };
  bool right = races_between("two processes, the list's lock held", {with_lock, with_lock}) == 0;
  right = races_between("two processes, one without the lock", {with_lock, without}) != 0 && right;
  right =
      races_between("two processes", {[](auto& s) { (void)mm::spawn(s); }, [](auto& s) { (void)mm::spawn(s); }}) == 0 &&
      right;
  const auto write_entry = [](mm::System<G>& system) {
    EntrySlot(system.frames().bytes(FrameNumber{1})).store(Entry::of(FrameNumber{3}));
  };
  const auto read_entry = [](mm::System<G>& system) { (void)EntrySlot(system.frames().bytes(FrameNumber{1})).load(); };
  const auto overwrite = [](mm::System<G>& system) { std::memset(system.frames().bytes(FrameNumber{1}), 0, 8); };
  right = races_between("an entry set and read", {write_entry, read_entry}) == 0 && right;
  right = races_between("an entry read and overwritten as plain memory", {read_entry, overwrite}) != 0 && right;
  return right && accesses_seen() != 0;
}

}  // namespace cowherd::races
