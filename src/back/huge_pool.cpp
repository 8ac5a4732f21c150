#include "back/huge_pool.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace cowherd {

namespace {

template <class G>
bool is_free(const Frames<G>& frames, std::uint32_t page) {
  return frames.descriptor(pool_frame<G>(page)).use() == FrameUse::kFree;
}

}  // namespace

template <class G>
void format_pool(Frames<G>& frames, HugePool& pool, std::uint32_t pages) {
  pool.pages = pages;
  pool.free = pages;
  for (std::uint32_t page = 0; page < pages; ++page) {
    const auto head = frames.allocate(FrameUse::kAnon, Frames<G>::kHugeOrder);
    assert(head && *head == pool_frame<G>(page));
    for (PageCount i{0}; i.value() < Frames<G>::kHugeFrames; ++i) frames.descriptor(*head + i).clear();
  }
}

template <class G>
Result<FrameNumber> take_from_pool(Frames<G>& frames, HugePool& pool, Promised promised) {
  if (promised == Promised::kNo && pool.unreserved() == 0) return Errno::kNoMemory;
  while (!is_free(frames, pool.lowest)) ++pool.lowest;
  const FrameNumber head = pool_frame<G>(pool.lowest);
  --pool.free;
  if (promised == Promised::kYes) --pool.reserved;
  frames.descriptor(head).change_use(FrameUse::kAnon);
  // Where states are compared nobody can tell in which order pages went and came.
  while (G::kExplored && pool.lowest < pool.pages && !is_free(frames, pool.lowest)) ++pool.lowest;
  return head;
}

template <class G>
void give_to_pool(Frames<G>& frames, HugePool& pool, FrameNumber head, Promised promised) {
  frames.descriptor(head).clear();
  if constexpr (G::kScrubFreed) {
    std::memset(frames.bytes(head), Frames<G>::kScrubByte, Geometry<G>::kPageBytes * Frames<G>::kHugeFrames);
  }
  ++pool.free;
  if (promised == Promised::kYes) ++pool.reserved;
  pool.lowest = std::min(pool.lowest, head.value() / Frames<G>::kHugeFrames - 1);
}

#define COWHERD_INSTANTIATE(G)                                                     \
  template void format_pool<G>(Frames<G>&, HugePool&, std::uint32_t);              \
  template Result<FrameNumber> take_from_pool<G>(Frames<G>&, HugePool&, Promised); \
  template void give_to_pool<G>(Frames<G>&, HugePool&, FrameNumber, Promised);
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd
