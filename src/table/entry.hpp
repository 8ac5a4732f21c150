#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/memory_orders.h"
#include "cowherd/types.hpp"
#include "frame/cold_descriptor.hpp"

namespace cowherd {

/// What an entry of a lowest table says. An entry that names a table is none or present.
enum class EntryKind : std::uint8_t {
  /// Nothing was ever here, or it is gone.
  kNone = 0,
  /// A page is mapped: what hardware looks at.
  kPresent,
  // Not present, and not none: the page is elsewhere. The numbers are part of the format.
  /// In a slot of the swap area. Compare Linux swp_entry_t.
  kSwap,
  /// On its way to another frame: whoever needs it waits. Compare Linux SWP_MIGRATION_READ and its sisters.
  kMigration,
  /// The page's memory has failed. Compare Linux SWP_HWPOISON.
  kPoison,
  /// The page is where it was, and a device has it for itself. Compare Linux SWP_DEVICE_EXCLUSIVE.
  kDevice,
  /// Nothing is here, and userfaultfd write-protects what will be. Compare Linux PTE_MARKER_UFFD_WP.
  kMarker,
};

/// A page-table entry in x86-64 format. The all-zero entry is "none".
///
/// An entry that is neither none nor present has a kind and a payload, which lie where a present one has no permission
/// and no accessed or dirty bit: writable(), dirty(), young() and user() are false for it. What frame() gives then
/// means nothing. But an entry of a page that a device has for itself says all that the present one will say.
class Entry {
 public:
  constexpr Entry() = default;
  constexpr explicit Entry(std::uint64_t bits) : bits_(bits) {}

  /// A present user entry for `frame`, readable, young.
  static constexpr Entry of(FrameNumber frame) {
    return Entry{(std::uint64_t{frame.value()} << kFrameShift) | kPresent | kUser | kAccessed};
  }

  /// The page that was mapped here is in `slot`; `exclusive`: it belongs to the one address space, as PageAnonExclusive
  /// says of a page. Compare Linux pte_swp_exclusive().
  static constexpr Entry swapped(BlockNumber slot, bool exclusive) {
    return of_kind(EntryKind::kSwap, slot.value()).with(kSwapExclusive, exclusive);
  }

  /// The page that was mapped here is leaving `frame`, which whoever moves it keeps; `writable`: so was the entry;
  /// `exclusive`: as for swapped(). Compare Linux make_writable_migration_entry().
  static constexpr Entry migrating(FrameNumber frame, bool writable, bool exclusive) {
    return of_kind(EntryKind::kMigration, frame.value())
        .with(kSwapExclusive, exclusive)
        .with(kMigrationWritable, writable);
  }

  /// The page that was mapped here is gone with its memory, which was `frame`. Compare Linux make_hwpoison_entry().
  static constexpr Entry poisoned(FrameNumber frame) { return of_kind(EntryKind::kPoison, frame.value()); }
  /// No memory has failed: userfaultfd's handler says so. Compare Linux PTE_MARKER_POISONED.
  static constexpr Entry forbidden() { return of_kind(EntryKind::kPoison, 0); }

  /// Userfaultfd write-protects what comes here.
  static constexpr Entry marker() { return of_kind(EntryKind::kMarker, 0).with_uffd_wp(true); }

  [[nodiscard]] constexpr std::uint64_t bits() const { return bits_; }
  [[nodiscard]] constexpr EntryKind kind() const {
    if (present()) return EntryKind::kPresent;
    if (on_device()) return EntryKind::kDevice;
    return static_cast<EntryKind>(bits_ >> kKindShift & kKindMask);
  }
  [[nodiscard]] constexpr bool none() const { return bits_ == 0; }
  [[nodiscard]] constexpr bool present() const { return (bits_ & kPresent) != 0; }
  [[nodiscard]] constexpr bool writable() const { return (bits_ & kWritable) != 0; }
  [[nodiscard]] constexpr bool dirty() const { return (bits_ & kDirty) != 0; }
  /// Written since the last round of soft-dirty tracking began, or moved (Linux: pte_soft_dirty).
  [[nodiscard]] constexpr bool soft_dirty() const { return (bits_ & kSoftDirty) != 0; }
  /// Userfaultfd write-protects the page: who writes asks its handler first. Of entries of any kind, and never of one
  /// that is writable. Compare Linux pte_uffd_wp().
  [[nodiscard]] constexpr bool uffd_wp() const { return (bits_ & kUffdWp) != 0; }
  /// No reference is taken through an address to what is mapped here: secret memory.
  [[nodiscard]] constexpr bool secret() const { return (bits_ & kSecret) != 0; }
  /// Of a page of a hugetlb file in a private mapping: no page of the pool is promised to the place for a copy,
  /// although the mapping has reservations.
  [[nodiscard]] constexpr bool unpromised() const { return (bits_ & kUnpromised) != 0; }
  [[nodiscard]] constexpr bool young() const { return (bits_ & kAccessed) != 0; }
  /// False of a present entry: it lets no access through (Linux: pte_protnone), because the mapping's protection
  /// forbids all, or to find out who accesses the page.
  [[nodiscard]] constexpr bool user() const { return (bits_ & kUser) != 0; }
  [[nodiscard]] constexpr FrameNumber frame() const {
    return FrameNumber{static_cast<std::uint32_t>((bits_ & kFrameMask) >> kFrameShift)};
  }

  // Of EntryKind::kSwap.

  [[nodiscard]] constexpr bool swap() const { return kind() == EntryKind::kSwap; }
  [[nodiscard]] constexpr BlockNumber slot() const { return BlockNumber{static_cast<std::uint32_t>(payload())}; }
  [[nodiscard]] constexpr bool swap_exclusive() const { return (bits_ & kSwapExclusive) != 0; }
  [[nodiscard]] constexpr Entry with_swap_exclusive(bool on) const { return with(kSwapExclusive, on); }

  // Of EntryKind::kMigration.

  [[nodiscard]] constexpr bool migration() const { return kind() == EntryKind::kMigration; }
  [[nodiscard]] constexpr bool poison() const { return kind() == EntryKind::kPoison; }
  /// Of an entry that came from forbidden(); no frame with that number fails.
  [[nodiscard]] constexpr bool is_forbidden() const { return poison() && leaving() == FrameNumber{0}; }
  [[nodiscard]] constexpr bool is_marker() const { return kind() == EntryKind::kMarker; }
  /// No page is here, nor elsewhere.
  [[nodiscard]] constexpr bool is_empty() const { return none() || is_marker(); }
  /// It names a frame, or none, and holds nothing of it.
  [[nodiscard]] constexpr bool holds_nothing() const { return migration() || poison() || is_marker(); }
  /// The frame that the page is leaving, or that has failed.
  [[nodiscard]] constexpr FrameNumber leaving() const { return FrameNumber{static_cast<std::uint32_t>(payload())}; }
  [[nodiscard]] constexpr bool migration_writable() const { return migration() && (bits_ & kMigrationWritable) != 0; }
  [[nodiscard]] constexpr bool migration_exclusive() const { return (bits_ & kSwapExclusive) != 0; }
  /// The page will not be mapped writable where it arrives.
  [[nodiscard]] constexpr Entry with_migration_readable() const { return with(kMigrationWritable, false); }
  /// As after a fork: neither writable nor anybody's own.
  [[nodiscard]] constexpr Entry with_migration_shared() const {
    return with(kMigrationWritable, false).with(kSwapExclusive, false);
  }

  /// Of a present entry one level above the lowest tables: it names no table but maps a whole run of pages, `frame()`
  /// being the first one's frame. Compare Linux pmd_trans_huge().
  [[nodiscard]] constexpr bool huge() const { return (bits_ & kHuge) != 0; }
  [[nodiscard]] constexpr Entry with_huge(bool on) const { return with(kHuge, on); }
  /// Of a huge entry: what a lowest table would say of page number `index` of the run.
  [[nodiscard]] constexpr Entry piece(std::size_t index) const {
    return Entry{(bits_ & ~kHuge) + (std::uint64_t{index} << kFrameShift)};
  }

  // Of EntryKind::kDevice.

  /// The same entry while a device has the page for itself: processors fault on it. The page stays mapped by it.
  [[nodiscard]] constexpr Entry for_device() const { return Entry{(bits_ & ~kPresent) | kOnDevice}; }
  [[nodiscard]] constexpr bool on_device() const { return (bits_ & (kPresent | kOnDevice)) == kOnDevice; }
  /// Undoes for_device().
  [[nodiscard]] constexpr Entry taken_back() const { return Entry{(bits_ & ~kOnDevice) | kPresent}; }

  [[nodiscard]] constexpr Entry with_writable(bool on) const { return with(kWritable, on); }
  [[nodiscard]] constexpr Entry with_dirty(bool on) const { return with(kDirty, on); }
  [[nodiscard]] constexpr Entry with_soft_dirty(bool on) const { return with(kSoftDirty, on); }
  [[nodiscard]] constexpr Entry with_uffd_wp(bool on) const { return with(kUffdWp, on); }
  [[nodiscard]] constexpr Entry with_secret(bool on) const { return with(kSecret, on); }
  [[nodiscard]] constexpr Entry with_unpromised(bool on) const { return with(kUnpromised, on); }
  [[nodiscard]] constexpr Entry with_young(bool on) const { return with(kAccessed, on); }
  [[nodiscard]] constexpr Entry with_user(bool on) const { return with(kUser, on); }

  /// The same entry on its way from one place to another: not present, and not none.
  [[nodiscard]] constexpr Entry departed() const { return Entry{(bits_ & ~kPresent) | kInTransit}; }
  [[nodiscard]] constexpr bool in_transit() const { return (bits_ & (kPresent | kInTransit)) == kInTransit; }
  /// Undoes departed().
  [[nodiscard]] constexpr Entry arrived() const { return Entry{(bits_ & ~kInTransit) | kPresent}; }

  constexpr bool operator==(const Entry&) const = default;

 private:
  static constexpr std::uint64_t kPresent = 1;
  static constexpr std::uint64_t kWritable = 1u << 1;
  static constexpr std::uint64_t kUser = 1u << 2;
  static constexpr std::uint64_t kAccessed = 1u << 5;
  static constexpr std::uint64_t kDirty = 1u << 6;
  /// Of present entries above the lowest tables.
  static constexpr std::uint64_t kHuge = 1u << 7;
  // Processors ignore these bits of any entry.
  static constexpr std::uint64_t kUnpromised = std::uint64_t{1} << 56;
  static constexpr std::uint64_t kSecret = std::uint64_t{1} << 57;
  static constexpr std::uint64_t kSoftDirty = std::uint64_t{1} << 58;
  static constexpr std::uint64_t kUffdWp = std::uint64_t{1} << 60;
  /// Of entries that are not present: bits that a present one does not use, none of them a permission.
  static constexpr unsigned kKindShift = 7;
  static constexpr std::uint64_t kKindMask = 0x1F;
  static constexpr std::uint64_t kSwapExclusive = std::uint64_t{1} << 52;
  static constexpr std::uint64_t kMigrationWritable = std::uint64_t{1} << 53;
  static constexpr unsigned kFrameShift = 12;
  static constexpr std::uint64_t kFrameMask = 0x000F'FFFF'FFFF'F000;
  /// Of an entry that is not present, processors look at no other bit.
  static constexpr std::uint64_t kInTransit = std::uint64_t{1} << 62;
  static constexpr std::uint64_t kOnDevice = std::uint64_t{1} << 61;

  static constexpr Entry of_kind(EntryKind kind, std::uint64_t payload) {
    return Entry{static_cast<std::uint64_t>(kind) << kKindShift | payload << kFrameShift};
  }
  [[nodiscard]] constexpr std::uint64_t payload() const { return (bits_ & kFrameMask) >> kFrameShift; }
  [[nodiscard]] constexpr Entry with(std::uint64_t bit, bool on) const {
    return Entry{on ? bits_ | bit : bits_ & ~bit};
  }

  std::uint64_t bits_ = 0;
};

static_assert(sizeof(Entry) == 8);

/// The place of an entry in a table. Processors read it, and set its accessed and dirty bits, at any time and without a
/// lock; so each call is one atomic access. Null where there is no table.
class EntrySlot {
 public:
  constexpr EntrySlot() = default;
  explicit EntrySlot(std::byte* place) : place_(reinterpret_cast<std::uint64_t*>(place)) {}

  explicit operator bool() const { return place_ != nullptr; }
  [[nodiscard]] const void* place() const { return place_; }

  /// The place `entries` further on in the same table.
  [[nodiscard]] EntrySlot after(std::size_t entries) const { return EntrySlot(place_ + entries); }
  /// The place `entries` before it in the same table.
  [[nodiscard]] EntrySlot before(std::size_t entries) const { return EntrySlot(place_ - entries); }

  [[nodiscard]] Entry load() const { return Entry{word().load(order::kEntryLoad)}; }
  /// Whoever sees `entry` sees what was done to its page before.
  void store(Entry entry) const { word().store(entry.bits(), order::kEntryStore); }
  /// Returns what was there, with the bits that a processor set until then.
  Entry exchange(Entry entry) const { return Entry{word().exchange(entry.bits(), order::kEntryChange)}; }
  /// Stores `wanted` if `seen` is still there; else updates `seen`.
  bool replace(Entry& seen, Entry wanted) const {
    std::uint64_t bits = seen.bits();
    const bool done = word().compare_exchange_strong(bits, wanted.bits(), order::kEntryChange);
    if (!done) seen = Entry{bits};
    return done;
  }

 private:
  [[nodiscard]] std::atomic_ref<std::uint64_t> word() const { return std::atomic_ref(*place_); }

  explicit EntrySlot(std::uint64_t* place) : place_(place) {}

  std::uint64_t* place_ = nullptr;
};

}  // namespace cowherd
