#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/failure_injector.hpp"
#include "base/geometry.hpp"
#include "base/ref.hpp"
#include "base/slab_kind.hpp"
#include "cowherd/result.hpp"
#include "frame/descriptor.hpp"

namespace cowherd {

/// RAM: frames, their descriptors, who has them, and the kernel objects that live in them.
///
/// A Frames is a view: all state lies in the memory that format() laid out, in this order: header, free bitmaps,
/// descriptors, RAM. Copying that memory copies everything. Free frames are found lowest first, so that the layout
/// depends on what is allocated and not on the way there. Not thread-safe.
template <class G>
class Frames {
 public:
  static constexpr std::size_t kPageBytes = Geometry<G>::kPageBytes;
  static constexpr FrameNumber kZeroPage{0};
  /// The byte that freed memory is filled with where the geometry scrubs it.
  static constexpr unsigned char kScrubByte = 0xD7;

  /// No RAM is larger: 128 GiB in the production geometry. What lies in it is found by Ref.
  static constexpr PageCount kMaxFrames{
      std::min(std::uint64_t{1} << 32, (std::uint64_t{1} << 32) * kObjectUnit / kPageBytes) - 1};

  /// Bytes that `frames` frames need.
  static std::size_t footprint(PageCount frames);
  /// Lays out a fresh RAM: every frame free but frame 0, which is the zero page. Precondition: `memory` has footprint()
  /// bytes and is aligned to a page of the geometry; 2 to kMaxFrames frames.
  static void format(std::byte* memory, PageCount frames);

  /// Attaches to memory that format() laid out, or to a copy of it.
  explicit Frames(std::byte* memory);

  [[nodiscard]] PageCount frame_count() const { return PageCount{header_->frame_count}; }
  [[nodiscard]] PageCount free_count() const { return PageCount{header_->free_count}; }

  /// 2^`order` frames in a row, aligned to their number; contents undefined, descriptors clear but for `use`.
  /// ENOMEM: none left, or an injected failure. Precondition: order <= 6.
  Result<FrameNumber> allocate(FrameUse use, unsigned order = 0);
  void free(FrameNumber frame, unsigned order = 0);

  [[nodiscard]] FrameDescriptor& descriptor(FrameNumber frame) const { return descriptors_[frame.value()]; }
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
  /// Objects of kind T alive.
  template <class T>
  [[nodiscard]] std::uint32_t alive() const {
    return header_->objects[static_cast<std::size_t>(T::kSlab)];
  }

  /// Whether an allocation has failed since clear_shortage(), injected or for real.
  [[nodiscard]] bool shortage() const { return shortage_; }
  void clear_shortage() { shortage_ = false; }
  void note_shortage() { shortage_ = true; }
  FailureInjector& injector() { return injector_; }

  /// Frames from 0 to the last one in use; above lie only frames as format() left them, where the geometry scrubs.
  [[nodiscard]] PageCount used_frames() const;

 private:
  static constexpr std::size_t kMaxLevels = 6;

  struct Header {
    std::uint32_t frame_count;
    std::uint32_t free_count;
    std::uint32_t objects[static_cast<std::size_t>(SlabKind::kCount)];
    /// First slab with a free object, by kind: frame number, 0 for none.
    std::uint32_t partial[static_cast<std::size_t>(SlabKind::kCount)];
  };

  struct Layout {
    std::size_t words[kMaxLevels];
    std::size_t levels;
    std::size_t bitmap_offset;
    std::size_t descriptor_offset;
    std::size_t ram_offset;
    std::size_t total;
  };
  static Layout layout(std::size_t frames);

  template <class T>
  static constexpr std::size_t slot_bytes() {
    return (sizeof(T) + kObjectUnit - 1) / kObjectUnit * kObjectUnit;
  }
  static constexpr unsigned slab_order(std::size_t slot) {
    return slot <= kPageBytes ? 0U : static_cast<unsigned>(std::bit_width((slot - 1) / kPageBytes));
  }
  Result<std::uint32_t> slab_allocate(std::size_t kind, std::size_t slot);
  void slab_free(std::size_t kind, std::size_t slot, std::uint32_t unit);
  void partial_push(std::size_t kind, FrameNumber slab);
  void partial_remove(std::size_t kind, FrameNumber slab);

  void mark(std::size_t frame, std::size_t count, bool free);

  Header* header_;
  std::uint64_t* levels_[kMaxLevels];
  std::size_t level_count_;
  FrameDescriptor* descriptors_;
  std::byte* ram_;
  FailureInjector injector_;
  bool shortage_ = false;

 public:
  /// Where the parts lie, from the start of the memory: for whoever copies only what is used.
  [[nodiscard]] std::size_t descriptor_offset() const {
    return static_cast<std::size_t>(reinterpret_cast<std::byte*>(descriptors_) - reinterpret_cast<std::byte*>(header_));
  }
  [[nodiscard]] std::size_t ram_offset() const {
    return static_cast<std::size_t>(ram_ - reinterpret_cast<std::byte*>(header_));
  }
};

}  // namespace cowherd
