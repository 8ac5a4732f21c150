#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>

#include "cowherd/types.hpp"

namespace cowherd {

/// What a frame is used for.
enum class FrameUse : std::uint8_t {
  kFree = 0,
  /// Frame 0: all zero, mapped read-only wherever untouched memory is read; neither its mappings nor (by rule) its
  /// references are counted.
  kZeroPage,
  kTable,
  kSlab,
  kAnon,
};

/// The hot part of what is known of a frame: 16 bytes. Compare Linux's struct page.
///
/// References and pins share one word, so that whoever takes a reference learns in the same access whether the page may
/// be pinned. Every pin holds one reference too.
class FrameDescriptor {
 public:
  static constexpr std::uint32_t kReferenceBits = 20;
  static constexpr std::uint32_t kMaxReferences = (1u << kReferenceBits) - 1;
  static constexpr std::uint32_t kMaxPins = (1u << (32 - kReferenceBits)) - 1;
  static constexpr std::uint32_t kMapcountBits = 20;
  static constexpr std::uint32_t kMaxMapcount = (1u << kMapcountBits) - 1;
  static constexpr std::uint32_t kIndexBits = 35;
  static constexpr std::uint32_t kMaxOwner = ~std::uint32_t{0};

  [[nodiscard]] FrameUse use() const { return static_cast<FrameUse>(mapcount_and_flags_ >> kUseShift & kUseMask); }
  void set_use(FrameUse use) {
    mapcount_and_flags_ =
        (mapcount_and_flags_ & ~(kUseMask << kUseShift)) | (static_cast<std::uint32_t>(use) << kUseShift);
  }

  [[nodiscard]] std::uint32_t references() const { return references_and_pins_ & kMaxReferences; }
  /// Wraps within its field, as an unchecked counter does.
  void add_references(std::uint32_t count) { set_references(references() + count); }
  void drop_references(std::uint32_t count) { set_references(references() - count); }

  [[nodiscard]] std::uint32_t pins() const { return references_and_pins_ >> kReferenceBits; }
  void add_pins(std::uint32_t count) { references_and_pins_ += count << kReferenceBits; }
  void drop_pins(std::uint32_t count) { references_and_pins_ -= count << kReferenceBits; }

  /// For a table: its entries in use.
  [[nodiscard]] std::uint32_t mapcount() const { return mapcount_and_flags_ & kMaxMapcount; }
  void add_mapcount() { set_mapcount(mapcount() + 1); }
  /// Below zero wraps to kMaxMapcount, which verify() reports.
  void drop_mapcount() { set_mapcount(mapcount() - 1); }
  void set_mapcount(std::uint32_t mapcount) {
    mapcount_and_flags_ = (mapcount_and_flags_ & ~kMaxMapcount) | (mapcount & kMaxMapcount);
  }

  /// This anonymous page belongs to one address space. Compare Linux PageAnonExclusive.
  [[nodiscard]] bool exclusive() const { return flag(kExclusive); }
  void set_exclusive(bool on) { set_flag(kExclusive, on); }
  /// Written, and not by way of a page-table entry alone. Compare Linux PG_dirty.
  [[nodiscard]] bool dirty() const { return flag(kDirty); }
  void set_dirty(bool on) { set_flag(kDirty, on); }
  /// The page lock is held by somebody who is not an operation in progress. Compare Linux PG_locked.
  [[nodiscard]] bool locked() const { return flag(kLocked); }
  void set_locked(bool on) { set_flag(kLocked, on); }
  /// Some reference was once taken through an address for writing.
  [[nodiscard]] bool gup_mark() const { return flag(kGupMark); }
  void set_gup_mark(bool on) { set_flag(kGupMark, on); }

  /// What verify() has met of the frame so far; kUnseen at all other times. Ordered: the later includes the earlier.
  enum class Seen : std::uint8_t { kUnseen, kHeld, kMapped, kMappedDirty };
  [[nodiscard]] Seen seen() const { return static_cast<Seen>(mapcount_and_flags_ >> kSeenShift & kSeenMask); }
  void set_seen(Seen seen) {
    mapcount_and_flags_ =
        (mapcount_and_flags_ & ~(kSeenMask << kSeenShift)) | (static_cast<std::uint32_t>(seen) << kSeenShift);
  }

  /// For an anonymous page: its anon_vma, as a Ref's unit; for a slab frame: the next slab with a free object.
  [[nodiscard]] std::uint32_t owner() const {
    return static_cast<std::uint32_t>(owner_and_index_ >> kIndexBits) | (mapcount_and_flags_ & kOwnerHighMask);
  }
  /// For an anonymous page: the page index at which its anon_vma knows it (Linux: page->index).
  [[nodiscard]] Vpn index() const { return Vpn{owner_and_index_ & ((std::uint64_t{1} << kIndexBits) - 1)}; }
  void set_owner(std::uint32_t owner, Vpn index) {
    assert(index.value() < (std::uint64_t{1} << kIndexBits));
    owner_and_index_ = (std::uint64_t{owner} << kIndexBits) | index.value();
    mapcount_and_flags_ = (mapcount_and_flags_ & ~kOwnerHighMask) | (owner & kOwnerHighMask);
  }

  /// Everything as in a frame that was never used.
  void clear() { *this = FrameDescriptor{}; }

 private:
  static constexpr std::uint32_t kUseShift = kMapcountBits;
  static constexpr std::uint32_t kUseMask = 7;
  static constexpr std::uint32_t kExclusive = 1u << 23;
  static constexpr std::uint32_t kDirty = 1u << 24;
  static constexpr std::uint32_t kLocked = 1u << 25;
  static constexpr std::uint32_t kGupMark = 1u << 26;
  static constexpr std::uint32_t kSeenShift = 27;
  static constexpr std::uint32_t kSeenMask = 3;
  /// The owner's bits that the index leaves no room for lie here, at their own places.
  static constexpr std::uint32_t kOwnerHighMask = ~((1u << (64 - kIndexBits)) - 1);

  void set_references(std::uint32_t references) {
    references_and_pins_ = (references_and_pins_ & ~kMaxReferences) | (references & kMaxReferences);
  }
  [[nodiscard]] bool flag(std::uint32_t bit) const { return (mapcount_and_flags_ & bit) != 0; }
  void set_flag(std::uint32_t bit, bool on) {
    mapcount_and_flags_ = on ? mapcount_and_flags_ | bit : mapcount_and_flags_ & ~bit;
  }

  std::uint32_t references_and_pins_ = 0;
  std::uint32_t mapcount_and_flags_ = 0;
  std::uint64_t owner_and_index_ = 0;
};

static_assert(sizeof(FrameDescriptor) == 16);

}  // namespace cowherd
