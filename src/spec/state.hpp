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

/// Sets of small numbers, as bits.
template <class Set>
constexpr bool contains(Set set, std::size_t element) {
  return ((static_cast<unsigned>(set) >> element) & 1u) != 0;
}

constexpr std::uint16_t with(std::uint16_t set, std::size_t element) {
  return static_cast<std::uint16_t>(set | (1u << element));
}

constexpr std::uint16_t without(std::uint16_t set, std::size_t element) {
  return static_cast<std::uint16_t>(set & ~(1u << element));
}

/// What a page of an address space shows.
enum class View : std::uint8_t {
  /// Its own words, which nobody else sees.
  kOwn,
  /// What everybody sees who has the same page: of a file, or of shared anonymous memory.
  kShared,
  /// The page of a file, in a private mapping, that nobody has written through it. It may have stopped to follow the
  /// file at any moment, and nobody can tell but by what is seen.
  kFollows,
};

/// Words of a page that MADV_FREE may have lost: each reads what it holds, or all of them read 0.
struct Lazy {
  /// As a set of bits; 0: none.
  std::uint8_t words = 0;
  /// Whether they may still be lost; if not, they are lost already or never will be.
  bool may_go = false;

  bool operator==(const Lazy&) const = default;
};

/// Whether the memory of a page has failed. Who had the same page as somebody whose page has failed hears of it at his
/// next access, or had another one by then.
/// kForbidden: userfaultfd's handler has said so of a page that was missing.
enum class Failure : std::uint8_t { kNone, kMaybe, kFailed, kForbidden };

/// Pages of a hugetlb page.
inline constexpr std::uint8_t kHugetlbPages = 4;
/// Whether an access to private memory meets a page, which userfaultfd's handler may have to bring. kFreed: it did, and
/// MADV_FREE may have lost it since; until it is written nobody knows.
enum class Presence : std::uint8_t { kPresent, kAbsent, kMaybe, kFreed };

/// Whether something was said of a page. Userfaultfd's handler has write-protected it: kMaybe where it may have had
/// none to protect. mlock keeps it: kMaybe where that failed for want of memory.
enum class Mark : std::uint8_t { kNo, kMaybe, kYes };

/// What a file is made of. kHugetlb: whole hugetlb pages, and write() is refused.
enum class FileStore : std::uint8_t { kMemory, kDisk, kHugetlb };

/// What one page holds, and who put it there last.
struct Page {
  std::array<std::int64_t, kWordsPerPage> words{};
  std::array<Writer, kWordsPerPage> writers{};
  Protection protection = Protection::kNone;
  bool dont_fork = false;
  bool wipe_on_fork = false;
  /// No reference may be taken to it.
  bool secret = false;
  /// Number of the page in its hugetlb page, from one; 0: it is none.
  std::uint8_t hugetlb = 0;
  View view = View::kOwn;
  /// Where the page is of a file with a name, also once it has words of its own.
  FileNumber file = kAnonymous;
  /// Of shared anonymous memory: not 0 behind its end.
  std::uint8_t file_page = 0;
  /// Of shared anonymous memory.
  std::uint16_t slot = 0;
  Lazy lazy{};
  Failure failure = Failure::kNone;
  UffdFlags uffd = UffdFlags::kNone;
  /// Meaningful where State::tracks_handlers(), and nothing of a file or shared is mapped.
  Presence presence = Presence::kPresent;
  Mark mark = Mark::kNo;
  Mark locked = Mark::kNo;

  /// Who accesses it is told so.
  [[nodiscard]] bool has_failed() const { return failure == Failure::kFailed || failure == Failure::kForbidden; }
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

/// A value that a word held since a short reference for reading was taken, and holds no more; or that it may hold where
/// nobody can tell whether it followed its file.
struct PastValue {
  /// Which word through which pin, or of which address space; comparable.
  std::uint16_t place = 0;
  std::int64_t value = 0;

  bool operator==(const PastValue&) const = default;
  auto operator<=>(const PastValue&) const = default;
};

/// A discarded page that a CPU may still reach: the operation that discarded it has not ended, so that not every CPU
/// needs to have forgotten its translation.
struct StalePage {
  /// Who discarded it.
  std::uint8_t keeper = 0;
  SpaceId space;
  std::uint8_t page = 0;
  /// What the stale translation allows.
  Protection protection = Protection::kNone;
  std::uint16_t slot = 0;

  /// Their order; no two are equal in it.
  [[nodiscard]] bool before(const StalePage& other) const;
};

/// What userfaultfd's handler of a space's memory is told and has not read.
struct UnreadEvent {
  SpaceId space;
  UffdEvent event = UffdEvent::kFork;
};

/// The memory of one machine in which nothing is shared, and the pins on it. Judges nothing.
///
/// A page lives in its address space. When its owner discards it while a pin holds it, it moves into a slot of its own
/// that only pins can reach, and the pins are *detached*. Not thread-safe.
class State {
 public:
  static constexpr std::uint8_t kNobody = 0xff;

  State() { past_.reserve(64); }

  // Address spaces. Precondition of all that follows: the space, page (< kMaxPages) and word (< kWordsPerPage) exist.

  [[nodiscard]] bool alive(SpaceId space) const { return ((alive_ >> space.value()) & 1u) != 0; }
  /// The lowest number of no space, if possible one that no pin remembers. Precondition: fewer than kMaxSpaces exist.
  [[nodiscard]] SpaceId free_space() const;
  /// A new one without pages. Precondition: `space` does not exist.
  void create(SpaceId space);
  /// `told`: the handler of userfaultfd's hears of it, where it wants to. Precondition: `child` does not exist.
  void fork(SpaceId parent, SpaceId child, bool told);
  /// `space` discards its pages and gets what fork would give a child of `from`.
  void restore(SpaceId space, SpaceId from);
  void drop(SpaceId space);

  /// Null where nothing is mapped.
  [[nodiscard]] Page* find(SpaceId space, std::uint8_t page);
  [[nodiscard]] const Page* find(SpaceId space, std::uint8_t page) const;
  /// Discards what is there and maps a page of zeros.
  void map(SpaceId space, std::uint8_t page, Protection protection);
  void unmap(SpaceId space, std::uint8_t page);
  /// The page at a mapped address is discarded and reads as zeros; the mapping stays.
  void wipe(SpaceId space, std::uint8_t page);
  /// The page goes to address `to`, with those who hold it, in place of what is there; where it was nothing is mapped
  /// then, or what the same mapping shows there, which is zeros where it is of no file. Precondition: mapped, and not
  /// at `to`.
  void move(SpaceId space, std::uint8_t page, std::uint8_t to, bool stays_mapped);
  /// A page of zeros that others can have too, by fork.
  void map_shared(SpaceId space, std::uint8_t page, Protection protection);
  /// A page behind the end of shared memory.
  void map_beyond_end(SpaceId space, std::uint8_t page, Protection protection);
  /// Precondition: the file exists.
  void map_file(SpaceId space, std::uint8_t page, Protection protection, FileNumber file, std::uint8_t file_page,
                bool shared);

  // Files.

  [[nodiscard]] bool exists(FileNumber file) const { return file.value() < kMaxFiles && files_[file.value()].exists; }
  /// Precondition: it does not exist.
  void create_file(FileNumber file, std::uint8_t pages, FileStore store);
  /// Whether a disk is behind what the page shows.
  [[nodiscard]] bool on_disk(const Page& page) const {
    return page.file != kAnonymous && store_of(page.file) == FileStore::kDisk;
  }
  [[nodiscard]] FileStore store_of(FileNumber file) const { return files_[file.value()].store; }
  [[nodiscard]] std::uint8_t size(FileNumber file) const { return files_[file.value()].pages; }
  /// Pages behind the new end are gone, for everybody, private copies too; new ones are zeros.
  void set_size(FileNumber file, std::uint8_t pages);
  /// `copies`: private copies go too. Precondition: within the file.
  void punch(FileNumber file, std::uint8_t page, bool copies = false);
  /// Of what a shared page shows; nothing behind its end.
  void punch(SpaceId space, std::uint8_t page, bool copies = false);
  /// The page becomes zeros, and stays the one that it is. The same preconditions.
  void clear(FileNumber file, std::uint8_t page);
  void clear(SpaceId space, std::uint8_t page);
  [[nodiscard]] std::int64_t load(FileNumber file, std::uint8_t page, std::uint8_t word) const;
  [[nodiscard]] Writer last_writer(FileNumber file, std::uint8_t page, std::uint8_t word) const;
  void store(FileNumber file, std::uint8_t page, std::uint8_t word, std::int64_t value);

  /// Whether the page lies behind the end of its file. Precondition: mapped.
  [[nodiscard]] bool beyond_end(const Page& page) const;
  /// What the word holds, or one of the values that it may hold; 0 behind the end of a file. Precondition: mapped.
  [[nodiscard]] std::int64_t load(SpaceId space, std::uint8_t page, std::uint8_t word) const;
  [[nodiscard]] Writer last_writer(SpaceId space, std::uint8_t page, std::uint8_t word) const;
  /// What it may hold besides, sorted.
  [[nodiscard]] std::span<const PastValue> alternatives(SpaceId space, std::uint8_t page, std::uint8_t word) const;
  /// One more of them.
  void add_alternative(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value);
  /// The word was seen to hold `value`, which is one of those.
  void settle(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value);
  /// The page is its owner's own from now on, if it is private.
  void own(SpaceId space, std::uint8_t page);
  /// As own(), and it holds zeros. Precondition: it shows a file's.
  void wipe_as_own(SpaceId space, std::uint8_t page);
  /// The pages that are seen through these of the address space, where others may see them too, as a set of bits.
  [[nodiscard]] std::uint64_t slots_seen(SpaceId space, std::uint16_t pages) const;
  [[nodiscard]] std::uint64_t slots_held(SpecPinId pin, std::uint8_t page) const;
  [[nodiscard]] std::uint64_t slots_of(FileNumber file) const;
  /// The files that these pages show, as a set of bits.
  [[nodiscard]] std::uint8_t files_seen(SpaceId space, std::uint16_t pages) const;

  /// Precondition: mapped.
  void store(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value, Writer writer);
  /// The word holds what somebody else wrote, and it is in the space's past like what the space wrote itself.
  void adopt(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value);

  /// The memory of the page fails: what it held is only with those who hold it otherwise. Precondition: mapped.
  void fail(SpaceId space, std::uint8_t page, Failure how = Failure::kFailed);
  /// Nobody gets it by this address, whatever its file holds. Precondition: it shows a file's.
  void forbid(SpaceId space, std::uint8_t page);
  /// So may that of every page that holds the same: one may be the other.
  void suspect_equals(SpaceId space, std::uint8_t page);

  // What MADV_FREE says of a page: until a word is written again, it and the others like it may read 0, from some
  // moment on. Whoever sees which of the two it is settles it for all.

  /// Precondition of all: mapped.
  void free_lazily(SpaceId space, std::uint8_t page);
  /// The words of the page that may read 0 are 0.
  void lose(SpaceId space, std::uint8_t page);
  /// They hold what they hold, as far as they cannot be lost later.
  void keep(SpaceId space, std::uint8_t page);
  /// The same for the page of a pin. Precondition: it exists.
  [[nodiscard]] bool may_be_lost(SpecPinId pin, std::uint8_t page, std::uint8_t word) const;
  void lose(SpecPinId pin, std::uint8_t page);
  void keep(SpecPinId pin, std::uint8_t page);

  // Userfaultfd.

  /// From now on it is known which pages an access meets. `huge`: huge pages may bring others along, so that only what
  /// was given up while it was registered is known to be missing.
  void track_handlers(bool huge) {
    tracks_handlers_ = true;
    huge_ = huge;
  }
  [[nodiscard]] bool tracks_handlers() const { return tracks_handlers_; }
  /// The page was accessed: it is there. Precondition: mapped.
  void touch(SpaceId space, std::uint8_t page, bool write);
  /// What the page holds goes to another one that is mapped already, in place of what that holds; both stay mapped.
  void move_content(SpaceId space, std::uint8_t page, std::uint8_t to);

  /// What its handler has not read, the oldest one first.
  void tell(SpaceId space, UffdEvent event);
  void tell_of_fork(SpaceId parent);
  /// The number of the oldest one; 0: there is none.
  [[nodiscard]] std::uint8_t next_event(SpaceId space) const;
  /// Precondition: there is one.
  void read_event(SpaceId space);

  // Stale pages.

  /// From now on pages that are discarded stay within reach of CPUs for `keeper`; kNobody: for no one.
  void keep_for(std::uint8_t keeper) { keeper_ = keeper; }
  /// No CPU reaches the pages of `keeper` any more.
  void forget(std::uint8_t keeper);
  /// In their order.
  [[nodiscard]] std::span<const StalePage> stale() const { return stale_; }
  [[nodiscard]] std::int64_t load(const StalePage& stale, std::uint8_t word) const;
  /// A thread's store through a stale translation.
  void store(const StalePage& stale, std::uint8_t word, std::int64_t value);

  // Pins. A `page` counts from the pin's first one.

  /// Precondition: fewer than kMaxPins exist.
  [[nodiscard]] SpecPinId free_pin() const;
  /// A pin on no page yet, which exists from its first extend() on. Precondition: `pin` does not exist.
  void bind(SpecPinId pin, SpaceId space, std::uint8_t first, Strength strength, bool get);
  /// One page more; a writer makes a private one its owner's own. Precondition: it is mapped.
  void extend(SpecPinId pin);
  /// A pin that does not exist is let go without effect.
  void release(SpecPinId pin);
  /// 0 for a pin that does not exist; pages from this number on do not exist.
  [[nodiscard]] std::uint8_t held(SpecPinId pin) const;
  [[nodiscard]] Strength strength(SpecPinId pin) const { return pins_[pin.value()].strength; }
  [[nodiscard]] bool by_get(SpecPinId pin) const { return pins_[pin.value()].get; }
  [[nodiscard]] SpaceId owner(SpecPinId pin) const { return pins_[pin.value()].space; }
  /// Where its owner has the page now. Precondition: attached.
  [[nodiscard]] std::uint8_t page_of(SpecPinId pin, std::uint8_t page) const {
    const Pin& of = pins_[pin.value()];
    return of.moved ? of.at[page] : static_cast<std::uint8_t>(of.first + page);
  }
  /// Whether the owner has not discarded the page.
  [[nodiscard]] bool attached(SpecPinId pin, std::uint8_t page) const;
  [[nodiscard]] std::int64_t load(SpecPinId pin, std::uint8_t page, std::uint8_t word) const;
  void store(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t value);
  /// Whether `value` is what the pin may read now, besides what it may have seen before.
  [[nodiscard]] bool may_hold(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t value) const;
  /// Whether what the pin reads says what the owner's page holds.
  [[nodiscard]] bool settles(SpecPinId pin, std::uint8_t page) const;
  /// What a pin of Strength::kReadShort may have seen beside the current value: sorted, without repetition, and never
  /// the current value. Of others too where nobody could tell which page they got.
  [[nodiscard]] std::span<const PastValue> past(SpecPinId pin, std::uint8_t page, std::uint8_t word) const;

  [[nodiscard]] const Provenance& provenance() const { return provenance_; }

  /// The pages of the space that a pin is attached to, as a set of bits.
  [[nodiscard]] std::uint16_t attached_pages(SpaceId space) const;

  /// Equal memories, pins and pasts give equal bytes, however they came about.
  void pack(Packer& out) const;
  /// Precondition: `in` reads what pack() wrote.
  void unpack(Unpacker& in);

 private:
  /// Pages that pins hold, and as many again for each space where an operation is discarding them.
  static constexpr std::size_t kMaxDetached = (kMaxPins + 2 * kMaxSpaces + kMaxFiles) * kMaxPages;

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
    /// Pages that a short reader took while they showed a file's: it may have got that one, or its owner's own.
    std::uint16_t loose = 0;
    /// Some attached page is not where it was when it was taken.
    bool moved = false;
    /// Where attached pages are; meaningful where `moved` says so.
    std::array<std::uint8_t, kMaxPages> at{};
    /// Slot of a page that is not attached, or that is loose.
    std::array<std::uint16_t, kMaxPages> slots{};
  };

  /// Puts `moved` right, so that equal pins are equal.
  static void settle(Pin& pin);
  static std::uint16_t place_of(SpecPinId pin, std::uint8_t page, std::uint8_t word);

  /// Calls visit(pin, index) for every pin that has the page as its page `index`.
  template <class Visit>
  void for_each_holder(SpaceId space, std::uint8_t page, Visit visit);
  template <class Visit>
  void for_each_holder_of_slot(std::uint16_t slot, Visit visit);

  static constexpr std::uint16_t kNoSlot = 0xffff;
  struct FileState {
    bool exists = false;
    FileStore store = FileStore::kMemory;
    std::uint8_t pages = 0;
    std::array<std::uint16_t, kMaxPages> slots{};
  };
  using Words = std::array<std::int64_t, kWordsPerPage>;
  using Writers = std::array<Writer, kWordsPerPage>;

  /// Of a word of an address space's page in alternatives_.
  static std::uint16_t place_of(SpaceId space, std::uint8_t page, std::uint8_t word);
  /// What the page shows in place of its own words; kNoSlot: nothing, or what lies behind a file's end.
  [[nodiscard]] std::uint16_t shown(const Page& page) const;
  /// An empty slot that the caller makes something lead to.
  std::uint16_t new_slot();
  template <class Visit>
  void for_each_page_of(FileNumber file, std::uint8_t file_page, Visit visit);
  /// The page is no longer the file's: pins that got it keep it, and CPUs may still reach it.
  void cut_off(FileNumber file, std::uint8_t file_page, bool copies);
  /// A stale translation leads to `slot`.
  void keep_stale(SpaceId space, std::uint8_t page, Protection protection, std::uint16_t slot);
  /// Returns whether address spaces or files show the slot.
  bool store_slot(std::uint16_t slot, std::uint8_t word, std::int64_t value, Writer writer);
  void drop_alternative(SpaceId space, std::uint8_t page, std::uint8_t word, std::int64_t value);
  void drop_alternatives(SpaceId space, std::uint8_t page);
  void drop_alternatives(SpaceId space, std::uint8_t page, std::uint8_t word);
  void add_past(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t value);

  /// What fork hands on. Precondition: nothing is mapped in `child`.
  void copy_pages(SpaceId parent, SpaceId child);
  /// The owner gives up the page; pins on it detach and take it along, and stale translations go on leading to it.
  void discard(SpaceId space, std::uint8_t page);
  /// A short reader that has seen `from` may from now on also see `to`.
  void note_past(SpecPinId pin, std::uint8_t page, std::uint8_t word, std::int64_t from, std::int64_t to);
  /// Whether a pin was taken on pages of this space, dead or alive.
  [[nodiscard]] bool remembered(SpaceId space) const;
  /// A slot that nothing leads to.
  [[nodiscard]] std::uint16_t free_slot() const;

  /// The set of pages of the pin for which it has a slot.
  static unsigned detached_pages(const Pin& pin) {
    return ((1u << pin.count) - 1u) & (~unsigned{pin.attached} | pin.loose);
  }
  class DetachedPacker;
  class DetachedUnpacker;
  /// Whether something of it is to be remembered for userfaultfd.
  [[nodiscard]] bool is_handled(const Page& page) const;
  /// Of a page that was never accessed, or given up.
  [[nodiscard]] Presence absence() const;
  void pack_page(Packer& out, DetachedPacker& detached, const Page& page) const;
  void unpack_page(Unpacker& in, DetachedUnpacker& detached, Page& page);
  void pack_files(Packer& out, DetachedPacker& detached) const;
  void unpack_files(Unpacker& in, DetachedUnpacker& detached);
  /// Pins, then stale pages: both lead to detached ones.
  void pack_pins(Packer& out, DetachedPacker& detached) const;
  void unpack_pins(Unpacker& in, DetachedUnpacker& detached);

  std::uint16_t alive_ = 0;
  std::array<Space, kMaxSpaces> spaces_;
  std::array<Pin, kMaxPins> pins_;
  std::array<FileState, kMaxFiles> files_;
  /// What pages hold that no address space has for itself alone.
  std::array<Words, kMaxDetached> detached_;
  std::array<Writers, kMaxDetached> detached_writers_;
  /// Of those, the words that may have been lost before.
  std::array<std::uint8_t, kMaxDetached> detached_lazy_;
  std::vector<StalePage> stale_;
  /// Sorted by spaces.
  std::vector<UnreadEvent> unread_;
  bool tracks_handlers_ = false;
  bool huge_ = false;
  std::uint8_t keeper_ = kNobody;
  /// Sorted.
  std::vector<PastValue> past_;
  /// What words of private pages of files may hold besides: sorted, and never what they are said to hold.
  std::vector<PastValue> alternatives_;
  Provenance provenance_;
};

template <class Visit>
void State::for_each_holder(SpaceId space, std::uint8_t page, Visit visit) {
  for (std::uint8_t i = 0; i < kMaxPins; ++i) {
    Pin& pin = pins_[i];
    if (pin.count == 0 || pin.space != space) continue;
    if (pin.moved) {
      for (std::uint8_t index = 0; index < pin.count; ++index) {
        if (contains(pin.attached, index) && pin.at[index] == page) visit(SpecPinId{i}, index);
      }
      continue;
    }
    if (page < pin.first || page >= pin.first + pin.count) continue;
    const auto index = static_cast<std::uint8_t>(page - pin.first);
    if (contains(pin.attached, index)) visit(SpecPinId{i}, index);
  }
}

template <class Visit>
void State::for_each_holder_of_slot(std::uint16_t slot, Visit visit) {
  for (std::uint8_t i = 0; i < kMaxPins; ++i) {
    for (std::uint8_t index = 0; index < pins_[i].count; ++index) {
      const bool may = !contains(pins_[i].attached, index) || contains(pins_[i].loose, index);
      if (may && pins_[i].slots[index] == slot) visit(SpecPinId{i}, index);
    }
  }
}

template <class Visit>
void State::for_each_page_of(FileNumber file, std::uint8_t file_page, Visit visit) {
  for (std::uint8_t i = 0; i < kMaxSpaces; ++i) {
    if (!alive(SpaceId{i})) continue;
    for (std::uint8_t p = 0; p < kMaxPages; ++p) {
      Page* page = find(SpaceId{i}, p);
      if (page != nullptr && page->file == file && page->file_page == file_page) visit(SpaceId{i}, p, *page);
    }
  }
}

}  // namespace cowherd::spec
