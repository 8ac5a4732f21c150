#include <optional>
#include <utility>

#include "mm/files.hpp"
#include "mm/huge.hpp"
#include "mm/hugetlb.hpp"
#include "mm/lifecycle.hpp"
#include "mm/locks.hpp"
#include "mm/page.hpp"
#include "mm/reclaim.hpp"
#include "mm/reclaim_folio.hpp"
#include "mm/shmem_swap.hpp"

namespace cowherd::mm {

// Reclaim goes round like the hand of a clock, process by process and page by page, and asks each page that it comes by
// whether somebody has used it since. Pages are on no lists, so that nobody who maps or frees one has a lock to take or
// a line to write for it (decisions/0013).

namespace {

/// What a page is to reclaim when the hand comes by: once used it has another round, used again and again it has two.
enum class Age : std::uint8_t { kYoung, kOld };

template <class G>
Age look_at(System<G>& system, EntrySlot place, Entry entry) {
  ColdDescriptor& cold = system.frames().cold(entry.frame());
  const bool used = entry.young() || cold.referenced();
  while (entry.young() && !place.replace(entry, entry.with_young(false))) {
  }
  if (used) {
    cold.set_active(cold.active() || (cold.referenced() && entry.young()));
    cold.set_referenced(entry.young());
    return Age::kYoung;
  }
  if (!cold.active()) return Age::kOld;
  cold.set_active(false);
  return Age::kYoung;
}

template <class G>
struct Round {
  System<G>& system;
  PageCount wanted;
  PageCount freed{0};
  /// Where an old huge page is, which takes the mmap lock for writing to go.
  std::optional<Vpn> huge{};

  [[nodiscard]] bool done() const { return freed >= wanted; }
};

/// Whether nobody has used the huge page since the hand came by; the mmap lock is held.
template <class G>
bool is_old_huge(System<G>& system, EntrySlot place) {
  const Entry entry = place.load();
  if (is_of_hugetlb(system, entry) || is_huge_zero_page(system, entry.frame())) return false;
  return look_at(system, place, entry) == Age::kOld;
}

/// Goes over what one lowest table of `mm` maps from `at` on, the mmap lock held for reading; returns where it stopped.
template <class G>
Vpn scan_table(Round<G>& round, Mm& mm, Vpn at) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
  // The analysis does not see the caller's lock.
  System<G>& system = round.system;
  const Vpn end = Tables<G>::table_end(at);
  const auto walk = system.tables(mm).walk_to(at);
  if (walk.huge && is_old_huge(system, walk.slot)) round.huge = at;
  if (walk.shared || !walk.slot) return end;
  const FrameNumber table = system.tables(mm).table_of(walk.slot);
  Vpn page = at;
  for (; page < end && !round.done(); ++page) {
    const EntrySlot place = system.tables(mm).slot_in(table, page);
    {
      const PageTableGuard<G> guard(system, mm, place);
      const Entry entry = guard.blocked() ? Entry{} : place.load();
      if (!entry.present() || entry.frame() == Frames<G>::kZeroPage || !goes_to_swap(system, entry.frame())) continue;
      if (look_at(system, place, entry) == Age::kYoung) continue;
    }
    const Ref<Vma> vma = system.areas(mm).at(page);
    if (!vma) continue;
    if (const auto freed = reclaim_page(system, mm, vma, page, system.at(vma).pages))
      round.freed = round.freed + *freed;
  }
  return page;
}

/// Pages of files in memory that nobody maps, as far as VMAs of `mm` show them; the mmap lock is held for reading.
template <class G>
void scan_shared(Round<G>& round, Mm& mm) COWHERD_NO_THREAD_SAFETY_ANALYSIS {
  System<G>& system = round.system;
  VmaTree areas = system.areas(mm);
  for (Ref<Vma> vma = areas.first(); vma && !round.done(); vma = areas.next(vma)) {
    const Vma& area = system.at(vma);
    const Ref<File> file = shmem_of(system, area);
    if (!file || area.flags.locked) continue;
    std::uint64_t at = area.index.value();
    const std::uint64_t end = at + area.pages.count().value();
    while (at < end && !round.done()) {
      const FilePlace found = hold_next_place(system, file, static_cast<std::uint32_t>(at));
      if (found.frame == Frames<G>::kZeroPage && !found.slot) break;
      at = found.index + std::uint64_t{1};
      if (found.slot) continue;
      ColdDescriptor& cold = system.frames().cold(found.frame);
      const bool idle = system.descriptor(found.frame).mapcount() == 0;
      const bool used = idle && (cold.referenced() || cold.active());
      if (used) {
        cold.set_referenced(false);
        cold.set_active(false);
      }
      put_page(system, found.frame);
      if (idle && !used && found.index < end && swap_out_shared(system, file, found.index)) ++round.freed;
    }
  }
}

/// The huge page at `page`, or the pages that it was split into, in the next round.
template <class G>
void take_huge(Round<G>& round, Mm& mm, Vpn page) {
  const MmapWriteGuard<G> guard(round.system, mm);
  if (guard.blocked() || stuck(mm)) return;
  const auto freed = reclaim_huge(round.system, mm, page, {Vpn{0}, Vpn{Geometry<G>::kUserPages}});
  if (freed && *freed) round.freed = round.freed + **freed;
}

/// One address space, from `at` on; `at` is where the hand stops.
template <class G>
void scan_mm(Round<G>& round, Mm& mm, Vpn& at) {
  constexpr Vpn kEnd{Geometry<G>::kUserPages};
  while (!round.done() && at < kEnd) {
    {
      const MmapReadGuard<G> guard(round.system, mm);
      if (guard.blocked() || stuck(mm)) {
        at = kEnd;
        return;
      }
      if (at == Vpn{0}) scan_shared(round, mm);
      at = round.system.tables(mm).next_used(at, kEnd, round.system.has_huge());
      if (at < kEnd) at = scan_table(round, mm, at);
    }
    if (round.huge) take_huge(round, mm, *std::exchange(round.huge, std::nullopt));
  }
}

/// Pages that are in the swap cache and nowhere else.
template <class G>
void scan_swap_cache(Round<G>& round) {
  const std::uint64_t slots = round.system.swap().block_count().value();
  for (BlockNumber slot{0}; slot.value() < slots && !round.done(); ++slot) {
    if (reclaim_cached(round.system, slot)) ++round.freed;
  }
}

}  // namespace

template <class G>
PageCount reclaim_pages(System<G>& system, PageCount wanted) {
  // A page that is used again and again is old after four rounds without.
  constexpr unsigned kRounds = 5;
  Round<G> round{system, wanted};
  scan_swap_cache(round);
  auto hand = system.reclaim_hand();
  for (unsigned rounds = 0; rounds < kRounds && !round.done();) {
    Ref<Process> process = hand.process;
    const Ref<Mm> mm = hold_next_mm(system, process);
    if (!mm) {
      ++rounds;
      hand = {};
      continue;
    }
    scan_mm(round, system.at(mm), hand.page);
    put_mm(system, mm);
    if (hand.page >= Vpn{Geometry<G>::kUserPages}) hand = {process, Vpn{0}};
  }
  system.set_reclaim_hand(hand);
  return round.freed;
}

#define COWHERD_INSTANTIATE(G) template PageCount reclaim_pages<G>(System<G>&, PageCount);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd::mm
