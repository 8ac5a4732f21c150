#pragma once

#include <cstdint>
#include <optional>

#include "mm/folio.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// Pages side by side that go to swap in one piece: what a huge entry maps, and large folios.
//
// They get slots side by side, their entries name these one by one, and who may hold one of them keeps all. They come
// back one by one.

/// Pages side by side in one lowest table that are frames side by side.
struct PageRun {
  Vpn first;
  FrameNumber head;
  std::uint32_t pages;

  [[nodiscard]] FrameNumber frame(std::uint32_t index) const { return head + PageCount{index}; }
  [[nodiscard]] PageRange range() const { return {first, first + PageCount{pages}}; }
};

/// The pages that go where the rules let `page`, at `slot` and in `vma`, go with its folio; nothing: it goes alone.
/// What lies outside of `within` keeps all of them. What it says may be out of date.
template <class G>
std::optional<PageRun> run_of_folio(System<G>& system, EntrySlot slot, Vpn page, PageRange within);

/// Takes all pages of `run`, which `vma` has at `slot` and after, from everybody who maps them, as reclaim_page() does
/// with one. Returns how many frames that freed; nothing: they do not go together, and nothing has changed. EBUSY: one
/// is kept, so all are, and some of their entries may be in swap by now. kWouldBlock. Compare Linux mm/vmscan.c:
/// shrink_folio_list().
template <class G>
Result<std::optional<PageCount>> reclaim_run(System<G>& system, Mm& mm, Ref<Vma> vma, EntrySlot slot, PageRun run)
    COWHERD_REQUIRES(mm.mmap_lock);

/// As reclaim_run(), of the huge page that is mapped at `page`, with the mmap lock held for writing: small entries take
/// the place of the huge one first. Nothing: no huge page that goes whole is there; the tables on the way to `page` are
/// the address space's own then. Also ENOMEM. Compare Linux mm/rmap.c: try_to_unmap_one(), TTU_SPLIT_HUGE_PMD.
template <class G>
Result<std::optional<PageCount>> reclaim_huge(System<G>& system, Mm& mm, Vpn page, PageRange within)
    COWHERD_REQUIRES(mm.mmap_lock);

}  // namespace cowherd::mm
