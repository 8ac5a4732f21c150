#pragma once

#include "mm/page.hpp"
#include "mm/system.hpp"

namespace cowherd::mm {

// Large folios that lowest tables map: an aligned run of 2, 4, ... frames that came in one piece, for as many pages
// side by side.
//
// Each frame of one has its own descriptor, counts and marks, and goes when its last reference does, like any other.
// That it came as part of a larger piece is one number beside the descriptor (Frames::folio_order()), which the rules
// may ask for: what they count per folio is the sum over those of its frames that still say so. Nothing is counted
// twice, and memory without large folios has no such numbers.

/// Calls `visit(frame)` for each frame of the large folio that `frame` is part of.
template <class G, class Visit>
void for_each_in_folio(const Frames<G>& frames, FrameNumber frame, Visit&& visit) {
  const unsigned order = frames.folio_order(frame);
  const std::uint32_t pages = 1U << order;
  const FrameNumber head{frame.value() & ~(pages - 1)};
  for (std::uint32_t i = 0; i < pages; ++i) {
    const FrameNumber piece = head + PageCount{i};
    if (frames.folio_order(piece) == order) visit(piece);
  }
}

/// Whether both are parts of one large folio.
template <class G>
bool in_one_folio(const Frames<G>& frames, FrameNumber one, FrameNumber other) {
  const unsigned order = frames.folio_order(one);
  return order != 0 && frames.folio_order(other) == order && one.value() >> order == other.value() >> order;
}

/// The 2^`order` frames from `head` on, which nobody knows yet, are one folio.
template <class G>
void start_folio(System<G>& system, FrameNumber head, unsigned order) {
  for (std::uint32_t i = 0; i < 1U << order; ++i) system.frames().set_folio_order(head + PageCount{i}, order);
}

/// Whether fork has to ask more than a page's own counts.
template <class G>
bool folios_are_asked(const System<G>& system) {
  return system.has_folios() && system.rules().huge_pins == HugePins::kWhole;
}

/// Maps a new large folio around `page`, which nothing is mapped at and is written: the largest one that the machine
/// allows, that lies in the VMA, over nothing that is mapped, and that RAM has a run for. False: there is none; the
/// caller maps a small page. `slot`: the place of the entry, or null. ENOMEM, kWouldBlock; nothing has changed then.
/// Compare Linux mm/memory.c: alloc_anon_folio().
template <class G>
Result<bool> fault_folio(System<G>& system, Mm& mm, Ref<Vma> vma, Vpn page, EntrySlot slot)
    COWHERD_REQUIRES(mm.mmap_lock);

/// Whether the table of `slot`, its lock held, has all `mapcount` mappings of the folio that `slot` maps a page of.
/// What it has of a page that nobody else maps stays so while the lock is held. Compare Linux
/// folio_maybe_mapped_shared(), which knows it from two slots for owners.
template <class G>
bool table_maps_all(System<G>& system, EntrySlot slot, std::uint32_t mapcount);

/// The pages of the folio that `frame` is part of are small pages from now on, each as it is. False, and nothing has
/// changed: the rules count pins per folio, and somebody has a reference to a page of it that is no mapping's and none
/// of the caller's `own` ones. True where it is part of none. Compare Linux mm/huge_memory.c: split_folio().
template <class G>
bool split_folio(System<G>& system, FrameNumber frame, std::uint32_t own = 0);

/// The page of `frame` is about to become something else, or to go: it is a small page from now on. Where pins are
/// counted per folio that splits all of it, and is refused as split_folio() says.
template <class G>
bool leave_folio(System<G>& system, FrameNumber frame, std::uint32_t own = 0) {
  if (system.frames().folio_order(frame) == 0) return true;
  if (folios_are_asked(system)) return split_folio(system, frame, own);
  system.frames().set_folio_order(frame, 0);
  return true;
}

}  // namespace cowherd::mm
