#include "base/mutant.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/migrate.hpp"
#include "mm/operations.hpp"
#include "mm/page.hpp"
#include "mm/reclaim.hpp"

namespace cowherd::mm {

// Who makes room goes from process to process and from page to page, as reclaim does, and has each page moved that lies
// where it should not. A page that several map moves for all of them when the first is come by.

namespace {

/// No table becomes an address space's own, and nothing is taken from a device, for a page that only might lie lower.
template <class G>
bool lies_wrong(System<G>& system, const typename Tables<G>::Walk& walk, Destination destination) {
  const Entry entry = walk.load();
  const bool mapped = entry.present() || (entry.on_device() && destination != Destination::kLower);
  if (!mapped || entry.frame() == Frames<G>::kZeroPage) return false;
  if (system.descriptor(entry.frame()).use() != FrameUse::kAnon) return false;
  return destination == Destination::kLower ? !walk.shared : system.frames().is_movable(entry.frame());
}

/// The first page of `mm` from `at` on that lies where it should not; entries are looked at without their locks, since
/// whoever moves the page looks again.
template <class G>
Vpn next_wrong(System<G>& system, Mm& mm, Vpn at, Destination destination) {
  constexpr Vpn kEnd{Geometry<G>::kUserPages};
  const Live live(system, "next-wrong", at);
  const MmapReadGuard<G> guard(system, mm);
  if (guard.blocked() || stuck(mm)) return kEnd;
  const auto tables = system.tables(mm);
  for (; at < kEnd; at = at + PageCount{1}) {
    at = tables.next_used(at, kEnd);
    if (at < kEnd && lies_wrong<G>(system, tables.walk_to(at), destination)) break;
  }
  return at;
}

template <class G>
void move_all(System<G>& system, Destination destination) {
  constexpr Vpn kEnd{Geometry<G>::kUserPages};
  Ref<Process> process;
  Ref<Mm> mm;
  Vpn page{0};
  const Live live(system, "move-all", process, mm, page);
  while ((mm = hold_next_mm(system, process))) {
    for (page = Vpn{0}; (page = next_wrong(system, system.at(mm), page, destination)) < kEnd;
         page = page + PageCount{1}) {
      const Live moving(system, "move", page);
      // What stays is left.
      (void)move_page_at(system, system.at(mm), page, destination, false);
    }
    put_mm(system, mm);
  }
}

/// Whether nothing is left in movable memory but what has failed.
template <class G>
bool is_empty(System<G>& system) {
  point(system, Point::kReadCounts);
  const MovableZone zone = system.frames().movable();
  for (FrameNumber frame = zone.first; frame < zone.first + zone.count; frame = frame + PageCount{1}) {
    const FrameDescriptor& descriptor = system.descriptor(frame);
    if (descriptor.use() != FrameUse::kFree && !descriptor.poisoned()) return false;
  }
  return true;
}

}  // namespace

template <class G>
Result<void> compact(System<G>& system) {
  move_all(system, Destination::kLower);
  return {};
}

template <class G>
Result<void> offline(System<G>& system) {
  if (!system.frames().has_movable()) return Errno::kInvalid;
  if (!system.frames().close_movable()) return is_empty(system) ? Result<void>() : Errno::kBusy;
  move_all(system, Destination::kNormal);
  if (system.has_swap()) {
    // Pages that are in the swap cache and nowhere else.
    const std::uint64_t slots = system.swap().block_count().value();
    BlockNumber slot{0};
    const Live live(system, "offline", slot);
    for (; slot.value() < slots; ++slot) (void)reclaim_cached(system, slot);
  }
  if (is_empty(system) || COWHERD_MUTANT(offline_leaves_pages)) return {};
  system.frames().open_movable();
  return Errno::kBusy;
}

#define COWHERD_INSTANTIATE(G)                  \
  template Result<void> compact<G>(System<G>&); \
  template Result<void> offline<G>(System<G>&);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
