#include "frame/frames.hpp"

namespace cowherd {

namespace {

constexpr std::size_t round_up(std::size_t value, std::size_t to) { return (value + to - 1) / to * to; }

constexpr std::size_t kWordBits = 64;

/// The first run of 2^order free frames within one bitmap word, aligned; kWordBits if there is none.
std::size_t find_run(std::uint64_t free, unsigned order) {
  const std::size_t run = std::size_t{1} << order;
  const std::uint64_t mask = run == kWordBits ? ~std::uint64_t{0} : (std::uint64_t{1} << run) - 1;
  for (std::size_t bit = 0; bit < kWordBits; bit += run) {
    if ((free >> bit & mask) == mask) {
      return bit;
    }
  }
  return kWordBits;
}

}  // namespace

template <class G>
typename Frames<G>::Layout Frames<G>::layout(std::size_t frames, const Parts& parts) {
  Layout result{};
  std::size_t bits = frames;
  std::size_t total_words = 0;
  do {
    const std::size_t words = (bits + kWordBits - 1) / kWordBits;
    assert(result.levels < kMaxLevels);
    result.words[result.levels++] = words;
    total_words += words;
    bits = words;
  } while (bits > 1);
  result.bitmap_offset = round_up(sizeof(Header), sizeof(std::uint64_t));
  std::size_t end = result.bitmap_offset + total_words * sizeof(std::uint64_t);
  if constexpr (!G::kExplored) {
    // What threads keep from each other must be a small part of what there is.
    constexpr std::size_t kFramesPerCache = 512;
    constexpr std::size_t kMostCaches = 64;
    result.caches = std::min(std::bit_floor(frames / kFramesPerCache), kMostCaches);
    result.cache_offset = round_up(end, alignof(FrameCache));
    if (result.caches != 0) end = result.cache_offset + result.caches * kBytesPerCache;
  }
  result.huge_offset = end;
  if (parts.huge) end += (frames >> kHugeOrder) * sizeof(HugePage);
  result.folio_offset = end;
  if (parts.folios) end += frames;
  result.descriptor_offset = round_up(end, sizeof(FrameDescriptor));
  result.cold_offset = result.descriptor_offset + frames * sizeof(FrameDescriptor);
  end = result.cold_offset + (parts.cold ? frames * sizeof(ColdDescriptor) : 0);
  result.ram_offset = round_up(end, kPageBytes);
  result.total = result.ram_offset + frames * kPageBytes;
  return result;
}

template <class G>
std::size_t Frames<G>::footprint(PageCount frames, const Parts& parts) {
  return layout(frames.value(), parts).total;
}

template <class G>
Frames<G>::Frames(std::byte* memory) : header_(reinterpret_cast<Header*>(memory)), levels_{}, level_count_(0) {
  const Layout where = layout(header_->frame_count,
                              {.cold = header_->cold != 0, .huge = header_->huge != 0, .folios = header_->folios != 0});
  auto* word = reinterpret_cast<std::uint64_t*>(memory + where.bitmap_offset);
  for (; level_count_ < where.levels; ++level_count_) {
    levels_[level_count_] = word;
    word += where.words[level_count_];
  }
  caches_ = reinterpret_cast<FrameCache*>(memory + where.cache_offset);
  cache_count_ = caches_in_use(where, header_->movable_count);
  movable_first_ = header_->movable_first;
  movable_count_ = header_->movable_count;
  object_caches_ = reinterpret_cast<ObjectCache*>(caches_ + cache_count_);
  descriptors_ = reinterpret_cast<FrameDescriptor*>(memory + where.descriptor_offset);
  if (header_->cold != 0) cold_ = reinterpret_cast<ColdDescriptor*>(memory + where.cold_offset);
  if (header_->huge != 0) huge_ = reinterpret_cast<HugePage*>(memory + where.huge_offset);
  if (header_->folios != 0) folio_orders_ = reinterpret_cast<std::uint8_t*>(memory + where.folio_offset);
  ram_ = memory + where.ram_offset;
}

template <class G>
void Frames<G>::format(std::byte* memory, PageCount frames, const Parts& parts) {
  const std::size_t count = frames.value();
  assert(count >= 2 && frames <= kMaxFrames);
  const Layout where = layout(count, parts);
  std::memset(memory, 0, where.ram_offset);
  auto* header = reinterpret_cast<Header*>(memory);
  header->frame_count = static_cast<std::uint32_t>(count);
  header->free_count = static_cast<std::uint32_t>(count - 1);
  header->cold = parts.cold ? 1 : 0;
  header->huge = parts.huge ? 1 : 0;
  header->folios = parts.folios ? 1 : 0;
  const MovableZone& movable = parts.movable;
  assert(movable.count == PageCount{0} || movable.first + movable.count <= FrameNumber{header->frame_count});
  header->movable_first = movable.first.value();
  header->movable_count = static_cast<std::uint32_t>(movable.count.value());
  if constexpr (G::kScrubFreed) {
    std::memset(memory + where.ram_offset, kScrubByte, count * kPageBytes);
  }
  Frames view{memory};
  for (std::size_t level = 0, bits = count; level < where.levels; bits = where.words[level++]) {
    for (std::size_t word = 0; word < where.words[level]; ++word) {
      const std::size_t rest = bits - word * kWordBits;
      view.levels_[level][word] = rest >= kWordBits ? ~std::uint64_t{0} : (std::uint64_t{1} << rest) - 1;
    }
  }
  view.mark(0, 1, false);
  view.descriptor(kZeroPage).start_use(FrameUse::kZeroPage);
  std::memset(view.bytes(kZeroPage), 0, kPageBytes);
}

template <class G>
void Frames<G>::mark(std::size_t frame, std::size_t count, bool free) {
  // `count` is a power of two and `frame` a multiple of it: within one word of the lowest level, or whole words.
  for (; count > kWordBits; count -= kWordBits, frame += kWordBits) mark(frame, kWordBits, free);
  const std::uint64_t ones = count == kWordBits ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
  mark_mask(frame / kWordBits, ones << (frame % kWordBits), free);
}

template <class G>
void Frames<G>::mark_mask(std::size_t index, std::uint64_t mask, bool free) {
  for (std::size_t level = 0; level < level_count_; ++level) {
    std::uint64_t& word = levels_[level][index];
    const bool was_empty = word == 0;
    word = free ? word | mask : word & ~mask;
    if (free ? !was_empty : word != 0) {
      return;
    }
    mask = std::uint64_t{1} << (index % kWordBits);
    index /= kWordBits;
  }
}

template <class G>
std::size_t Frames<G>::find_free(unsigned order) const {
  const std::size_t words = (header_->frame_count + kWordBits - 1) / kWordBits;
  if (stripes_ > 1) {
    // One period of the stripes divides a word.
    std::uint64_t own = 0;
    for (std::uint32_t bit = 0; bit < kWordBits; ++bit) {
      if (bit / kStripeFrames % stripes_ == stripe_) own |= std::uint64_t{1} << bit;
    }
    for (std::size_t word = 0; word < words; ++word) {
      const std::size_t bit = find_run(levels_[0][word] & own, order);
      if (bit != kWordBits) return word * kWordBits + bit;
    }
  }
  if (order == 0) {
    if (header_->free_count == 0) return header_->frame_count;
    std::size_t index = 0;
    for (std::size_t level = level_count_; level-- > 0;) {
      index = index * kWordBits + static_cast<std::size_t>(std::countr_zero(levels_[level][index]));
    }
    return index;
  }
  if (const std::size_t run = (std::size_t{1} << order) / kWordBits; run > 1) {
    for (std::size_t word = 0; word + run <= words; word += run) {
      const auto* first = levels_[0] + word;
      if (std::all_of(first, first + run, [](std::uint64_t free) { return free == ~std::uint64_t{0}; })) {
        return word * kWordBits;
      }
    }
    return header_->frame_count;
  }
  for (std::size_t word = 0; word < words; ++word) {
    const std::size_t bit = find_run(levels_[0][word], order);
    if (bit != kWordBits) return word * kWordBits + bit;
  }
  return header_->frame_count;
}

template <class G>
Result<FrameNumber> Frames<G>::take(FrameUse use, unsigned order, Zone zone) {
  const std::size_t found = movable_count_ == 0 ? find_free(order) : find_free_in(zone, order);
  if (found >= header_->frame_count) {
    return Errno::kNoMemory;
  }
  const std::size_t count = std::size_t{1} << order;
  mark(found, count, false);
  std::atomic_ref(header_->free_count).fetch_sub(static_cast<std::uint32_t>(count), std::memory_order_relaxed);
  for (std::size_t frame = found; frame < found + count; ++frame) {
    descriptors_[frame].clear();
    descriptors_[frame].start_use(use);
  }
  return FrameNumber{static_cast<std::uint32_t>(found)};
}

template <class G>
void Frames<G>::give(FrameNumber frame, unsigned order) {
  const std::size_t count = std::size_t{1} << order;
  assert(descriptor(frame).use() != FrameUse::kFree);
  for (std::size_t i = 0; i < count; ++i) {
    descriptors_[frame.value() + i].clear();
    clear_parts(frame + PageCount{i});
  }
  if constexpr (G::kScrubFreed) {
    std::memset(bytes(frame), kScrubByte, count * kPageBytes);
  }
  mark(frame.value(), count, true);
  std::atomic_ref(header_->free_count).fetch_add(static_cast<std::uint32_t>(count), std::memory_order_relaxed);
}

template <class G>
Result<FrameNumber> Frames<G>::allocate(FrameUse use, unsigned order, Zone zone) {
  if (injector_.should_fail()) {
    return short_of_memory();
  }
  if constexpr (!G::kExplored) {
    if (order == 0 && cache_count_ != 0) return take_cached(use);
  }
  auto taken = take_run(use, order, zone);
  if constexpr (!G::kExplored) {
    if (!taken && cache_count_ != 0) {
      drain_caches();
      taken = take_run(use, order, zone);
    }
  }
  return taken ? taken : short_of_memory();
}

template <class G>
Result<FrameNumber> Frames<G>::take_run(FrameUse use, unsigned order, Zone zone) {
  const Hold hold(*header_);
  return take(use, order, zone);
}

template <class G>
void Frames<G>::free(FrameNumber frame, unsigned order) {
  if (order == 0) {
    free_all({&frame, 1});
    return;
  }
  const Hold hold(*header_);
  give(frame, order);
}

template <class G>
void Frames<G>::free_all(std::span<const FrameNumber> frames) {
  if constexpr (!G::kExplored) {
    if (cache_count_ != 0) {
      give_cached(frames);
      return;
    }
  }
  const Hold hold(*header_);
  for (const FrameNumber frame : frames) give(frame, 0);
}

template <class G>
PageCount Frames<G>::used_frames() const {
  const std::size_t words = (header_->frame_count + kWordBits - 1) / kWordBits;
  for (std::size_t word = words; word-- > 0;) {
    const std::size_t in_word = std::min(kWordBits, header_->frame_count - word * kWordBits);
    const std::uint64_t valid = in_word == kWordBits ? ~std::uint64_t{0} : (std::uint64_t{1} << in_word) - 1;
    const std::uint64_t used = ~levels_[0][word] & valid;
    if (used != 0) {
      return PageCount{word * kWordBits + static_cast<std::size_t>(std::bit_width(used))};
    }
  }
  return PageCount{0};
}

// A slab is 2^order frames cut into slots. Its first frame's descriptor says: mapcount - the first free slot plus one,
// and above that the slots in use; owner and index - the next and the previous slab with a free slot, and above that
// the kind plus one. A free slot's first word is the next free slot plus one. Each of its frames has one reference of
// its own, like any frame in use.

namespace {

constexpr std::uint32_t kSlotBits = 10;
static_assert(ProductionGeometry::kPageShift - 5 < kSlotBits, "the slots of a frame can be counted");

struct SlabState {
  /// Plus one; 0 for none.
  std::uint32_t first_free;
  std::uint32_t in_use;
};

SlabState slab_state(const FrameDescriptor& slab) {
  const std::uint32_t word = slab.mapcount();
  return {word & ((1u << kSlotBits) - 1), word >> kSlotBits};
}

void set_slab_state(FrameDescriptor& slab, SlabState state) {
  slab.set_mapcount(state.first_free | state.in_use << kSlotBits);
}

/// Above the number of a frame.
constexpr unsigned kKindShift = 28;
static_assert(static_cast<std::uint32_t>(SlabKind::kCount) < 1U << (FrameDescriptor::kIndexBits - kKindShift));

std::uint64_t kind_bits(const FrameDescriptor& slab) { return slab.index().value() >> kKindShift << kKindShift; }

FrameNumber previous_slab(const FrameDescriptor& slab) {
  return FrameNumber{static_cast<std::uint32_t>(slab.index().value() & ((1U << kKindShift) - 1))};
}

void set_slab_neighbours(FrameDescriptor& slab, FrameNumber next, FrameNumber previous) {
  slab.set_owner(next.value(), Vpn{kind_bits(slab) | previous.value()});
}

}  // namespace

template <class G>
FrameNumber Frames<G>::find_slab(std::size_t kind) const {
  FrameNumber slab{header_->partial[kind]};
  while (slab != kZeroPage && !in_stripe(slab)) slab = FrameNumber{descriptor(slab).owner()};
  return slab;
}

template <class G>
Result<std::uint32_t> Frames<G>::slab_allocate(std::size_t kind, std::size_t slot) {
  if (injector_.should_fail()) {
    return short_of_memory();
  }
  if constexpr (!G::kExplored) {
    if (cache_count_ != 0) return take_cached_object(kind, slot);
  }
  const Hold hold(*header_);
  auto taken = slab_take(kind, slot);
  return taken ? taken : short_of_memory();
}

template <class G>
void Frames<G>::slab_free(std::size_t kind, std::size_t slot, std::uint32_t unit) {
  if constexpr (!G::kExplored) {
    if (cache_count_ != 0) {
      give_cached_object(kind, slot, unit);
      return;
    }
  }
  const Hold hold(*header_);
  slab_give(kind, slot, unit);
}

template <class G>
Result<std::uint32_t> Frames<G>::slab_take(std::size_t kind, std::size_t slot) {
  const unsigned order = slab_order(slot);
  FrameNumber slab = find_slab(kind);
  if (slab == kZeroPage) {
    auto made = take(FrameUse::kSlab, order);
    if (made) {
      slab = *made;
      const auto slots = static_cast<std::uint32_t>((kPageBytes << order) / slot);
      for (std::uint32_t i = 0; i < slots; ++i) {
        const std::uint32_t next = i + 1 < slots ? i + 2 : 0;
        std::memcpy(bytes(slab) + i * slot, &next, sizeof next);
      }
      set_slab_state(descriptor(slab), {1, 0});
      descriptor(slab).set_owner(0, Vpn{std::uint64_t{kind + 1} << kKindShift});
      partial_push(kind, slab);
      for (std::uint32_t i = 0; i < 1u << order; ++i) descriptor(slab + PageCount{i}).add_references(1);
    } else {
      slab = FrameNumber{header_->partial[kind]};
      if (slab == kZeroPage) return made.error();
    }
  }
  FrameDescriptor& descriptor_of_slab = descriptor(slab);
  const SlabState state = slab_state(descriptor_of_slab);
  const std::uint32_t taken = state.first_free - 1;
  std::byte* where = bytes(slab) + taken * slot;
  std::uint32_t next = 0;
  std::memcpy(&next, where, sizeof next);
  set_slab_state(descriptor_of_slab, {next, state.in_use + 1});
  if (next == 0) {
    partial_remove(kind, slab);
  }
  // What the object leaves out between its members is part of a state too.
  if constexpr (G::kExplored) std::memset(where, 0, slot);
  ++header_->objects[kind];
  return static_cast<std::uint32_t>((slab.value() * kPageBytes + taken * slot) / kObjectUnit);
}

template <class G>
void Frames<G>::slab_give(std::size_t kind, std::size_t slot, std::uint32_t unit) {
  const unsigned order = slab_order(slot);
  const std::size_t offset = std::size_t{unit} * kObjectUnit;
  const FrameNumber slab{static_cast<std::uint32_t>(offset / kPageBytes >> order << order)};
  FrameDescriptor& descriptor_of_slab = descriptor(slab);
  const SlabState state = slab_state(descriptor_of_slab);
  assert(descriptor_of_slab.use() == FrameUse::kSlab && state.in_use != 0);
  --header_->objects[kind];
  const bool was_full = state.first_free == 0;
  if (state.in_use == 1) {
    if (!was_full) {
      partial_remove(kind, slab);
    }
    for (std::uint32_t i = 0; i < 1u << order; ++i) {
      const FrameNumber frame = slab + PageCount{i};
      if (descriptor(frame).drop_references(1).references == 0) give(frame, 0);
    }
    return;
  }
  std::byte* where = ram_ + offset;
  if constexpr (G::kScrubFreed) {
    std::memset(where, kScrubByte, slot);
  }
  const std::uint32_t next = state.first_free;
  std::memcpy(where, &next, sizeof next);
  const auto index = static_cast<std::uint32_t>((offset - slab.value() * kPageBytes) / slot);
  set_slab_state(descriptor_of_slab, {index + 1, state.in_use - 1});
  if (was_full) {
    partial_push(kind, slab);
  }
}

template <class G>
bool Frames<G>::is_slab_of(SlabKind kind, FrameNumber frame) const {
  const FrameDescriptor& slab = descriptor(frame);
  return slab.use() == FrameUse::kSlab && slab.index().value() >> kKindShift == static_cast<std::uint64_t>(kind) + 1;
}

template <class G>
typename Frames<G>::SlotSet Frames<G>::free_slots(SlabKind kind, FrameNumber slab, std::size_t slot) const {
  SlotSet free;
  for (std::uint32_t next = slab_state(descriptor(slab)).first_free; next != 0;) {
    free.set(next - 1);
    std::memcpy(&next, bytes(slab) + (next - 1) * slot, sizeof next);
  }
  for (std::size_t i = 0; i < cache_count_; ++i) {
    const ObjectCache& cache = object_caches_[i * kKinds + static_cast<std::size_t>(kind)];
    for (std::uint32_t item = 0; item < cache.count; ++item) {
      const std::size_t place = std::size_t{cache.items[item]} * kObjectUnit;
      if (FrameNumber{static_cast<std::uint32_t>(place / kPageBytes)} == slab) free.set(place % kPageBytes / slot);
    }
  }
  return free;
}

template <class G>
void Frames<G>::partial_push(std::size_t kind, FrameNumber slab) {
  const FrameNumber head{header_->partial[kind]};
  set_slab_neighbours(descriptor(slab), head, kZeroPage);
  if (head != kZeroPage) {
    FrameDescriptor& old = descriptor(head);
    set_slab_neighbours(old, FrameNumber{old.owner()}, slab);
  }
  header_->partial[kind] = slab.value();
}

template <class G>
void Frames<G>::partial_remove(std::size_t kind, FrameNumber slab) {
  const FrameNumber next{descriptor(slab).owner()};
  const FrameNumber previous = previous_slab(descriptor(slab));
  if (previous != kZeroPage) {
    set_slab_neighbours(descriptor(previous), next, previous_slab(descriptor(previous)));
  } else {
    header_->partial[kind] = next.value();
  }
  if (next != kZeroPage) {
    set_slab_neighbours(descriptor(next), FrameNumber{descriptor(next).owner()}, previous);
  }
  set_slab_neighbours(descriptor(slab), kZeroPage, kZeroPage);
}

#define COWHERD_INSTANTIATE(G) template class Frames<G>;
COWHERD_FOR_EACH_GEOMETRY(COWHERD_INSTANTIATE)
#undef COWHERD_INSTANTIATE

}  // namespace cowherd
