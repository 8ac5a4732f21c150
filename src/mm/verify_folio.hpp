#pragma once

#include "mm/folio.hpp"
#include "mm/system.hpp"
#include "mm/violation.hpp"

namespace cowherd::mm {

/// The part of verify() that is about large folios: each frame that is said to be part of one is an anonymous page, and
/// those of one folio belong side by side.
template <class G>
void check_folios(System<G>& system, Violations& found) {
  if (!system.has_folios()) return;
  const Frames<G>& frames = system.frames();
  const std::size_t count = frames.frame_count().value();
  for (std::size_t number = 0; number < count; ++number) {
    const FrameNumber frame{static_cast<std::uint32_t>(number)};
    const unsigned order = frames.folio_order(frame);
    if (order == 0) continue;
    const FrameDescriptor& page = frames.descriptor(frame);
    bool sound = order <= Frames<G>::kHugeOrder && page.use() == FrameUse::kAnon && !page.poisoned() &&
                 (number >> order << order) + (std::size_t{1} << order) <= count;
    if (sound) {
      for_each_in_folio(frames, frame, [&](FrameNumber piece) {
        const std::uint64_t index = frames.descriptor(piece).index().value() + frame.value();
        sound = sound && index == page.index().value() + piece.value();
      });
    }
    if (!sound) found.add(Violation::kFolio);
  }
}

}  // namespace cowherd::mm
