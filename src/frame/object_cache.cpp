#include <algorithm>

#include "frame/frames.hpp"

namespace cowherd {

/// Fills an empty cache from one slab, or one that is half used: what a thread keeps from others stays small.
template <class G>
void Frames<G>::refill_objects(ObjectCache& cache, std::size_t kind, std::size_t slot) {
  cache.slot_bytes = static_cast<std::uint32_t>(slot);
  const Hold hold(*header_);
  do {
    auto taken = slab_take(kind, slot);
    if (!taken) break;
    cache.push(*taken);
  } while (cache.count < ObjectCache::kBatch && header_->partial[kind] != 0);
  // Neighbours in memory come out one after the other.
  std::reverse(cache.items, cache.items + cache.count);
}

template <class G>
void Frames<G>::give_back_objects(ObjectCache& cache, std::size_t kind, std::uint32_t keep) {
  if (cache.count <= keep) return;
  const Hold hold(*header_);
  for (std::uint32_t i = 0; i < cache.count - keep; ++i) slab_give(kind, cache.slot_bytes, cache.items[i]);
  cache.drop_oldest(keep);
}

template <class G>
void Frames<G>::drain_objects() {
  for (std::size_t i = 0; i < cache_count_ * kKinds; ++i) {
    ObjectCache& cache = object_caches_[i];
    if (cache.glance() == 0) continue;
    cache.lock();
    give_back_objects(cache, i % kKinds, 0);
    cache.unlock();
  }
}

template <class G>
Result<std::uint32_t> Frames<G>::take_cached_object(std::size_t kind, std::size_t slot) {
  ObjectCache& own = own_objects(kind);
  own.lock();
  if (own.empty()) refill_objects(own, kind, slot);
  const std::uint32_t unit = own.empty() ? 0 : own.pop();
  own.unlock();
  if (unit != 0) return unit;
  drain_caches();
  const Hold hold(*header_);
  auto taken = slab_take(kind, slot);
  return taken ? taken : short_of_memory();
}

template <class G>
void Frames<G>::give_cached_object(std::size_t kind, std::size_t slot, std::uint32_t unit) {
  ObjectCache& own = own_objects(kind);
  own.lock();
  own.slot_bytes = static_cast<std::uint32_t>(slot);
  if (own.full()) give_back_objects(own, kind, ObjectCache::kCapacity - ObjectCache::kBatch);
  own.push(unit);
  own.unlock();
}

#define COWHERD_INSTANTIATE(G)                                                            \
  template void Frames<G>::refill_objects(ObjectCache&, std::size_t, std::size_t);        \
  template void Frames<G>::give_back_objects(ObjectCache&, std::size_t, std::uint32_t);   \
  template void Frames<G>::drain_objects();                                               \
  template Result<std::uint32_t> Frames<G>::take_cached_object(std::size_t, std::size_t); \
  template void Frames<G>::give_cached_object(std::size_t, std::size_t, std::uint32_t);
COWHERD_INSTANTIATE(ProductionGeometry)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd
