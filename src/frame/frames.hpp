#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <bitset>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/failure_injector.hpp"
#include "base/geometry.hpp"
#include "base/lock_word.hpp"
#include "base/mutant.hpp"
#include "base/ref.hpp"
#include "base/slab_kind.hpp"
#include "base/thread_number.hpp"
#include "cowherd/result.hpp"
#include "frame/cold_descriptor.hpp"
#include "frame/descriptor.hpp"
#include "frame/huge_page.hpp"
#include "frame/thread_cache.hpp"

namespace cowherd {

/// Which memory a frame is wanted from. Compare Linux ZONE_NORMAL, ZONE_MOVABLE.
enum class Zone : std::uint8_t {
  /// What is given out may stay where it is for ever.
  kNormal,
  /// What is given out can be moved; where none of it is left, normal memory does too.
  kMovable,
};

/// Frames that hold only what can be moved: `count` of them from `first` on.
struct MovableZone {
  FrameNumber first{0};
  PageCount count{0};
};

/// RAM: frames, their descriptors, who has them, and the kernel objects that live in them.
///
/// A Frames is a view: all state lies in the memory that format() laid out, in this order: header, free bitmaps, the
/// threads' caches of free frames and objects, descriptors, their cold part where there is one, RAM. Copying that
/// memory copies everything.
///
/// In a geometry that is explored there are no caches, free frames are found lowest first, so that the layout depends
/// on what is allocated and not on the way there, and one call is one step. Natively that is true of what one thread
/// takes from fresh memory. Safe from any thread.
template <class G>
class Frames {
 public:
  static constexpr std::size_t kPageBytes = Geometry<G>::kPageBytes;
  static constexpr FrameNumber kZeroPage{0};
  /// The byte that freed memory is filled with where the geometry scrubs it.
  static constexpr unsigned char kScrubByte = 0xD7;

  /// No RAM is larger: 128 GiB in the production geometry. What lies in it is found by Ref.
  static constexpr PageCount kMaxFrames{
      std::min(std::uint64_t{1} << 28, (std::uint64_t{1} << 32) * kObjectUnit / kPageBytes) - 1};

  /// Frames of a huge page, as a power of two: what one lowest table could map.
  static constexpr unsigned kHugeOrder = G::kTableShift;
  static constexpr std::uint32_t kHugeFrames = 1U << kHugeOrder;

  /// What there is besides frames and their descriptors.
  struct Parts {
    /// Descriptors have a cold part.
    bool cold = false;
    /// There may be huge pages.
    bool huge = false;
    /// There may be large folios that lowest tables map.
    bool folios = false;
    /// Lies behind frame 0.
    MovableZone movable{};
  };
  /// Bytes that `frames` frames need.
  static std::size_t footprint(PageCount frames, const Parts& parts = {});
  /// Lays out a fresh RAM: every frame free but frame 0, which is the zero page. Threads keep no free frames at hand
  /// where some are movable. Precondition: `memory` has footprint() bytes and is aligned to a page of the geometry; 2
  /// to kMaxFrames frames.
  static void format(std::byte* memory, PageCount frames, const Parts& parts = {});

  /// Attaches to memory that format() laid out, or to a copy of it.
  explicit Frames(std::byte* memory);

  [[nodiscard]] PageCount frame_count() const { return PageCount{header_->frame_count}; }
  /// As of some moment during the call, where others allocate meanwhile. Objects that threads keep at hand go back.
  [[nodiscard]] PageCount free_count() {
    if constexpr (!G::kExplored) drain_objects();
    std::uint64_t free = std::atomic_ref(header_->free_count).load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < cache_count_; ++i) free += caches_[i].glance();
    return PageCount{free};
  }

  /// 2^`order` frames in a row, aligned to their number; contents undefined, descriptors clear but for `use`, without
  /// references. Several come from normal memory. ENOMEM: none left, or an injected failure.
  Result<FrameNumber> allocate(FrameUse use, unsigned order = 0, Zone zone = Zone::kNormal);
  /// Precondition: nobody holds a reference.
  void free(FrameNumber frame, unsigned order = 0);
  /// As free() of each; many at once cost less.
  void free_all(std::span<const FrameNumber> frames);
  /// Drops one reference; the last one frees the frame. Whoever took a reference to a frame without knowing what it was
  /// gives it back so.
  void put(FrameNumber frame) {
    if (descriptor(frame).drop_references(1).references == 0) {
      free(frame);
    }
  }

  /// From now on, frames come from stripe `number` of `stripes` while it has any: agents whose allocations are
  /// interleaved in every order then get the same frames in each. Precondition: a power of two, at most 8; the geometry
  /// is explored. One stripe is everything, and freed frames are soon anybody's.
  void set_stripe(unsigned number, unsigned stripes) {
    stripe_ = number;
    stripes_ = stripes;
  }

  [[nodiscard]] bool has_movable() const { return movable_count_ != 0; }
  /// Whether `frame`, any number at all, is one that holds only what can be moved.
  [[nodiscard]] bool is_movable(FrameNumber frame) const { return frame.value() - movable_first_ < movable_count_; }
  [[nodiscard]] MovableZone movable() const { return {FrameNumber{movable_first_}, PageCount{movable_count_}}; }
  /// While closed, no movable frame is given out.
  [[nodiscard]] bool movable_closed() const { return std::atomic_ref(header_->movable_closed).load() != 0; }
  void open_movable() { std::atomic_ref(header_->movable_closed).store(0); }
  /// False: somebody else has.
  [[nodiscard]] bool close_movable() { return std::atomic_ref(header_->movable_closed).exchange(1) == 0; }

  [[nodiscard]] FrameDescriptor& descriptor(FrameNumber frame) const { return descriptors_[frame.value()]; }
  [[nodiscard]] bool has_cold() const { return cold_ != nullptr; }
  /// Precondition: has_cold().
  [[nodiscard]] ColdDescriptor& cold(FrameNumber frame) const { return cold_[frame.value()]; }
  [[nodiscard]] bool has_huge() const { return huge_ != nullptr; }
  /// The run that `frame` is part of, as a whole. Precondition: has_huge(), and the run does not end behind RAM.
  [[nodiscard]] HugePage& huge(FrameNumber frame) const { return huge_[frame.value() >> kHugeOrder]; }
  [[nodiscard]] bool has_folios() const { return folio_orders_ != nullptr; }
  /// `frame` is part of a large folio of 2^order frames, aligned to their number; 0: of none. Compare Linux
  /// folio_order().
  [[nodiscard]] unsigned folio_order(FrameNumber frame) const {
    return has_folios() ? folio_mark(frame).load(std::memory_order_relaxed) : 0;
  }
  /// Precondition: has_folios().
  void set_folio_order(FrameNumber frame, unsigned order) {
    folio_mark(frame).store(static_cast<std::uint8_t>(order), std::memory_order_relaxed);
  }
  /// The descriptor of `frame`, any number at all, will be changed soon.
  void prefetch(FrameNumber frame) const { __builtin_prefetch(descriptors_ + frame.value(), 1); }
  [[nodiscard]] std::byte* bytes(FrameNumber frame) const { return ram_ + frame.value() * kPageBytes; }
  /// The frame that `address`, a place in RAM, belongs to.
  [[nodiscard]] FrameNumber frame_of(const void* address) const {
    return FrameNumber{static_cast<std::uint32_t>(
        static_cast<std::size_t>(static_cast<const std::byte*>(address) - ram_) / kPageBytes)};
  }

  [[nodiscard]] ObjectSpace objects() const { return ObjectSpace{ram_}; }
  template <class T>
  [[nodiscard]] T& at(Ref<T> ref) const {
    return objects().at(ref);
  }

  /// A value-initialised T from the slabs. ENOMEM as allocate().
  template <class T>
  Result<Ref<T>> make() {
    static_assert(sizeof(T) <= slot_bytes<T>());
    auto unit = slab_allocate(static_cast<std::size_t>(T::kSlab), slot_bytes<T>());
    if (!unit) {
      return unit.error();
    }
    const Ref<T> ref{*unit};
    new (&at(ref)) T{};
    return ref;
  }
  template <class T>
  void destroy(Ref<T> ref) {
    slab_free(static_cast<std::size_t>(T::kSlab), slot_bytes<T>(), ref.unit);
  }
  /// Objects of kind T alive; as of some moment during the call.
  template <class T>
  [[nodiscard]] std::uint32_t alive() const {
    const Hold hold(*header_);
    std::uint32_t objects = header_->objects[static_cast<std::size_t>(T::kSlab)];
    for (std::size_t i = 0; i < cache_count_; ++i) {
      objects -= object_caches_[i * kKinds + static_cast<std::size_t>(T::kSlab)].glance();
    }
    return objects;
  }

  /// Calls `visit(ref)` for every object of kind T alive, in the order of their places. Precondition: nobody makes or
  /// destroys one meanwhile.
  template <class T, class Visit>
  void for_each(Visit&& visit) const {
    constexpr std::size_t kSlot = slot_bytes<T>();
    constexpr std::uint32_t kSlabFrames = 1U << slab_order(kSlot);
    constexpr std::size_t kSlots = kPageBytes * kSlabFrames / kSlot;
    const std::uint32_t used = static_cast<std::uint32_t>(used_frames().value());
    for (FrameNumber slab{0}; slab.value() < used; slab = slab + PageCount{kSlabFrames}) {
      if (!is_slab_of(T::kSlab, slab)) continue;
      const SlotSet free = free_slots(T::kSlab, slab, kSlot);
      for (std::size_t slot = 0; slot < kSlots; ++slot) {
        const std::size_t place = slab.value() * kPageBytes + slot * kSlot;
        if (!free.test(slot)) visit(Ref<T>{static_cast<std::uint32_t>(place / kObjectUnit)});
      }
    }
  }

  /// Allocations that have failed since clear_shortage(), injected or for real; of all threads.
  [[nodiscard]] std::uint32_t shortages() const { return shortages_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool shortage() const { return shortages() != 0; }
  /// Where one thread is at work.
  void clear_shortage() { shortages_.store(0, std::memory_order_relaxed); }
  void note_shortage() { shortages_.fetch_add(1, std::memory_order_relaxed); }
  FailureInjector& injector() { return injector_; }

  /// Frames from 0 to the last one in use; above lie only frames as format() left them, where the geometry scrubs.
  [[nodiscard]] PageCount used_frames() const;

 private:
  static constexpr std::size_t kKinds = static_cast<std::size_t>(SlabKind::kCount);
  static constexpr std::size_t kBytesPerCache = sizeof(FrameCache) + kKinds * sizeof(ObjectCache);
  static constexpr std::size_t kMaxLevels = 6;
  static constexpr std::size_t kWordBits = 64;
  /// As many as the largest slab has.
  static constexpr std::uint32_t kStripeFrames = 4;

  struct Header {
    std::uint32_t frame_count;
    std::uint32_t free_count;
    /// Whether descriptors have a cold part.
    std::uint32_t cold;
    /// Whether there may be huge pages.
    std::uint32_t huge;
    std::uint32_t folios;
    /// The frames that hold only what can be moved, and whether none of them is given out now.
    std::uint32_t movable_first;
    std::uint32_t movable_count;
    std::uint32_t movable_closed;
    /// Given out by the slabs, to threads' caches too.
    std::uint32_t objects[kKinds];
    /// First slab with a free object, by kind: frame number, 0 for none.
    std::uint32_t partial[kKinds];
    /// Over all of the above, the bitmaps and the slabs' free lists.
    LockWord lock;
  };

  /// Holds the header's lock, where agents are threads, or where who watches them has to see that they would.
  class Hold {
   public:
    explicit Hold(Header& header) : header_(header) {
      if constexpr (!G::kExplored || kWatched) (void)header_.lock.lock(true);
    }
    ~Hold() {
      if constexpr (!G::kExplored || kWatched) header_.lock.unlock();
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    Header& header_;
  };

  struct Layout {
    std::size_t words[kMaxLevels];
    std::size_t levels;
    std::size_t bitmap_offset;
    std::size_t caches;
    std::size_t cache_offset;
    std::size_t huge_offset;
    std::size_t folio_offset;
    std::size_t descriptor_offset;
    std::size_t cold_offset;
    std::size_t ram_offset;
    std::size_t total;
  };
  static Layout layout(std::size_t frames, const Parts& parts);
  /// How many caches are used of those that there is room for.
  static std::size_t caches_in_use(const Layout& where, std::size_t movable) { return movable == 0 ? where.caches : 0; }
  /// What is known of a frame beside its descriptor goes.
  void clear_parts(FrameNumber frame) {
    if (cold_ != nullptr) cold_[frame.value()].clear();
    if (folio_orders_ != nullptr && !COWHERD_MUTANT(folio_mark_outlives_page)) set_folio_order(frame, 0);
  }
  [[nodiscard]] std::atomic_ref<std::uint8_t> folio_mark(FrameNumber frame) const {
    return std::atomic_ref(folio_orders_[frame.value()]);
  }

  template <class T>
  static constexpr std::size_t slot_bytes() {
    return (sizeof(T) + kObjectUnit - 1) / kObjectUnit * kObjectUnit;
  }
  static constexpr unsigned slab_order(std::size_t slot) {
    return slot <= kPageBytes ? 0U : static_cast<unsigned>(std::bit_width((slot - 1) / kPageBytes));
  }
  /// The first free run of 2^`order` frames; frame_count where there is none.
  [[nodiscard]] std::size_t find_free(unsigned order) const;
  /// The same where some frames are movable.
  [[nodiscard]] std::size_t find_free_in(Zone zone, unsigned order) const;
  /// The same from [begin, end).
  [[nodiscard]] std::size_t find_between(std::size_t begin, std::size_t end, unsigned order, bool own_stripe) const;
  /// The first free frame from `from` on.
  [[nodiscard]] std::size_t next_free(std::size_t from) const;
  /// As allocate() and free(), the header's lock held; without a word of shortage.
  Result<FrameNumber> take(FrameUse use, unsigned order, Zone zone = Zone::kNormal);
  void give(FrameNumber frame, unsigned order);
  Result<FrameNumber> take_run(FrameUse use, unsigned order, Zone zone = Zone::kNormal);
  Errno short_of_memory() {
    note_shortage();
    return Errno::kNoMemory;
  }

  // The caches, each with its lock. A cache's lock comes before the header's.
  FrameCache& own_cache() { return caches_[thread_number() & (cache_count_ - 1)]; }
  Result<FrameNumber> take_cached(FrameUse use);
  void give_cached(std::span<const FrameNumber> frames);
  /// The header's lock held: cleared frames back to the bitmap.
  void mark_free(std::span<const FrameNumber> frames);
  /// Moves the lowest free frames into an empty cache, which gives out the lowest first.
  void refill(FrameCache& cache);
  /// Moves the frames that were longest in a cache back to the bitmap, down to `keep`.
  void give_back(FrameCache& cache, std::uint32_t keep);
  /// A free frame from somebody's cache; the zero page where there is none.
  FrameNumber steal();
  void drain_caches();
  ObjectCache& own_objects(std::size_t kind) {
    return object_caches_[(thread_number() & (cache_count_ - 1)) * kKinds + kind];
  }
  Result<std::uint32_t> take_cached_object(std::size_t kind, std::size_t slot);
  void give_cached_object(std::size_t kind, std::size_t slot, std::uint32_t unit);
  void refill_objects(ObjectCache& cache, std::size_t kind, std::size_t slot);
  /// Gives those that were longest in a cache back to their slabs, down to `keep`.
  void give_back_objects(ObjectCache& cache, std::size_t kind, std::uint32_t keep);
  void drain_objects();
  [[nodiscard]] bool in_stripe(FrameNumber frame) const {
    return stripes_ <= 1 || frame.value() / kStripeFrames % stripes_ == stripe_;
  }
  /// A slab with a free object, from the own stripe; 0 for none.
  [[nodiscard]] FrameNumber find_slab(std::size_t kind) const;
  Result<std::uint32_t> slab_allocate(std::size_t kind, std::size_t slot);
  void slab_free(std::size_t kind, std::size_t slot, std::uint32_t unit);
  /// As these, the header's lock held; without a word of shortage.
  Result<std::uint32_t> slab_take(std::size_t kind, std::size_t slot);
  void slab_give(std::size_t kind, std::size_t slot, std::uint32_t unit);
  [[nodiscard]] bool is_slab_of(SlabKind kind, FrameNumber frame) const;
  /// Those slots of `slab` that hold no object, or one that a thread keeps at hand.
  using SlotSet = std::bitset<std::max<std::size_t>(kPageBytes / kObjectUnit, 1)>;
  [[nodiscard]] SlotSet free_slots(SlabKind kind, FrameNumber slab, std::size_t slot) const;
  void partial_push(std::size_t kind, FrameNumber slab);
  void partial_remove(std::size_t kind, FrameNumber slab);

  void mark(std::size_t frame, std::size_t count, bool free);
  void mark_mask(std::size_t word, std::uint64_t mask, bool free);

  Header* header_;
  std::uint64_t* levels_[kMaxLevels];
  std::size_t level_count_;
  FrameCache* caches_;
  /// Of each thread, one to a kind.
  ObjectCache* object_caches_;
  /// A power of two, or none.
  std::size_t cache_count_;
  std::uint32_t movable_first_ = 0;
  std::uint32_t movable_count_ = 0;
  FrameDescriptor* descriptors_;
  /// Null where there is none.
  ColdDescriptor* cold_ = nullptr;
  /// Null where there are none.
  HugePage* huge_ = nullptr;
  /// One to each frame: see folio_order(). Null where there are none.
  std::uint8_t* folio_orders_ = nullptr;
  std::byte* ram_;
  FailureInjector injector_;
  std::atomic<std::uint32_t> shortages_{0};
  unsigned stripe_ = 0;
  unsigned stripes_ = 1;

 public:
  /// Where the parts lie, from the start of the memory: for whoever copies only what is used.
  [[nodiscard]] std::size_t descriptor_offset() const {
    return static_cast<std::size_t>(reinterpret_cast<std::byte*>(descriptors_) - reinterpret_cast<std::byte*>(header_));
  }
  /// Precondition: has_cold().
  [[nodiscard]] std::size_t cold_offset() const {
    return static_cast<std::size_t>(reinterpret_cast<std::byte*>(cold_) - reinterpret_cast<std::byte*>(header_));
  }
  [[nodiscard]] std::size_t ram_offset() const {
    return static_cast<std::size_t>(ram_ - reinterpret_cast<std::byte*>(header_));
  }
};

}  // namespace cowherd
