#include "frame/frames.hpp"

namespace cowherd {

template <class G>
void Frames<G>::refill(FrameCache& cache) {
  const Hold hold(*header_);
  if (header_->free_count == 0) return;
  const std::size_t first = find_free(0);
  std::uint64_t& word = levels_[0][first / kWordBits];
  std::uint64_t taken = 0;
  std::uint32_t count = 0;
  for (std::uint64_t left = word; left != 0 && count < FrameCache::kBatch; left &= left - 1, ++count) {
    taken |= left & -left;
  }
  mark_mask(first / kWordBits, taken, false);
  std::atomic_ref(header_->free_count).fetch_sub(count, std::memory_order_relaxed);
  while (taken != 0) {
    const auto highest = static_cast<std::uint32_t>(std::bit_width(taken)) - 1;
    taken &= ~(std::uint64_t{1} << highest);
    cache.push(FrameNumber{static_cast<std::uint32_t>(first / kWordBits * kWordBits) + highest});
  }
}

template <class G>
void Frames<G>::mark_free(std::span<const FrameNumber> frames) {
  // Those that follow each other are often in one word.
  for (std::size_t i = 0; i < frames.size();) {
    const std::size_t word = frames[i].value() / kWordBits;
    std::uint64_t mask = 0;
    for (; i < frames.size() && frames[i].value() / kWordBits == word; ++i) {
      mask |= std::uint64_t{1} << (frames[i].value() % kWordBits);
    }
    mark_mask(word, mask, true);
  }
  std::atomic_ref(header_->free_count).fetch_add(static_cast<std::uint32_t>(frames.size()), std::memory_order_relaxed);
}

template <class G>
void Frames<G>::give_back(FrameCache& cache, std::uint32_t keep) {
  if (cache.count <= keep) return;
  const std::uint32_t count = cache.count - keep;
  {
    const Hold hold(*header_);
    mark_free({cache.items, count});
  }
  cache.drop_oldest(keep);
}

template <class G>
FrameNumber Frames<G>::steal() {
  FrameNumber found = kZeroPage;
  for (std::size_t i = 0; i < cache_count_ && found == kZeroPage; ++i) {
    FrameCache& cache = caches_[i];
    if (cache.glance() == 0) continue;
    cache.lock();
    if (!cache.empty()) found = cache.pop();
    cache.unlock();
  }
  return found;
}

template <class G>
void Frames<G>::drain_caches() {
  drain_objects();
  for (std::size_t i = 0; i < cache_count_; ++i) {
    caches_[i].lock();
    give_back(caches_[i], 0);
    caches_[i].unlock();
  }
}

/// Frames that are free must not make it fail, wherever they are. Where the bitmap and the own cache are empty, it
/// looks into the others' caches; a batch may go the other way meanwhile:
///
///   allocate                               another thread
///   the bitmap is empty
///                                          its cache is full: half of it goes to the bitmap
///   take one of the other half
///
/// Allowed because a cache that gives back keeps as many as it gives.
template <class G>
Result<FrameNumber> Frames<G>::take_cached(FrameUse use) {
  FrameCache& own = own_cache();
  own.lock();
  if (own.empty()) refill(own);
  FrameNumber frame = own.empty() ? kZeroPage : own.pop();
  own.unlock();
  if (frame == kZeroPage) frame = steal();
  if (frame == kZeroPage) {
    drain_objects();
    auto taken = take_run(use, 0);
    return taken ? taken : short_of_memory();
  }
  // It was cleared when it was freed.
  descriptor(frame).start_use(use);
  return frame;
}

template <class G>
void Frames<G>::give_cached(std::span<const FrameNumber> frames) {
  for (const FrameNumber frame : frames) {
    assert(descriptor(frame).use() != FrameUse::kFree);
    descriptor(frame).clear();
    clear_parts(frame);
  }
  if (frames.size() >= FrameCache::kBatch) {
    const Hold hold(*header_);
    mark_free(frames);
    return;
  }
  FrameCache& own = own_cache();
  own.lock();
  for (const FrameNumber frame : frames) {
    if (own.full()) give_back(own, FrameCache::kCapacity - FrameCache::kBatch);
    own.push(frame);
  }
  own.unlock();
}

#define COWHERD_INSTANTIATE(G)                                        \
  template void Frames<G>::refill(FrameCache&);                       \
  template void Frames<G>::give_back(FrameCache&, std::uint32_t);     \
  template FrameNumber Frames<G>::steal();                            \
  template void Frames<G>::drain_caches();                            \
  template Result<FrameNumber> Frames<G>::take_cached(FrameUse);      \
  template void Frames<G>::give_cached(std::span<const FrameNumber>); \
  template void Frames<G>::mark_free(std::span<const FrameNumber>);
COWHERD_INSTANTIATE(ProductionGeometry)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd
