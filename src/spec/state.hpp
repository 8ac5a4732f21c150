#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "cowherd/flags.hpp"
#include "spec/packing.hpp"
#include "spec/promise.hpp"
#include "spec/provenance.hpp"

namespace cowherd::spec {

/// What one page holds, and who put it there last.
struct Page {
  std::array<std::int64_t, kWordsPerPage> words{};
  std::array<Writer, kWordsPerPage> writers{};
  Protection protection = Protection::kNone;
  bool dont_fork = false;
  bool wipe_on_fork = false;
};

/// What a reference promises its holder.
enum class Strength : std::uint8_t {
  /// Coherent with the owner in both directions.
  kWrite,
  /// Sees the owner's writes.
  kReadLong,
  /// Saw some value that was current since it was taken.
  kReadShort,
};

/// A value that a word held since a short reference for reading was taken, and holds no more.
struct PastValue {
  /// Which word through which pin; comparable.
  std::uint16_t place = 0;
  std::int64_t value = 0;

  bool operator==(const PastValue&) const = default;
  auto operator<=>(const PastValue&) const = default;
};

/// The memory of one machine in which nothing is shared, and the pins on it. Judges nothing.
///
/// A page lives in its address space. When its owner discards it while a pin holds it, it moves into a slot of its own
/// that only pins can reach, and the pins are *detached*. Not thread-safe.
class State {
 public:
  State() { past_.reserve(64); }

  // Address spaces. Precondition of all that follows: the space, page (< kMaxPages) and word (< kWordsPerPage) exist.

  [[nodiscard]] bool alive(SpaceId space) const { return ((alive_ >> space.value()) & 1u) != 0; }
  /// A new one without pages, of the lowest number that no pin remembers. Precondition: fewer than kMaxSpaces exist.
  SpaceId create();
  SpaceId fork(SpaceId parent);
  void drop(SpaceId space);

  /// Null where nothing is mapped.
  [[nodiscard]] Page* find(SpaceId space, std::uint8_t page);
  [[nodiscard]] const Page* find(SpaceId space, std::uint8_t page) const;
  /// Discards what is there and maps a page of zeros.
  void map(SpaceId space, std::uint8_t page, Protection protection);
  void unmap(SpaceId space, std::uint8_t page);
  /// The page at a mapped address is discarded and reads as zeros; the mapping stays.
  void wipe(SpaceId space, std::uint8_t page);
  /// Precondition: mapped.
  void store(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Writer writer);

  // Pins. A `page` counts from the pin's first one.

  /// Precondition: all pages are mapped; fewer than kMaxPins exist.
  SpecPinId bind(SpaceId space, std::uint8_t first, std::uint8_t count, Strength strength, bool get);
  /// A pin that does not exist is let go without effect.
  void release(SpecPinId pin);
  /// 0 for a pin that does not exist; pages from this number on do not exist.
  [[nodiscard]] std::uint8_t held(SpecPinId pin) const;
  [[nodiscard]] Strength strength(SpecPinId pin) const { return pins_[pin.value()].strength; }
  [[nodiscard]] bool by_get(SpecPinId pin) const { return pins_[pin.value()].get; }
  [[nodiscard]] SpaceId owner(SpecPinId pin) const { return pins_[pin.value()].space; }
  /// Whether the owner has not discarded the page.
  [[nodiscard]] bool attached(SpecPinId pin, std::uint8_t page) const;
  [[nodiscard]] std::int64_t load(SpecPinId pin, std::uint8_t page, std::uint8_t word) const;
  void store(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t value);
  /// What a pin of Strength::kReadShort may have seen beside the current value: sorted, without repetition, and never
  /// the current value.
  [[nodiscard]] std::span<const PastValue> past(SpecPinId pin, std::uint8_t page, std::uint8_t word) const;

  [[nodiscard]] const Provenance& provenance() const { return provenance_; }

  /// Equal memories, pins and pasts give equal bytes, however they came about.
  void pack(Packer& out) const;
  /// Precondition: `in` reads what pack() wrote.
  void unpack(Unpacker& in);

 private:
  static constexpr std::size_t kMaxDetached = kMaxPins * kMaxPages;

  struct Space {
    std::uint16_t mapped = 0;
    /// Meaningful where `mapped` says so.
    std::array<Page, kMaxPages> pages;
  };

  struct Pin {
    SpaceId space;
    std::uint8_t first = 0;
    /// 0: does not exist.
    std::uint8_t count = 0;
    Strength strength = Strength::kWrite;
    bool get = false;
    std::uint16_t attached = 0;
    /// Slot of a page that is not attached.
    std::array<std::uint8_t, kMaxPages> slots{};
  };

  static std::uint16_t place_of(SpecPinId pin, std::uint8_t page, std::uint8_t word);

  /// Calls visit(pin, index) for every pin that has the page as its page `index`.
  template <class Visit>
  void for_each_holder(SpaceId space, std::uint8_t page, Visit visit);
  template <class Visit>
  void for_each_holder_of_slot(std::uint8_t slot, Visit visit);

  /// The owner gives up the page; pins on it detach and take it along.
  void discard(SpaceId space, std::uint8_t page);
  /// A short reader that has seen `from` may from now on also see `to`.
  void note_past(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t from, std::int64_t to);
  [[nodiscard]] const Page& page_of(SpecPinId pin, std::uint8_t page) const;
  /// Whether a pin was taken on pages of this space, dead or alive.
  [[nodiscard]] bool remembered(SpaceId space) const;
  /// A slot that no pin has. There always is one while a page is attached.
  [[nodiscard]] std::uint8_t free_slot() const;

  /// The set of pages of the pin that are not attached.
  static unsigned detached_pages(const Pin& pin) { return ((1u << pin.count) - 1u) & ~unsigned{pin.attached}; }
  void pack_pins(Packer& out) const;
  void unpack_pins(Unpacker& in);

  std::uint16_t alive_ = 0;
  std::array<Space, kMaxSpaces> spaces_;
  std::array<Pin, kMaxPins> pins_;
  /// Only the words count.
  std::array<Page, kMaxDetached> detached_;
  /// Sorted.
  std::vector<PastValue> past_;
  Provenance provenance_;
};

}  // namespace cowherd::spec
